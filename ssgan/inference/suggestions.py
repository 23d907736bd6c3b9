"""Which images a person should label next: those whose labels would help most, by rules of active learning."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier
from ssgan.inference.views import AveragedViews
from ssgan.pixels import in_parts
from ssgan.seeds import derive_seed

UNCERTAIN = 10
"""Times as many images as are wanted are uncertain enough for the mixed rule."""


@dataclass(frozen=True)
class Query:
    """What `suggest` chooses from: ``count`` of ``images``, for ``classifier``.

    ``images`` (N, C, H, W) have no label, ``labeled`` (M, C, H, W) do; ``seed`` decides what is drawn at random.
    """

    classifier: Classifier
    images: Tensor
    labeled: Tensor
    count: int
    seed: int = 0


def at_random(query: Query) -> Tensor:
    rng = torch.Generator().manual_seed(derive_seed("suggest", query.seed))
    return torch.randperm(len(query.images), generator=rng)[: query.count]


def by_margin(query: Query) -> Tensor:
    """Least difference between the two most probable classes (Scheffer et al. 2001)."""
    return margins(query).argsort()[: query.count]


def by_views(query: Query) -> Tensor:
    """Most information that views of an image, moved and flipped as in training, give about the class: entropy of their mean
    less their mean entropy (Houlsby et al. 2011, with views in place of networks).
    """
    views = AveragedViews(query.classifier)
    each = torch.stack([answers.log_probabilities for answers in views.each(query.images)])
    mean = each.exp().mean(0)
    information = entropy(mean.clamp_min(1e-12).log()) - entropy(each).mean(0)
    return information.argsort(descending=True)[: query.count]


def by_coverage(query: Query) -> Tensor:
    """Each the farthest from the labeled images and those chosen before, in feature space (k-center greedy, Sener and Savarese 2018)."""
    return farthest(features(query.classifier, query.images), features(query.classifier, query.labeled), query.count)


def mixed(query: Query) -> Tensor:
    """By coverage, among the `UNCERTAIN` times as many images with the least margins: neither many of one kind nor what is known."""
    uncertain = margins(query).argsort()[: UNCERTAIN * query.count]
    chosen = farthest(
        features(query.classifier, query.images[uncertain]),
        features(query.classifier, query.labeled),
        query.count,
    )
    return uncertain[chosen]


RULES: dict[str, Callable[[Query], Tensor]] = {
    "mix": mixed,
    "margin": by_margin,
    "views": by_views,
    "coverage": by_coverage,
    "random": at_random,
}


def suggest(query: Query, rule: str) -> Tensor:
    """Places in ``query.images``, (count,), the most wanted first; raises `SsganError` for another rule, and for too few images."""
    if rule not in RULES:
        raise SsganError(f"rule={rule}: use {', '.join(RULES)}")
    if not 1 <= query.count <= len(query.images):
        raise SsganError(f"count={query.count}: use 1 to {len(query.images)}, the images to choose from")
    return RULES[rule](query)


def margins(query: Query) -> Tensor:
    """p of the most probable class less that of the next, (N,)."""
    first, second = query.classifier.predict_proba(query.images).topk(2, 1).values.t()
    return first - second


def entropy(log_probabilities: Tensor) -> Tensor:
    """Over the last dimension, in nats."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)


@torch.inference_mode()
def features(classifier: Classifier, images: Tensor) -> Tensor:
    """f(x) of unit length, float32 (N, F)."""
    parts = [classifier.network.features(classifier.to_network_range(part)) for part in in_parts(images)]
    return F.normalize(torch.cat(parts).float().flatten(1))


def farthest(candidates: Tensor, covered: Tensor, count: int) -> Tensor:
    """Places of ``count`` of the ``candidates`` (N, F), each the farthest from ``covered`` (M, F) and those chosen before it."""
    nearest = torch.cat([torch.cdist(part, covered).amin(1) for part in candidates.split(1000)])
    chosen = []
    for _ in range(count):
        place = int(nearest.argmax())
        chosen.append(place)
        nearest = torch.minimum(nearest, (candidates - candidates[place]).norm(dim=1))
        nearest[place] = -1.0  # not again, where all others are copies of what is covered
    return torch.tensor(chosen)
