"""Error, calibration and likelihood by hand."""

import math

import pytest
import torch

from ssgan.errors import SsganError
from ssgan.evaluation.classification import at_coverage, evaluate, risk_coverage


def test_by_hand() -> None:
    p = torch.tensor([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.2, 0.8, 0.0]]).clamp_min(1e-30)
    result = evaluate(p.log(), torch.tensor([0, 1, 1, 1]))
    assert result["n"] == 4
    assert result["error"] == 0.25
    assert result["per_class_error"] == [0.0, pytest.approx(1 / 3), None]
    assert result["balanced_error"] == pytest.approx(1 / 6)
    assert result["nll"] == pytest.approx(
        -(math.log(0.8) + math.log(0.4) + math.log(0.7) + math.log(0.8)) / 4, abs=1e-6
    )
    assert result["ece"] == pytest.approx((2 * 0.2 + 0.6 + 0.3) / 4, abs=1e-5)


def test_error_counts_images_and_not_classes() -> None:
    """Kills the macro average that torchmetrics takes by default."""
    targets = torch.tensor([0] * 9 + [1])
    assert evaluate(torch.tensor([[0.9, 0.1]]).log().expand(10, 2), targets)["error"] == pytest.approx(0.1)


def test_probabilities_that_are_no_numbers() -> None:
    with pytest.raises(SsganError, match="are no numbers"):
        evaluate(torch.tensor([[0.0, math.nan]]), torch.tensor([0]))


def test_the_surest_images_by_hand() -> None:
    """Kills images in ascending order of certainty, and one that is the surest since it stands first among equals."""
    p = torch.tensor([0.7, 0.9, 0.6, 0.9, 0.8])  # of class 0
    targets = torch.tensor([1, 0, 1, 1, 0])  # by certainty: one of two 0.9 wrong, 0.8 right, 0.7 and 0.6 wrong
    log_p = torch.stack([p, 1 - p], 1).log()
    risks = risk_coverage(log_p, targets)
    assert risks.tolist() == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 2, 3 / 5])
    assert risk_coverage(log_p.flip(0), targets.flip(0)).tolist() == pytest.approx(risks.tolist())
    assert [at_coverage(risks, share) for share in (0.01, 0.6, 1.0)] == pytest.approx([1 / 2, 1 / 3, 3 / 5])
    measured = evaluate(log_p, targets)
    assert measured["aurc"] == pytest.approx(risks.mean().item(), abs=1e-6)
    assert measured["selective"]["0.8"] == 0.5
    assert measured["selective"]["0.5"] == pytest.approx(0.5)  # two of five images
