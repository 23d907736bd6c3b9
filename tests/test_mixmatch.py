"""MixMatch: its mixtures, its loss, and that it learns."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Outcome, learned, make_classifier
from test_improved_gan import SHARED, assert_sgd_step, sgd, step_with_another_teacher

from ssgan.data.image_data import ImageData
from ssgan.methods.mixmatch import MixMatch, mix


def test_mixtures_keep_most_of_their_own_and_their_labels() -> None:
    """Catches shares of images that are not those of their labels, and a share below one half."""
    torch.manual_seed(0)
    targets = torch.eye(40)
    images, mixed = mix(targets.view(40, 1, 8, 5), targets, 0.75)
    torch.testing.assert_close(images.view(40, 40), mixed)
    assert (mixed.diagonal() >= 0.5).all()
    torch.testing.assert_close(mixed.sum(1), torch.ones(40))
    assert (mixed.amax(1) < 0.99).sum() > 10
    assert mixed.amax(1).std() > 0.05  # a share for each image
    same = mix(images, targets, 0.0)
    assert same[0] is images
    assert same[1] is targets


@pytest.mark.parametrize("distance", ["cross_entropy", "squared"])
def test_one_step_equals_the_algorithm_written_out(digits: ImageData, distance: str) -> None:
    """Without mixtures. Catches the student as its own teacher, weak views trained on, and guesses that are not sharpened."""
    torch.manual_seed(0)
    config = MixMatch.Config(
        **SHARED, classifier_optimizer=sgd(0.1), unlabeled_weight=0.7, unlabeled_loss=distance, mixup_alpha=0.0
    )
    module = MixMatch(make_classifier(0.0), config)
    c, teacher, batch = step_with_another_teacher(module, digits)
    assert set(batch) == {"labeled", "targets", "unlabeled", "strong"}
    q = teacher(batch["unlabeled"]).softmax(1).detach() ** 2
    q = q / q.sum(1, keepdim=True)
    p = c(batch["strong"]).softmax(1)
    unlabeled = -(q * p.log()).sum() if distance == "cross_entropy" else ((p - q) ** 2).sum()
    known = c(batch["labeled"]).log_softmax(1)[torch.arange(len(batch["targets"])), batch["targets"]]
    assert_sgd_step(module.classifier, c, -known.mean() + 0.7 * unlabeled / len(p))


@pytest.mark.slow
def test_it_learns(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    assert learned(ssgan, tmp_path, "mixmatch") < 0.14
