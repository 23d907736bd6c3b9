"""The one place where pixels change between uint8 and the range that a network takes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

PixelRange = tuple[float, float]


def scale_pixels(images: Tensor, pixel_range: PixelRange, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 0..255 -> ``dtype`` in [low, high], any shape; bfloat16 keeps 8 of the levels' bits. Vectors, which are floats, stay."""
    if images.is_floating_point():
        return images.to(dtype)
    low, high = pixel_range
    scaled = images.to(dtype).mul_((high - low) / 255)
    return scaled.add_(low) if low else scaled


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
