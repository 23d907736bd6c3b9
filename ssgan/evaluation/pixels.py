"""What a user would pick instead, at no cost: scikit-learn's learners on pixels, with the same labels."""

import warnings
from typing import Any

import numpy as np
from torch import Tensor

from ssgan.data.image_data import ImageData
from ssgan.data.splits import Split
from ssgan.pixels import in_parts

LEARNERS = ("label_spreading", "logistic_regression")
SPREAD_OVER = 10_000
"""Images that a learner sees at most; label spreading's graph grows with their square."""
MOST_VALUES = 1 << 28
"""Values of these images, at most: a gigabyte of floats."""


def errors_on_pixels(data: ImageData, split: Split) -> dict[str, float]:
    """Error on the test images, by `LEARNERS`, of those that ``split`` labels; {} without test images, or labels of one class alone.

    Pixels are scaled to [0, 1]. Label spreading (Zhou et al. 2004) joins 7 neighbors, with alpha 0.2, over the labeled images
    and a sample of the rest of the pool; logistic regression sees the labeled ones alone. The split's seed draws the sample, and
    labeled images where they are more than `SPREAD_OVER`, or have more than `MOST_VALUES`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import LabelSpreading

    most = min(SPREAD_OVER, MOST_VALUES // data.train_images[0].numel())
    rng = np.random.RandomState(split.split_seed)
    chosen = np.array(split.labeled, dtype=np.int64)
    rest = rng.permutation(np.setdiff1d(np.arange(len(data.train_images)), [*split.labeled, *split.validation]))
    if len(chosen) > most:
        chosen = rng.permutation(chosen)[:most]
    targets = data.train_targets[chosen].numpy()
    if not len(data.test_images) or len(np.unique(targets)) < 2:
        return {}
    labeled, sample = flat(data.train_images[chosen]), rest[: most - len(chosen)]
    everything = np.concatenate([labeled, flat(data.train_images[sample])])
    spreading = LabelSpreading("knn", n_neighbors=min(7, len(everything)), alpha=0.2, max_iter=100)
    regression = LogisticRegression(max_iter=2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an image whose neighbors know no label; a step that is not the last
        spreading.fit(everything, np.concatenate([targets, np.full(len(sample), -1)]))
        regression.fit(labeled, targets)
        found = zip(LEARNERS, (spreading, regression), strict=True)
        return {name: error_on(model, data.test_images, data.test_targets) for name, model in found}


def error_on(model: Any, images: Tensor, targets: Tensor) -> float:
    predicted = [model.predict(flat(part)) for part in in_parts(images)]
    return float((np.concatenate(predicted) != targets.numpy()).mean())


def flat(images: Tensor) -> np.ndarray:
    """(N, C, H, W), uint8 -> (N, C H W), in [0, 1]; vectors as they are."""
    return (images.flatten(1).float() / (1 if images.is_floating_point() else 255)).numpy()
