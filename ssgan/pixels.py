"""The one place where pixels change between uint8 and the range that a network takes."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError, first_line

PixelRange = tuple[float, float]

AT_ONCE = 1000 * 3 * 32 * 32
"""Upper bound on pixel values per inference batch: 1,000 images of CIFAR-10."""


def as_tensor(images: Tensor | np.ndarray[Any, Any]) -> Tensor:
    """``images`` as a tensor, whatever the order of an array in memory; raises `SsganError` for what holds no numbers."""
    if isinstance(images, Tensor):
        return images
    try:
        array = np.asarray(images)
        return unwritten(np.require(array, array.dtype.newbyteorder("="), ["C"]))
    except (ValueError, TypeError) as error:
        raise SsganError(f"images are no array of numbers ({first_line(error)}); use uint8 or floats") from error


def unwritten(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the memory of ``array``, which may be a read-only map of a file: without torch's warning, as nothing writes to it."""
    with warnings.catch_warnings(action="ignore"):
        return torch.from_numpy(array)


def at_once(image_shape: Sequence[int], at_most: int = 1000) -> int:
    """How many images of this shape a network sees together: ``at_most``, or as few as have `AT_ONCE` values."""
    return min(at_most, max(1, AT_ONCE // max(1, math.prod(image_shape))))


def in_parts(images: Tensor, at_most: int = 1000) -> tuple[Tensor, ...]:
    """``images``, (N, C, H, W), in parts of about the same size, `at_once` at most."""
    return images.tensor_split(max(1, -(-len(images) // at_once(images.shape[1:], at_most))))


def scale_pixels(images: Tensor, pixel_range: PixelRange, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 0..255 -> ``dtype`` in [low, high], any shape; bfloat16 keeps 8 of the levels' bits. Vectors, which are floats, stay."""
    if images.is_floating_point():
        return images.to(dtype)
    low, high = pixel_range
    scaled = images.to(dtype).mul_((high - low) / 255)
    return scaled.add_(low) if low else scaled


def between_ranges(images: Tensor, of: PixelRange | None, to: PixelRange | None) -> Tensor:
    """Floats in the range ``of`` -> floats in ``to``; None is that of vectors, which stay."""
    if of is None or to is None or tuple(of) == tuple(to):
        return images
    return (images - of[0]) * ((to[1] - to[0]) / (of[1] - of[0])) + to[0]


def to_uint8(images: Tensor, pixel_range: PixelRange) -> Tensor:
    """Float in [low, high] -> uint8, rounded to the nearest level; what lies outside is clipped."""
    low, high = pixel_range
    return ((images.float() - low) * (255 / (high - low))).round().clamp(0, 255).byte()


def levels_to_uint8(values: np.ndarray[Any, Any], levels: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Numbers of any type in ``levels`` (low, high) -> uint8, rounded; what lies outside is clipped."""
    low, high = levels
    scale = 255 / (high - low) if high > low else 0.0
    scaled: np.ndarray[Any, Any] = np.rint((values.astype(np.float64) - low) * scale).clip(0, 255).astype(np.uint8)
    return scaled


def reflect_indices(positions: Tensor, size: int) -> Tensor:
    """Positions outside 0..size-1 mirrored at the first and the last place, which are not repeated."""
    period = max(2 * (size - 1), 1)
    return (size - 1) - ((size - 1) - positions.remainder(period)).abs()
