"""The benchmark on the mixture of Gaussians counts modes rightly, and its runs and groups do not see one another."""

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import mixture


@pytest.mark.parametrize("name", ["minimax_1", "blended_4", "blended_minibatch", "feature_matching"])
def test_training_is_finite_repeats_and_moves(name: str) -> None:
    """Kills a generator that is never updated, and a draw that does not follow the seed."""
    first, again = (mixture.train(mixture.VARIANTS[name], runs=2, shown=(0, 4)) for _ in range(2))
    assert [points.shape for points in first] == [(2, mixture.POINTS, 2)] * 2
    assert all(torch.equal(one, other) and one.isfinite().all() for one, other in zip(first, again, strict=True))
    assert (first[1].mean(1) - first[0].mean(1)).abs().max() > 1e-3
    assert not torch.allclose(first[1][0], first[1][1])


def test_measures_of_known_points() -> None:
    everywhere, nowhere = mixture.CENTERS.repeat(250, 1), torch.zeros(2000, 2)
    assert mixture.measure(everywhere) == {"modes": 8, "quality": 1, "spread": 8}
    assert mixture.measure(mixture.CENTERS[:1].repeat(2000, 1)) == {"modes": 1, "quality": 1, "spread": 1}
    assert mixture.measure(mixture.CENTERS[:4].repeat(500, 1)) == {"modes": 4, "quality": 1, "spread": 4}
    assert mixture.measure(1.5 * everywhere) == {"modes": 0, "quality": 0, "spread": 8}
    half = mixture.measure(torch.cat([everywhere, nowhere]))
    assert (half["modes"], half["quality"]) == (8, 0.5)


def test_a_mode_needs_its_share_of_the_points_within_its_radius() -> None:
    """Kills a count of modes that a single stray point, or a point nearly 3 sd off along each axis, would enter."""
    points = torch.zeros(2000, 2)
    points[:19] = mixture.CENTERS[0]
    assert mixture.measure(points)["modes"] == 0
    points[19] = mixture.CENTERS[0]
    assert mixture.measure(points)["modes"] == 1
    points[:20] += 0.99 * mixture.NEAR * mixture.SD
    assert mixture.measure(points)["modes"] == 0


def test_the_mixture_itself_covers_all_modes() -> None:
    """Kills a wrong sd and modes that are not drawn equally often."""
    torch.manual_seed(0)
    measured = mixture.measure(mixture.draw_real(1, 20_000)[0])
    assert measured["modes"] == mixture.MODES
    assert measured["quality"] == pytest.approx(1 - math.exp(-(mixture.NEAR**2) / 2), abs=0.003)
    assert measured["spread"] == pytest.approx(mixture.MODES, abs=0.02)


@pytest.mark.parametrize("name", ["minimax_1", "blended_2", "blended_minibatch"])
def test_a_discriminator_sees_its_own_run_and_group_only(name: str) -> None:
    """Kills points that are concatenated across groups, and runs that are mixed by a transposed layer."""
    torch.manual_seed(0)
    variant = mixture.VARIANTS[name]
    discriminator, points = mixture.Discriminator(3, variant), mixture.draw_real(3, mixture.BATCH)
    discriminator.initialize(points)
    before = discriminator(points)[0].detach()
    assert before.shape == (3, mixture.BATCH // variant.together, 1)
    points[1, 5] += 0.1
    changed = (discriminator(points)[0] != before).squeeze(2)
    assert changed[[0, 2]].sum() == 0
    if variant.minibatch:
        assert changed[1].sum() > 1
    else:
        assert changed[1].nonzero().flatten().tolist() == [5 // variant.together]
