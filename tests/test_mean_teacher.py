"""Mean teacher: its loss and that it learns."""

import pytest
import torch
from conftest import make_classifier
from test_improved_gan import SHARED, assert_sgd_step, sgd, step_with_another_teacher

from ssgan import losses
from ssgan.data.image_data import ImageData
from ssgan.methods.mean_teacher import MeanTeacher
from ssgan.methods.terms import Consistency, StrongConsistency, Terms


@pytest.mark.parametrize(
    ("terms", "student", "teachers"),
    [
        (Terms(consistency=Consistency(weight=4.0)), "unlabeled", "second_view"),
        (Terms(strong_consistency=StrongConsistency(weight=4.0)), "strong", "unlabeled"),
    ],
)
def test_one_step_equals_the_algorithm_written_out(
    digits: ImageData, terms: Terms, student: str, teachers: str
) -> None:
    """Catches the student's logits taken for the teacher's, for which the loss is 0, a gradient through the teacher, and
    weak and strong views in each other's place.
    """
    torch.manual_seed(0)
    config = MeanTeacher.Config(**SHARED, classifier_optimizer=sgd(0.1), ramp_up_epochs=0, terms=terms)
    module = MeanTeacher(make_classifier(0.0), config)
    c, teacher, batch = step_with_another_teacher(module, digits)
    assert set(batch) == {"labeled", "targets", "unlabeled", student, teachers}
    p, q = c(batch[student]).softmax(1), teacher(batch[teachers]).softmax(1).detach()
    consistency = ((p - q) ** 2).sum() / len(p)
    assert consistency > 1e-4
    loss = losses.supervised(c(batch["labeled"]), batch["targets"]) + 4 * consistency
    assert_sgd_step(module.classifier, c, loss)


@pytest.mark.parametrize("strong", [False, True])
def test_labeled_images_are_augmented_strongly_on_request(strong: bool) -> None:
    """Catches a key that reaches the teacher's views, too."""
    module = MeanTeacher(make_classifier(), MeanTeacher.Config(strong_labels=strong))
    strengths = {name: view.strength for name, view in module.all_views.items()}
    assert strengths == {"labeled": "strong" if strong else "weak", "unlabeled": "weak", "second_view": "weak"}
