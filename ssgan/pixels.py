"""The one place where pixels change between uint8 and the range that a network takes."""

import torch
from torch import Tensor

PixelRange = tuple[float, float]


def scale_pixels(images: Tensor, pixel_range: PixelRange, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 0..255 -> ``dtype`` in [low, high], any shape; bfloat16 keeps 8 of the levels' bits."""
    low, high = pixel_range
    scaled = images.to(dtype).mul_((high - low) / 255)
    return scaled.add_(low) if low else scaled


def to_uint8(images: Tensor, pixel_range: PixelRange) -> Tensor:
    """Float in [low, high] -> uint8, rounded to the nearest level; what lies outside is clipped."""
    low, high = pixel_range
    return ((images.float() - low) * (255 / (high - low))).round().clamp(0, 255).byte()
