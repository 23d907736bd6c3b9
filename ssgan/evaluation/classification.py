"""What a classifier is judged by."""

from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.errors import SsganError

BINS = 15
"""Of the top probability, for the calibration error."""
COVERAGES = 0.99, 0.95, 0.9, 0.8, 0.5
"""Shares of images, the surest ones, whose error a run records."""


def evaluate(log_probabilities: Tensor, targets: Tensor) -> dict[str, Any]:
    """Error rate, calibration and likelihood of log p(y | x), (N, K), against targets (N,) in 0..K-1.

    ``error`` and ``per_class_error`` are fractions (None for a class without images), ``balanced_error`` is the mean of the
    latter, in which a rare class counts as much as a frequent one, ``ece`` the expected
    calibration error in `BINS` equal bins of the top probability (Guo et al. 2017, eq. 3), ``nll`` is in nats per image.
    ``selective`` is the error of the surest images, by their share, and ``aurc`` the mean of `risk_coverage`. Raises `SsganError`
    for probabilities that are no numbers.
    """
    classes = log_probabilities.shape[1]
    if log_probabilities.isnan().any():
        raise SsganError("the classifier's probabilities are no numbers (NaN): its weights are damaged")
    risks = risk_coverage(log_probabilities, targets)
    count, confidence, right = calibration_bins(log_probabilities, targets)
    wrong = (log_probabilities.argmax(1) != targets).double()
    counts = torch.bincount(targets, minlength=classes).tolist()
    wrong_in_class = torch.bincount(targets, weights=wrong, minlength=classes).tolist()
    per_class = [w / n if n else None for w, n in zip(wrong_in_class, counts, strict=True)]
    return {
        "error": wrong.mean().item(),
        "n": len(targets),
        "balanced_error": mean(error for error in per_class if error is not None),
        "per_class_error": per_class,
        "ece": round(((confidence - right).abs() * count).nansum().item() / len(targets), 6),
        "nll": round(F.nll_loss(log_probabilities, targets).item(), 6),
        "aurc": round(risks.mean().item(), 6),
        "selective": {str(share): round(at_coverage(risks, share), 6) for share in COVERAGES},
    }


def calibration_bins(log_probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(count, mean top probability, share right) of `BINS` equal bins of the top probability; NaN where a bin is empty."""
    top, predicted = log_probabilities.double().exp().max(1)
    place = (top * BINS).long().clamp(max=BINS - 1)  # probability 1 belongs to the last bin
    count = torch.bincount(place, minlength=BINS)
    confidence = torch.bincount(place, weights=top, minlength=BINS) / count
    right = torch.bincount(place, weights=(predicted == targets).double(), minlength=BINS) / count
    return count, confidence, right


def risk_coverage(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    """Error rate among the 1, 2, ... N images of the greatest top probability, (N,) (Geifman and El-Yaniv 2017, sec. 2).

    Equally certain images come in no order: each counts as wrong by their share of wrong ones.
    """
    certainty, order = log_probabilities.max(1).values.sort(descending=True)
    wrong = (log_probabilities.argmax(1) != targets).double()[order]
    _, tie, size = certainty.unique_consecutive(return_inverse=True, return_counts=True)
    expected = (torch.zeros(len(size)).double().index_add_(0, tie, wrong) / size)[tie]
    return expected.cumsum(0) / torch.arange(1, len(wrong) + 1)


def at_coverage(risks: Tensor, share: float) -> float:
    """The error of the surest ``share`` of images, of one at least."""
    return risks[max(0, round(share * len(risks)) - 1)].item()


def ood_share_lower_bound(pool: Tensor, known: Tensor) -> float:
    """A lower bound on the out-of-distribution share of ``pool``, log p (N, K), given that of in-distribution ``known``.

    Half of the known images are less certain than their median. Of a pool that is like them no more than half is, since it was learned
    from; each image of no class can add one: if a share b lies below, they are 2b - 1 or more.
    """
    certain = known.max(1).values.median()
    below = (pool.max(1).values < certain).double().mean().item()
    return max(0.0, 2 * below - 1)
