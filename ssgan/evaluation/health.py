"""How varied a generator's images are, and how well the classifier tells them from real ones."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.distributed import local_only
from ssgan.evaluation.generation import NEIGHBORS, precision_recall
from ssgan.inference.sampling import draw_images
from ssgan.losses import probability_real
from ssgan.nets.base import ImageClassifier, ImageGenerator
from ssgan.nets.initialization import recalibrate
from ssgan.pixels import at_once, in_parts, scale_pixels
from ssgan.seeds import derive_seed

SAMPLES, CANDIDATES = 1000, 20_000
SMALL_SIDE = 16
"""Pixels of images that are compared are averaged 2x2 down to sides of this many."""


@torch.no_grad()
def generator_health(
    classifier: ImageClassifier,
    generator: ImageGenerator,
    images: Tensor,
    pool: Tensor,
    seed: int,
    fake_logit: float | None = 0.0,
    calibration_images: Tensor | None = None,
) -> dict[str, float]:
    """What `SAMPLES` generated images are like beside as many of ``images``, uint8 (N, C, H, W), at the places ``pool``, without labels.

    distinct: share of different images among the nearest ones, of `CANDIDATES` real images, of each sample, by pixels;
        distinct_real is the same of other real images. Few candidates are hit twice by chance: compare the two
    precision, recall: of the classifier's features (`precision_recall`)
    d_real, d_generated: mean D(x) = Z / (Z + exp(fake_logit)) (sec. 5, where the logit is 0) of real and of generated
        images; NaN without a ``fake_logit``

    The classifier is used as it is in evaluation; with ``calibration_images``, in its pixel range, a copy of it that they
    `recalibrate`. Returns nothing for too few images to have neighbors.
    """
    count = min(SAMPLES, len(pool) // 2)
    if count <= NEIGHBORS:
        return {}
    if calibration_images is not None:
        classifier = copy.deepcopy(classifier)
        recalibrate(classifier, calibration_images)
    training, generator_training = classifier.training, generator.training
    classifier.eval()
    device = next(classifier.parameters()).device
    order = pool[torch.randperm(len(pool), generator=torch.Generator().manual_seed(derive_seed("health", seed)))]
    others, candidates = images[order[:count]], _small(images, order[count:][:CANDIDATES])
    with local_only():
        generated = torch.cat(list(draw_images(generator, count, seed)))
        features, d = zip(*(_judged(classifier, part, device, fake_logit) for part in (others, generated)), strict=True)
    precision, recall = precision_recall(*features)
    classifier.train(training)
    generator.train(generator_training)
    return {
        "distinct": _distinct(_small(generated), candidates),
        "distinct_real": _distinct(_small(others), candidates),
        "precision": precision,
        "recall": recall,
        "d_real": d[0],
        "d_generated": d[1],
    }


def _judged(
    classifier: ImageClassifier, images: Tensor, device: torch.device, fake_logit: float | None
) -> tuple[Tensor, float]:
    """Features (N, F), and the mean of D."""
    parts = [
        classifier.features(scale_pixels(part.to(device), classifier.pixel_range))
        for part in in_parts(images, SAMPLES // 4)
    ]
    features = torch.cat(parts)
    d = math.nan if fake_logit is None else probability_real(classifier.head(features) - fake_logit).item()
    return features.float().flatten(1).cpu(), d


def distinct_nearest(images: Tensor, candidates: Tensor) -> float:
    """Number of different candidates among the nearest one of each image, over the number of images, by squared error."""
    return _distinct(_small(images), _small(candidates))


def _distinct(near: Tensor, far: Tensor) -> float:
    distances = far.square().sum(1) - 2 * near @ far.t()  # less a constant of each image
    return distances.argmin(1).unique().numel() / len(near)


def _small(images: Tensor, places: Tensor | None = None) -> Tensor:
    """The images, or those at some places, averaged down; a part at a time, since they may lie in a mapped file."""
    small = []
    for part in (torch.arange(len(images)) if places is None else places).split(at_once(images.shape[1:])):
        pixels = images[part].float() / 255
        while min(pixels.shape[2:]) > SMALL_SIDE:
            pixels = F.avg_pool2d(pixels, 2)
        small.append(pixels.flatten(1))
    return torch.cat(small)
