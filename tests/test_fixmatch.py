"""FixMatch: its loss, what it draws, and that it learns."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from conftest import TINY, Outcome, make_classifier, tiny
from test_improved_gan import SHARED, assert_sgd_step, fit, sgd, step_with_another_teacher
from torch import Tensor, nn

from ssgan import losses
from ssgan.data.augmentation import Augmentation
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.image_data import ImageData
from ssgan.data.splits import draw_split
from ssgan.methods.fixmatch import FixMatch
from ssgan.methods.neighbors import NeighborMemory
from ssgan.methods.running_means import RunningMeans
from ssgan.methods.terms import Terms
from ssgan.methods.terms.pseudo_label import PseudoLabel

THRESHOLD = 0.12


def written_out(strong: Tensor, weak: Tensor) -> Tensor:
    """1/N sum over images whose largest q reaches the threshold of -log p of that class (eq. 4)."""
    total = torch.tensor(0.0)
    for p, q in zip(strong.log_softmax(1), weak.softmax(1), strict=True):
        if q.max() >= THRESHOLD:
            total = total - p[q.argmax()]
    return total / len(strong)


def test_loss_equals_the_formula() -> None:
    strong, weak = torch.randn(20, 10, requires_grad=True), torch.randn(20, 10, requires_grad=True)
    loss = losses.pseudo_label(strong, weak, 0.4)
    confident = weak.softmax(1).max(1).values >= 0.4
    assert 0 < confident.sum() < 20
    each = -strong.log_softmax(1)[torch.arange(20), weak.argmax(1)]
    torch.testing.assert_close(loss, (each * confident).sum() / 20)
    loss.backward()
    assert weak.grad is None
    assert strong.grad is not None
    assert (strong.grad[~confident] == 0).all()


def test_soft_targets_equal_the_formula() -> None:
    """MixMatch's eq. 7, image by image, and a threshold for each image."""
    strong, weak, thresholds = torch.randn(20, 10), torch.randn(20, 10), torch.rand(20)
    expected = torch.tensor(0.0)
    for p, q, least in zip(strong.log_softmax(1), weak.softmax(1), thresholds, strict=True):
        if q.max() >= least:
            expected = expected - (q**2 / (q**2).sum() * p).sum() / 20
    torch.testing.assert_close(losses.pseudo_label(strong, weak, thresholds, temperature=0.5), expected)


def test_running_means_equal_the_formulas() -> None:
    """ReMixMatch's alignment and FreeMatch's eq. 4 to 7, written out over three batches; catches means of the last one alone."""
    means = RunningMeans(4, decay=0.9)
    shares, confidence = torch.full((4,), 0.25), torch.tensor(0.25)
    for _ in range(3):
        log_q = torch.randn(6, 4).mul(3).log_softmax(1)
        means.update(log_q)
        shares = 0.9 * shares + 0.1 * log_q.exp().mean(0)
        confidence = 0.9 * confidence + 0.1 * log_q.exp().max(1).values.mean()
    aligned = log_q.exp() / shares
    torch.testing.assert_close(means.aligned(log_q).exp(), aligned / aligned.sum(1, keepdim=True))
    of_class = confidence * shares / shares.max()
    torch.testing.assert_close(means.thresholds(torch.arange(4)), of_class)
    assert torch.equal(means.thresholds(torch.tensor([2, 2])), means.thresholds(torch.arange(4))[[2, 2]])


def test_one_step_equals_the_algorithm_written_out(digits: ImageData) -> None:
    """Catches the student's own prediction as the teacher, and weak and strong views in each other's place."""
    terms = Terms(pseudo_label=PseudoLabel(weight=0.7, threshold=THRESHOLD))
    torch.manual_seed(0)
    config = FixMatch.Config(**SHARED, classifier_optimizer=sgd(0.1), terms=terms)
    module = FixMatch(make_classifier(0.0), config)
    c, teacher, batch = step_with_another_teacher(module, digits)
    assert set(batch) == {"labeled", "targets", "unlabeled", "strong"}
    loss = losses.supervised(c(batch["labeled"]), batch["targets"])
    loss = loss + 0.7 * written_out(c(batch["strong"]), teacher(batch["unlabeled"]))
    assert_sgd_step(module.classifier, c, loss)


def test_an_aligned_and_adaptive_step_equals_the_algorithm_written_out(digits: ImageData) -> None:
    """Catches thresholds of aligned probabilities, of the batch alone or of none, and bounds in each other's place."""
    label = PseudoLabel(weight=0.7, align=True, adaptive=True, threshold=0.5, least_threshold=0.11)
    config = FixMatch.Config(
        **SHARED, classifier_optimizer=sgd(0.1), terms=Terms(pseudo_label=label), running_decay=0.5
    )
    module = FixMatch(make_classifier(0.0), config)
    c, teacher, batch = step_with_another_teacher(module, digits)
    q = teacher(batch["unlabeled"]).softmax(1).detach()
    shares = (0.1 + q.mean(0)) / 2
    aligned = q / shares / (q / shares).sum(1, keepdim=True)
    least = ((0.1 + q.max(1).values.mean()) / 2 * shares / shares.max())[aligned.argmax(1)].clamp(0.11, 0.5)
    confident = aligned.max(1).values >= least
    assert 0 < confident.sum() < len(q)
    p = c(batch["strong"]).log_softmax(1)
    each = -p[torch.arange(len(q)), aligned.argmax(1)]
    loss = losses.supervised(c(batch["labeled"]), batch["targets"]) + 0.7 * (each * confident).sum() / len(q)
    assert_sgd_step(module.classifier, c, loss)
    torch.testing.assert_close(module.running_means.shares, shares)


def smoothed(q: Tensor, images: Tensor, memory: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Half of q, half of what the seven nearest images of ``memory`` were taken for, image by image."""
    rows = []
    for own, image in zip(q, images, strict=True):
        nearest = sorted((((image - other) ** 2).sum().item(), number) for number, (other, _) in enumerate(memory))[:7]
        scale = sum(squared for squared, _ in nearest) / len(nearest)
        weights = [math.exp(-squared / scale) for squared, _ in nearest]
        theirs = sum(weight * memory[number][1] for weight, (_, number) in zip(weights, nearest, strict=True))
        rows.append(own / 2 + theirs / sum(weights) / 2)
    return torch.stack(rows)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20), (12, 1, 1)])
def test_neighbors_equal_the_algorithm_written_out(shape: tuple[int, int, int]) -> None:
    """Over five batches of which the memory holds the last two and a half, and two count; catches guesses that are
    remembered as they came, places that are never free again, older images, and a neighbor that is the image itself.
    """
    memory = NeighborMemory(shape, classes=4, size=20)
    whole = [(torch.zeros(shape), torch.full((4,), 0.25)) for _ in range(20)]
    pooled = nn.AvgPool2d(2) if shape[1] > 16 else nn.Identity()
    for _ in range(5):
        images, q = torch.rand(8, *shape), torch.randn(8, 4).mul(3).softmax(1)
        expected = smoothed(q, pooled(images), [(pooled(image), guess) for image, guess in whole[-16:]])
        found = memory.smoothed(images, q.log(), 0.5, recent=16).exp()
        torch.testing.assert_close(found, expected)
        whole += zip(images, expected, strict=True)
    memory.smoothed(torch.rand(50, *shape), torch.randn(50, 4).log_softmax(1), 0.5, recent=16)  # more than it holds
    assert memory.oldest == 10


def test_a_step_with_neighbors_equals_the_algorithm_written_out(digits: ImageData) -> None:
    """After half of the ramp-up; catches labels that no neighbor has a share in, and a memory of strong views."""
    label = PseudoLabel(weight=1.4, threshold=0.0, temperature=0.5, neighbors=1.0, memory=40)
    config = FixMatch.Config(**SHARED, classifier_optimizer=sgd(0.1), terms=Terms(pseudo_label=label), ramp_up_epochs=2)
    module = FixMatch(make_classifier(0.0), config)
    images, guesses = torch.rand(40, 1, 8, 8), torch.randn(40, 10).mul(3).softmax(1)
    module.neighbors.remember(images.flatten(1), guesses)
    c, teacher, batch = step_with_another_teacher(module, digits)
    q = smoothed(teacher(batch["unlabeled"]).softmax(1), batch["unlabeled"], list(zip(images, guesses, strict=True)))
    targets = (q**2 / (q**2).sum(1, keepdim=True)).detach()
    loss = losses.supervised(c(batch["labeled"]), batch["targets"])
    loss = loss - 0.7 * (targets * c(batch["strong"]).log_softmax(1)).sum(1).mean()
    assert_sgd_step(module.classifier, c, loss)


def test_neighbors_fall_to_nothing(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a share that stays, one of an epoch, and an end where it goes on below 0."""
    shares = []
    monkeypatch.setattr(
        NeighborMemory, "smoothed", lambda _, images, log_q, share, recent: shares.append(share) or log_q
    )
    label = PseudoLabel(weight=0.7, neighbors=0.8)
    config = FixMatch.Config(**SHARED, classifier_optimizer=sgd(0.1), terms=Terms(pseudo_label=label), ramp_up_epochs=2)
    fit(FixMatch(make_classifier(0.0), config), digits, steps=2, epochs=3)
    assert shares == pytest.approx([0.6, 0.4, 0.2])


def test_neighbors_are_of_one_pass(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches an epoch of several passes over a small pool, in which an image finds itself."""
    seen = []
    monkeypatch.setattr(
        NeighborMemory, "smoothed", lambda _, images, log_q, share, recent: seen.append(recent) or log_q
    )
    config = FixMatch.Config(**SHARED, classifier_optimizer=sgd(0.1), batch_size=50, least_steps=100, ramp_up_epochs=2)
    config.terms = Terms(pseudo_label=PseudoLabel(weight=0.7, neighbors=0.8))
    data = SemiSupervisedData(
        digits, draw_split(digits.train_targets.numpy(), 10, 50, 0), strong=Augmentation((1, 8, 8))
    )
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, limit_val_batches=0, **quiet)
    trainer.fit(FixMatch(make_classifier(0.0), config), datamodule=data)
    assert data.passes > 1
    assert len(data.pool) / 2 < seen[0] <= len(data.pool)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "method.terms.pseudo_label.threshold=1.5",
            "method.terms.pseudo_label.threshold=1.5: use a number from 0 to 1",
        ),
        (
            "method.terms.pseudo_label.neighbors=0.5",
            "method.ramp_up_epochs=0: neighbors have a share until it ends; use 1 or more",
        ),
        (
            "method.terms.pseudo_label={adaptive:true,least_threshold:0.99,threshold:0.5}",
            "method.terms.pseudo_label.adaptive=true: between least_threshold=0.99 and threshold=0.5 there is no room",
        ),
        (
            "method={strong_labels:true,terms:{pseudo_label:{ood_quantile:0.1}}}",
            "method.terms.pseudo_label.ood_quantile: compares weak views of unlabeled images with those of labeled ones",
        ),
        ("strong_augmentation.cutout=9", "strong_augmentation.cutout=9.0: use 0 to 8 pixels for 8x8 images"),
    ],
)
def test_mistakes(ssgan: Callable[..., Outcome], tmp_path: Path, setting: str, message: str) -> None:
    outcome = ssgan("fit", *tiny("fixmatch"), setting, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert message in outcome.err


def test_its_term_works_in_another_method(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    """`method=improved_gan method.terms.pseudo_label.weight=1`."""
    outcome = ssgan("fit", *TINY, "method.terms.pseudo_label.weight=1", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    rows = (tmp_path / "digits@50/improved_gan/split0-seed0/metrics.csv").read_text()
    assert "train/pseudo_label" in rows.splitlines()[0]


def test_out_of_distribution_images_are_left_out(digits: ImageData) -> None:
    """Images whose log Z is below the labeled ones' quantile teach nothing, whatever they are taken for."""
    term = PseudoLabel(weight=1.0, threshold=0.0, ood_quantile=0.25)
    module = FixMatch(
        make_classifier(0.0), FixMatch.Config(**SHARED, classifier_optimizer=sgd(0.1), terms=Terms(pseudo_label=term))
    )
    c, teacher, batch = step_with_another_teacher(module, digits)
    weak, strong, known = teacher(batch["unlabeled"]), c(batch["strong"]), teacher(batch["labeled"])
    familiar = weak.logsumexp(1) >= known.logsumexp(1).quantile(0.25)
    assert 0 < familiar.sum() < len(familiar)
    each = -strong.log_softmax(1)[torch.arange(len(weak)), weak.argmax(1)]
    loss = losses.supervised(c(batch["labeled"]), batch["targets"]) + (each * familiar).mean()
    assert_sgd_step(module.classifier, c, loss)
