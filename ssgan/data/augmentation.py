"""Augmentation: every image of a batch moves in its own way, all of them in one gather."""

import torch
from torch import Tensor

from ssgan.errors import SsganError


class Augmentation:
    """Shifts by up to ``shift`` pixels along each axis and, with ``flip``, a flip from left to right of half the images.

    Reflection fills the gap of a shift: what lies inside of the border comes back outside of it. All moves are equally
    likely; each is a table of where every pixel comes from. Raises `SsganError` for a negative ``shift``, and for one
    that images of ``image_shape`` (C, H, W) are too small to reflect.
    """

    def __init__(self, image_shape: tuple[int, int, int], shift: int = 0, flip: bool = False):
        height, width = image_shape[1:]
        if not 0 <= shift < min(height, width):
            raise SsganError(
                f"augmentation.shift={shift}: use 0 to {min(height, width) - 1} pixels for {width}x{height} images"
            )
        offsets = range(-shift, shift + 1)
        rows = [reflect(torch.arange(height) + offset, height) for offset in offsets]
        columns = [reflect(torch.arange(width) + offset, width) for offset in offsets]
        if flip:
            columns += [column.flip(0) for column in columns]
        self.sources = torch.stack([(y[:, None] * width + x).flatten() for y in rows for x in columns])

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """One move for each of ``count`` images, (count,)."""
        return torch.randint(len(self.sources), (count,), generator=rng)

    def __call__(self, images: Tensor, moves: Tensor) -> Tensor:
        """Images (N, C, H, W) of any type, each moved by its own of ``moves`` (N,)."""
        if len(self.sources) == 1:
            return images
        sources = self.sources.index_select(0, moves).unsqueeze(1).expand(-1, images.shape[1], -1)
        return images.flatten(2).gather(2, sources).view_as(images)


def reflect(positions: Tensor, size: int) -> Tensor:
    """Positions outside 0..size-1 mirrored at the first and the last place, which are not repeated."""
    period = max(2 * (size - 1), 1)
    return (size - 1) - ((size - 1) - positions.remainder(period)).abs()
