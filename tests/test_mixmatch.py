"""MixMatch: its mixtures, its loss, and that it learns."""

import copy

import pytest
import torch
from conftest import make_classifier
from test_improved_gan import SHARED, assert_sgd_step, sgd, step_with_another_teacher

from ssgan import losses
from ssgan.data.image_data import ImageData
from ssgan.methods.mixmatch import MixMatch, mix
from ssgan.methods.mixmatch_gan import MixMatchGAN
from ssgan.methods.terms import Terms
from ssgan.methods.terms.pseudo_label import PseudoLabel
from ssgan.nets import MLPGenerator
from ssgan.seeds import derive_seed


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
    """Without mixtures, in the first of two epochs in which the weight rises, of one step each. Catches the student as its own
    teacher, weak views trained on, and guesses that are not sharpened.
    """
    torch.manual_seed(0)
    config = MixMatch.Config(
        **SHARED,
        classifier_optimizer=sgd(0.1),
        guessed_weight=1.4,
        guessed_loss=distance,
        mixup_alpha=0.0,
        ramp_up_epochs=2,
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


def test_guesses_enter_the_running_means_once_a_step(digits: ImageData) -> None:
    """Of the method and of a term beside it."""
    label = PseudoLabel(weight=1.0, align=True, threshold=0.0)
    shares = []
    for terms in (Terms(), Terms(pseudo_label=label)):
        torch.manual_seed(0)
        config = MixMatch.Config(**SHARED, classifier_optimizer=sgd(0.1), align=True, mixup_alpha=0.0, terms=terms)
        module = MixMatch(make_classifier(0.0), config)
        step_with_another_teacher(module, digits)
        shares.append(module.running_means.shares)
    assert torch.equal(*shares)
    assert shares[0].std() > 0


def test_with_class_k_plus_1_its_loss_and_that_of_two_players_are_added(digits: ImageData) -> None:
    """Catches a labeled term that is there twice, and mixtures told from generated images."""
    torch.manual_seed(0)
    optimizers = {"classifier_optimizer": sgd(0.1), "generator_optimizer": sgd(0.1)}
    config = MixMatchGAN.Config(
        **SHARED, **optimizers, guessed_weight=0.7, unlabeled_weight=0.3, mixup_alpha=0.0, generated_batch_size=20
    )
    module = MixMatchGAN(make_classifier(0.0), MLPGenerator((1, 8, 8), 20, [24], "sigmoid"), config)
    generator = copy.deepcopy(module.generator).train()
    c, teacher, batch = step_with_another_teacher(module, digits)
    q = losses.soft_targets(teacher(batch["unlabeled"]).log_softmax(1).detach(), 0.5)
    guessed = losses.supervised(c(batch["strong"]), q)
    known = losses.supervised(c(batch["labeled"]), batch["targets"])
    z = generator.draw_latent(20, torch.Generator().manual_seed(derive_seed("latent", 0, 0)))
    fake = losses.fake_loss(c(generator(z).detach()))
    told_apart = losses.real_loss(c(batch["unlabeled"][:20])) + fake
    assert_sgd_step(module.classifier, c, known + 0.7 * guessed + 0.3 * told_apart)
