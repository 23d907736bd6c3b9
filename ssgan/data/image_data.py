"""What every data set is in memory, and where it came from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from ssgan.reading import AS_IS, PictureReading

PART = 1000
"""Images that are looked at together: all of them may be more than memory holds."""


@dataclass(frozen=True)
class Origin:
    """What was understood of a user's files before they became arrays."""

    notes: tuple[str, ...] = ()
    """Sentences: what could have been read in another way."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Files that are no pictures, by suffix or reason."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Pictures by their size in their file, "640x480" (width x height)."""
    modes: Mapping[str, int] = field(default_factory=dict)
    """Pictures by Pillow's name of how they hold colors: RGB, L, P, I;16."""
    files: tuple[str, ...] = ()
    """The files of all training images and then of all test images, relative to ``root``; none for arrays."""
    to_predict: tuple[Path, ...] = ()
    """Pictures for testing that nobody has labeled."""
    embedding: Mapping[str, Any] | None = None
    """By which backbone vectors were made of images, if ``ssgan.embed`` did so."""
    reading: PictureReading = AS_IS
    """How other pictures are to be read for a classifier that was trained on these."""
    root: Path | None = None


@dataclass(frozen=True)
class ImageData:
    """Images are uint8 (N, C, H, W), or vectors, float32 (N, F, 1, 1); targets int64 (N,), 0..K-1, or -1 for a training image
    without a label.

    There may be no test images. The last ``held_out`` training images are the data set's own for validation.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_targets: Tensor
    test_images: Tensor
    test_targets: Tensor
    held_out: int = 0
    origin: Origin = Origin()

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that two data sets share only if they hold the same images, targets and class names, and as many
        images for validation.
        """
        sha = hashlib.sha256(json.dumps(self.class_names).encode())
        if self.held_out:
            sha.update(f"{self.held_out} held out ".encode())
        for tensor in (self.train_images, self.train_targets, self.test_images, self.test_targets):
            sha.update(f"{tensor.dtype} {list(tensor.shape)} ".encode())
            for part in tensor.split(PART):
                sha.update(part.contiguous().numpy().data)
        return sha.hexdigest()[:16]

    @property
    def training_count(self) -> int:
        """How many images there are to train on: without the data set's own for validation."""
        return len(self.train_images) - self.held_out

    @property
    def of_vectors(self) -> bool:
        """Whether it holds vectors: embeddings, rows of a table, spectra."""
        return self.train_images.is_floating_point()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width
