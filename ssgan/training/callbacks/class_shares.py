"""To which classes a classifier in training gives unlabeled images."""

from typing import Any

import torch

CLASSIFIED = 250
"""Unlabeled images that are classified at every look, as many at once as there are in a batch."""


@torch.no_grad()
def shares(module: Any, data: Any) -> tuple[list[float], list[float], list[str]]:
    """Each class's share of `CLASSIFIED` unlabeled images as the averaged classifier sees them, and of the labels; and its name.

    Nothing of a method without classes, and of one that was not set up from images.
    """
    images = module.calibration_images
    if images is None or len(images) < 2 or not module.uses_labels:
        return [], [], []
    parts = [part.to(module.device) for part in images[:CLASSIFIED].split(module.config.batch_size) if len(part) > 1]
    predicted = torch.cat([module.teacher_logits(part).argmax(1) for part in parts])
    labels = data.split.per_class
    return (
        (predicted.bincount(minlength=len(labels)) / len(predicted)).tolist(),
        [count / sum(labels) for count in labels],
        list(data.data.class_names),
    )
