"""How far a classifier's probabilities can be trusted, and what makes them better: temperature scaling."""

from torch import Tensor

LEAST, MOST = 0.05, 20.0
"""Temperatures between which the best is looked for."""
HALVINGS = 60


def fit_temperature(log_probabilities: Tensor, targets: Tensor) -> float:
    """The T for which softmax(log p / T) has the highest likelihood on images that the classifier has not learned from (Guo et al. 2017,
    sec. 4.2).

    ``log_probabilities`` (N, K) of the classifier as it is, ``targets`` (N,) in 0..K-1. A share 1 / (N + 1) of the targets is spread
    over all classes, as if of one image more nothing was known: of few images all may be classified right, and the best T would
    be 0. The likelihood is concave in 1 / T, so its slope is halved down to its zero.
    """
    log_p, count = log_probabilities.double(), len(targets)
    right = log_p.gather(1, targets[:, None]).squeeze(1)
    wanted = (right * count + log_p.mean(1)) / (count + 1)

    def slope(inverse: float) -> float:
        """Of the negative log-likelihood over 1 / T: mean score under the classifier less that of the targets."""
        return float((((log_p * inverse).softmax(1) * log_p).sum(1) - wanted).mean())

    low, high = 1 / MOST, 1 / LEAST
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / (low * high) ** 0.5


def scaled(log_probabilities: Tensor, temperature: float) -> Tensor:
    """log softmax(log p / T), (N, K): of a classifier's logits, what `Classifier` answers with that temperature."""
    return (log_probabilities / temperature).log_softmax(1)
