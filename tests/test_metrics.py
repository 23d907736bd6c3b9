"""Error, calibration and likelihood by hand."""

import math

import pytest
import torch

from ssgan.evaluation.classification import evaluate


def test_by_hand() -> None:
    p = torch.tensor([[0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.2, 0.8, 0.0]]).clamp_min(1e-30)
    result = evaluate(p.log(), torch.tensor([0, 1, 1, 1]))
    assert result["n"] == 4
    assert result["error"] == 0.25
    assert result["per_class_error"] == [0.0, pytest.approx(1 / 3), None]
    assert result["nll"] == pytest.approx(
        -(math.log(0.8) + math.log(0.4) + math.log(0.7) + math.log(0.8)) / 4, abs=1e-6
    )
    assert result["ece"] == pytest.approx((2 * 0.2 + 0.6 + 0.3) / 4, abs=1e-5)


def test_error_counts_images_and_not_classes() -> None:
    """Kills the macro average that torchmetrics takes by default."""
    targets = torch.tensor([0] * 9 + [1])
    assert evaluate(torch.tensor([[0.9, 0.1]]).log().expand(10, 2), targets)["error"] == pytest.approx(0.1)
