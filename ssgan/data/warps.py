"""Where the pixels of a warped image come from."""

from collections.abc import Sequence

import torch
from torch import Tensor

GRAY = 128
"""Of pixels that come from outside the image, and of those that are cut out."""


def warp_grid(height: int, width: int, to_x: Sequence[Tensor], to_y: Sequence[Tensor]) -> Tensor:
    """The grid of `torch.nn.functional.grid_sample`, (N, H, W, 2), of images that are each warped about the center.

    The pixel at (x, y) from the center, in pixels to the right and down, comes from x' = to_x[0] x + to_x[1] y + to_x[2], and
    y' likewise from ``to_y``, (N,) each; the last of the three may be left out for 0.
    """
    y, x = torch.meshgrid(centered(height), centered(width), indexing="ij")

    def source(size: int, of_x: Tensor, of_y: Tensor, offset: Tensor | None = None) -> Tensor:
        """Along one axis whose ends are -1 and 1, (N, H W); products one by one, so that the result does not depend on the rest of the batch."""
        found = torch.outer(of_x * (2 / size), x.flatten()) + torch.outer(of_y * (2 / size), y.flatten())
        return found if offset is None else found + (offset * (2 / size))[:, None]

    sources = torch.stack([source(width, *to_x), source(height, *to_y)], 1)
    return sources.view(-1, 2, height, width).permute(0, 2, 3, 1)


def centered(size: int) -> Tensor:
    """Offsets of ``size`` pixel centers from the middle of them all."""
    return torch.arange(size) - (size - 1) / 2
