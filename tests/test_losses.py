"""The losses equal their definitions and stay finite."""

import inspect
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssgan import losses


def explicit_softmax(logits: Tensor) -> Tensor:
    """The (K+1)-way softmax with the fake logit 0, in float64."""
    return torch.cat([logits.double(), torch.zeros(len(logits), 1, dtype=torch.float64)], dim=1).softmax(1)


logits_strategy = st.integers(0, 2**31).map(
    lambda seed: torch.randn(7, 5, generator=torch.Generator().manual_seed(seed)) * 4
)


@given(logits_strategy, logits_strategy)
@settings(max_examples=30, deadline=None)
def test_unsupervised_loss_is_half_the_cross_entropies_of_the_explicit_softmax(real: Tensor, fake: Tensor) -> None:
    expected_real = -0.5 * (1 - explicit_softmax(real)[:, -1]).log().mean()
    expected_fake = -0.5 * explicit_softmax(fake)[:, -1].log().mean()
    torch.testing.assert_close(losses.real_loss(real).double(), expected_real, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses.fake_loss(fake).double(), expected_fake, rtol=1e-5, atol=1e-6)


@given(logits_strategy)
@settings(max_examples=30, deadline=None)
def test_supervised_loss_conditions_on_being_real(logits: Tensor) -> None:
    """Kills a softmax over K+1 classes in the label loss, and a softmax applied twice."""
    targets = torch.arange(7) % 5
    p = explicit_softmax(logits)
    conditional = p[torch.arange(7), targets] / (1 - p[:, -1])
    torch.testing.assert_close(
        losses.supervised(logits, targets).double(), -conditional.log().mean(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("scale", [-300.0, 300.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_everything_is_finite_at_300(scale: float, dtype: torch.dtype) -> None:
    """Kills log(sigmoid(x) + eps) and a log-sum-exp in half precision."""
    logits = torch.full((4, 10), scale, dtype=dtype, requires_grad=True)
    total = (
        losses.real_loss(logits)
        + losses.fake_loss(logits)
        + losses.supervised(logits, torch.zeros(4, dtype=torch.int64))
    )
    total.backward()
    assert total.dtype == torch.float32
    assert total.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_the_gradient_does_not_vanish_where_the_classifier_is_wrong() -> None:
    logits = torch.full((1, 3), 300.0, requires_grad=True)
    losses.fake_loss(logits).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(), torch.tensor(0.5))


EVERY_LOSS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "supervised": lambda x, y: losses.supervised(x, torch.arange(8)),
    "real_loss": lambda x, y: losses.real_loss(x, 0.9),
    "fake_loss": lambda x, y: losses.fake_loss(x),
    "minimax": lambda x, y: losses.minimax(x),
    "non_saturating": lambda x, y: losses.non_saturating(x),
    "blended": lambda x, y: losses.blended(x),
    "preference": losses.preference,
    "feature_matching": lambda x, y: losses.feature_matching(x, y, "l2"),
    "pull_away": lambda x, y: losses.pull_away(x),
    "probability_real": lambda x, y: losses.probability_real(x),
    "probability_preferred": losses.probability_preferred,
    "consistency": losses.consistency,
    "squared_error": losses.squared_error,
    "soft_targets": lambda x, y: losses.soft_targets(x, 0.5),
    "kl_divergence": losses.kl_divergence,
    "virtual_adversarial": lambda x, y: losses.virtual_adversarial(lambda images: images * y, x, y, y, 0.1, 0.01),
    "class_balance": lambda x, y: losses.class_balance(x),
    "pseudo_label": lambda x, y: losses.pseudo_label(x, y, 0.1, 0.5),
    "entropy": lambda x, y: losses.entropy(x),
    "squared_distance": losses.squared_distance,
    "historical_averaging": lambda x, y: losses.historical_averaging([x], [y]),
}


def test_every_loss_is_listed() -> None:
    public = {
        name
        for name, value in vars(losses).items()
        if inspect.isfunction(value) and value.__module__ == losses.__name__ and not name.startswith("_")
    }
    assert EVERY_LOSS.keys() >= public - {"log_partition"}


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_float32_under_autocast(name: str) -> None:
    logits, others = torch.randn(8, 10), torch.randn(8, 10)
    with torch.autocast("cpu", torch.bfloat16):
        inside = EVERY_LOSS[name](logits, others)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, EVERY_LOSS[name](logits, others))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_feature_matching_compares_batch_means(norm: str) -> None:
    """Kills the per-sample distance that many ports call feature matching, and gradients into the real features."""
    real = torch.randn(12, 6, requires_grad=True)
    fake = torch.randn(9, 6, requires_grad=True)
    permuted = losses.feature_matching(real, real[torch.randperm(12)], norm)
    torch.testing.assert_close(permuted, torch.tensor(0.0), atol=1e-6, rtol=0)
    losses.feature_matching(real, fake, norm).backward()
    assert real.grad is None
    assert fake.grad is not None
    assert (fake.grad[0] == fake.grad[1]).all()  # only the mean matters


def test_pull_away_is_the_mean_squared_cosine_of_pairs() -> None:
    """Kills pairs of an image with itself, a mean over the wrong number, and cosines of unnormed features."""
    features = torch.randn(5, 7)
    cosines = [F.cosine_similarity(a, b, dim=0) for i, a in enumerate(features) for b in features[i + 1 :]]
    torch.testing.assert_close(losses.pull_away(features), torch.stack(cosines).square().mean())
    torch.testing.assert_close(losses.pull_away(torch.eye(4) * 9), torch.tensor(0.0))
    torch.testing.assert_close(losses.pull_away(torch.ones(4, 3)), torch.tensor(1.0))
    zeros = torch.zeros(3, 2, requires_grad=True)
    losses.pull_away(zeros).backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()


def test_consistency_is_the_squared_distance_of_probabilities() -> None:
    """Kills a mean over classes, logits in place of probabilities, and gradients that reach the teacher."""
    student, teacher = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    distances = [(s.softmax(0) - t.softmax(0)).norm() ** 2 for s, t in zip(student, teacher, strict=True)]
    loss = losses.consistency(student, teacher)
    torch.testing.assert_close(loss, torch.stack(distances).mean())
    loss.backward()
    assert student.grad is not None
    assert teacher.grad is None
    far = 300 * torch.eye(2)
    torch.testing.assert_close(losses.consistency(far, far.flip(0)), torch.tensor(2.0))


def test_class_balance_is_a_divergence_from_equal_shares() -> None:
    """Kills the entropy of each image, a sum over classes in place of their mean, and a sign."""
    certain = 50 * torch.eye(3)
    torch.testing.assert_close(losses.class_balance(certain), torch.tensor(0.0))
    torch.testing.assert_close(losses.class_balance(torch.zeros(5, 4)), torch.tensor(0.0))
    shares = certain[[0, 0, 1, 2]].softmax(1).mean(0)
    divergence = torch.nn.functional.kl_div(shares.log(), torch.full((3,), 1 / 3), reduction="sum")
    torch.testing.assert_close(losses.class_balance(certain[[0, 0, 1, 2]]), divergence)
    absent = certain[:2].requires_grad_()
    losses.class_balance(absent).backward()
    assert absent.grad is not None
    assert absent.grad.isfinite().all()


def test_feature_matching_values() -> None:
    real, fake = torch.zeros(2, 2), torch.tensor([[3.0, 1.0], [3.0, -3.0]])
    assert losses.feature_matching(real, fake, "l2").item() == pytest.approx((9 + 1) / 2)
    assert losses.feature_matching(real, fake, "l1").item() == pytest.approx((3 + 1) / 2)
    with pytest.raises(ValueError, match="l3"):
        losses.feature_matching(real, fake, "l3")
