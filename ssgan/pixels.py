"""The one place where pixels change between uint8 and the range that a network takes."""

from torch import Tensor

PixelRange = tuple[float, float]


def scale_pixels(images: Tensor, pixel_range: PixelRange) -> Tensor:
    """uint8 0..255 -> float32 in [low, high], any shape."""
    low, high = pixel_range
    return images.float().mul_((high - low) / 255).add_(low)


def to_uint8(images: Tensor, pixel_range: PixelRange) -> Tensor:
    """Float in [low, high] -> uint8, rounded to the nearest level; what lies outside is clipped."""
    low, high = pixel_range
    return ((images.float() - low) * (255 / (high - low))).round().clamp(0, 255).byte()
