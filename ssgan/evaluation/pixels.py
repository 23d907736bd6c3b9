"""What a user would pick instead, at no cost: scikit-learn's learners on pixels, with the same labels."""

import warnings

import numpy as np
from torch import Tensor

from ssgan.data.image_data import ImageData
from ssgan.data.splits import Split

LEARNERS = ("label_spreading", "logistic_regression")
SPREAD_OVER = 10_000
"""Images that label spreading sees at most; its graph grows with their square."""


def errors_on_pixels(data: ImageData, split: Split) -> dict[str, float]:
    """Error on the test images, by `LEARNERS`, of those that ``split`` labels; {} without test images.

    Pixels are scaled to [0, 1]. Label spreading (Zhou et al. 2004) joins 7 neighbors, with alpha 0.2, over the labeled images
    and a sample of the rest of the pool, which the split's seed draws; logistic regression sees the labeled ones alone.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import LabelSpreading

    if not len(data.test_images):
        return {}
    rest = np.setdiff1d(np.arange(len(data.train_images)), [*split.labeled, *split.validation])
    sample = np.random.RandomState(split.split_seed).permutation(rest)[: max(0, SPREAD_OVER - len(split.labeled))]
    labeled, targets = flat(data.train_images[list(split.labeled)]), data.train_targets[list(split.labeled)].numpy()
    everything = np.concatenate([labeled, flat(data.train_images[sample])])
    spreading = LabelSpreading("knn", n_neighbors=min(7, len(everything)), alpha=0.2, max_iter=100)
    regression = LogisticRegression(max_iter=2000)
    test, truth = flat(data.test_images), data.test_targets.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an image whose neighbors know no label; a step that is not the last
        spreading.fit(everything, np.concatenate([targets, np.full(len(sample), -1)]))
        regression.fit(labeled, targets)
        found = zip(LEARNERS, (spreading, regression), strict=True)
        return {name: float((model.predict(test) != truth).mean()) for name, model in found}


def flat(images: Tensor) -> np.ndarray:
    """(N, C, H, W), uint8 -> (N, C H W), in [0, 1]; vectors as they are."""
    return (images.flatten(1).float() / (1 if images.is_floating_point() else 255)).numpy()
