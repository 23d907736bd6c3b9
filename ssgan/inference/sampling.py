"""Images from a generator, by a seed."""

import io
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.files import write_atomically
from ssgan.nets.base import ImageGenerator
from ssgan.nets.layers.batch_norm import update_bn
from ssgan.pixels import at_once, to_uint8
from ssgan.seeds import derive_seed

BATCH = 500
"""Images in a batch at most."""

BN_BATCHES = 10
"""Batches of 100 z that batch statistics are taken from."""


def draw_images(generator: ImageGenerator, count: int, seed: int) -> Iterator[Tensor]:
    """``count`` images, uint8 (N, C, H, W) on the CPU, or vectors as they are, in batches, from the z of ``seed``.

    Batch statistics are settled first, so that an image depends on its own z alone.
    """
    device = next(generator.parameters()).device
    rng = torch.Generator().manual_seed(derive_seed("batch_norm", seed))
    update_bn(generator, [generator.draw_latent(100, rng).to(device) for _ in range(BN_BATCHES)])
    generator.eval()
    rng = torch.Generator().manual_seed(derive_seed("images", seed))
    for z in generator.draw_latent(count, rng).to(device).split(at_once(generator.image_shape, BATCH)):
        with torch.no_grad():
            images = generator(z).cpu()
            yield images if generator.pixel_range is None else to_uint8(images, generator.pixel_range)


def sample_grid(generator: ImageGenerator, count: int, per_row: int, seed: int, scale: int = 2) -> Tensor:
    """A grid of ``count`` images in [0, 1], (3, H, W), from the z of ``seed``; enlarged ``scale`` times."""
    from torchvision.utils import make_grid

    if generator.pixel_range is None:
        raise SsganError("checkpoint: its generator makes vectors, and no images to look at")
    images = torch.cat(list(draw_images(generator, count, seed))).float() / 255
    return make_grid(nn.functional.interpolate(images, scale_factor=scale), nrow=per_row, pad_value=0.5)


def write_grid(path: Path, grid: Tensor) -> None:
    from torchvision.utils import save_image

    buffer = io.BytesIO()
    save_image(grid, buffer, format="png")
    write_atomically(path, buffer.getvalue())
