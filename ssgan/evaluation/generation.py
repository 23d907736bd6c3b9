"""How good generated images are, from what a judge makes of them: its features f(x), (N, F), and log p(y | x), (N, K).

Features are computed once; every metric takes the same ones. Against Inception's features and 1000 classes the names
are those of the literature; with another classifier as the judge, figures compare under that judge only.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from ssgan.errors import SsganError
from ssgan.evaluation.judges import Judge
from ssgan.seeds import derive_seed

NEIGHBORS = 3
"""The k of precision and recall (Kynkäänniemi et al. 2019, sec. 3.1)."""

ROWS_AT_ONCE = 500
MOST_NEIGHBORS_OF = 10_000
"""Images of each kind that precision and recall look at: their time grows with the square."""


def require_enough(samples: int, splits: int) -> None:
    """Raise `SsganError` if so many samples cannot be measured in so many splits."""
    least = max(splits, NEIGHBORS + 1)
    if splits < 1 or samples < least:
        raise SsganError(f"samples={samples}, splits={splits}: use 1 split or more, and at least {least} samples")


def classifier_score(log_probabilities: Tensor, splits: int, rng: torch.Generator) -> tuple[float, float]:
    """exp(E_x KL[p(y|x) || p(y)]) in ``splits`` parts of a random order: mean and population sd over the parts.

    Salimans et al. 2016, sec. 4, where the judge is Inception: the inception score. 1 for images that all look alike
    to the judge, or that tell it nothing; K at most. Raises `SsganError` for fewer images than splits.
    """
    if splits < 1 or len(log_probabilities) < splits:
        raise SsganError(f"samples={len(log_probabilities)}: {splits} splits need that many samples; use more")
    order = torch.randperm(len(log_probabilities), generator=rng)
    scores = []
    for part in log_probabilities.double()[order].tensor_split(splits):
        p = part.exp()
        marginal = p.mean(0)
        divergence = torch.special.xlogy(p, p).sum(1).mean() - torch.special.xlogy(marginal, marginal).sum()
        scores.append(divergence.exp())
    sd, mean = torch.std_mean(torch.stack(scores), correction=0)
    return mean.item(), sd.item()


class _Features(nn.Module):
    """What torchmetrics takes for a feature extractor: the features are there already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """|mu_r - mu_g|^2 + tr(C_r + C_g - 2 (C_r C_g)^(1/2)) of the features (Heusel et al. 2017, eq. 6)."""
    metric = FrechetInceptionDistance(_Features(real.shape[1])).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(generated.double(), real=False)
    return float(metric.compute())


def kernel_distance(real: Tensor, generated: Tensor, rng: torch.Generator) -> tuple[float, float]:
    """Squared MMD of the features under a cubic kernel, over 100 subsets: mean and sd (Binkowski et al. 2018).

    A subset is of 1,000 images, or of half of the smaller set: of whole ones all would be the same.
    """
    size = max(2, min(1000, len(real) // 2, len(generated) // 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will save all extracted features")  # which are in memory anyway
        metric = KernelInceptionDistance(_Features(real.shape[1]), subsets=100, subset_size=size)
    metric.update(real.float(), real=True)
    metric.update(generated.float(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(1 << 31, (), generator=rng)))
        mean, sd = metric.compute()
    return float(mean), float(sd)


def precision_recall(real: Tensor, generated: Tensor, k: int = NEIGHBORS) -> tuple[float, float]:
    """Shares of generated images within reach of real ones, and the reverse (Kynkäänniemi et al. 2019, eq. 1 and 2).

    An image's reach is its distance to the ``k``-th nearest of its own kind. Distances are held for 500 images at a
    time. Raises `SsganError` for sets of k images or fewer.
    """
    if min(len(real), len(generated)) <= k:
        raise SsganError(f"samples={len(generated)}: precision and recall need more than {k} of each kind")
    real, generated = real.float(), generated.float()
    return _share_within(generated, real, k), _share_within(real, generated, k)


def _share_within(points: Tensor, centers: Tensor, k: int) -> float:
    reach = torch.cat([torch.cdist(part, centers).kthvalue(k + 1).values for part in centers.split(ROWS_AT_ONCE)])
    inside = [(torch.cdist(part, centers) <= reach).any(1) for part in points.split(ROWS_AT_ONCE)]
    return torch.cat(inside).double().mean().item()


def _some(features: Tensor, rng: torch.Generator) -> Tensor:
    """`MOST_NEIGHBORS_OF` at random: those of a folder come class after class."""
    if len(features) <= MOST_NEIGHBORS_OF:
        return features
    return features[torch.randperm(len(features), generator=rng)[:MOST_NEIGHBORS_OF]]


def extract_features(judge: Judge, batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The judge's features and log-probabilities of all uint8 batches."""
    seen = [judge(batch) for batch in batches]
    return torch.cat([features for features, _ in seen]), torch.cat([log_p for _, log_p in seen])


def generation_metrics(
    real: Iterable[Tensor], generated: Iterable[Tensor], judge: Judge, splits: int, seed: int
) -> dict[str, Any]:
    """All of the above for batches of uint8 images, real and generated."""
    return metrics_of_features(extract_features(judge, real)[0], *extract_features(judge, generated), splits, seed)


def metrics_of_features(
    real: Tensor, generated: Tensor, log_probabilities: Tensor, splits: int, seed: int
) -> dict[str, Any]:
    """All of the above from the features of real and generated images, and log p(y | x) of the latter."""
    rng = torch.Generator().manual_seed(derive_seed("measure", seed))
    score, score_sd = classifier_score(log_probabilities, splits, rng)
    kid, kid_sd = kernel_distance(real, generated, rng)
    precision, recall = precision_recall(_some(real, rng), _some(generated, rng))
    return {
        "score": score,
        "score_sd": score_sd,
        "fid": frechet_distance(real, generated),
        "kid": kid,
        "kid_sd": kid_sd,
        "precision": precision,
        "recall": recall,
        "samples": len(generated),
        "real": len(real),
    }
