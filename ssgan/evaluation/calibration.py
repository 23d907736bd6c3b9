"""How far a classifier's probabilities can be trusted, and what makes them better: temperature scaling."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ssgan.evaluation.classification import evaluate

LEAST, MOST = 0.05, 20.0
"""Temperatures between which the best is looked for."""
SPREAD = 0.5
"""Standard deviation of log T before anything is known: most temperatures of trained classifiers are between 0.4 and 2.7."""


def fit_temperature(log_probabilities: Tensor, targets: Tensor) -> float:
    """The MAP estimate of T in softmax(log p / T) on held-out images (Guo et al. 2017, sec. 4.2).

    ``log_probabilities`` (N, K) of the classifier as it is, ``targets`` (N,) in 0..K-1. With a normal prior of log T, of sd `SPREAD`:
    of a hundred images all may be classified right, and the likelihood alone would then have T = 0.
    """

    from scipy.optimize import minimize_scalar  # a run that ends needs it, and none that starts

    def cost(log_t: float) -> float:
        of_images = F.nll_loss(with_temperature(log_probabilities.double(), math.exp(log_t)), targets, reduction="sum")
        return of_images.item() + log_t**2 / (2 * SPREAD**2)

    found = minimize_scalar(cost, bounds=(math.log(LEAST), math.log(MOST)), method="bounded")
    return math.exp(float(found.x))


def with_temperature(log_probabilities: Tensor, temperature: float) -> Tensor:
    """log softmax(log p / T), (N, K): of a classifier's logits, what `Classifier` answers with that temperature."""
    return (log_probabilities / temperature).log_softmax(1)


def evaluate_scaled(plain: Tensor, targets: Tensor, temperature: float, **record: Any) -> dict[str, Any]:
    """`evaluate` of log p (N, K), ``plain`` at temperature 1, as scaled; "calibration" says what it was before, beside ``record``."""
    before = evaluate(plain, targets)
    calibration = {"temperature": temperature, **record, "ece_before": before["ece"], "nll_before": before["nll"]}
    return evaluate(with_temperature(plain, temperature), targets) | {"calibration": calibration}
