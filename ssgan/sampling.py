"""Images from a generator, by a seed."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ssgan.nets.contract import ImageGenerator
from ssgan.nets.normalization import settle_batch_norms
from ssgan.pixels import to_uint8
from ssgan.seeds import derive_seed

BATCH = 500

SETTLED_ON = 10
"""Batches of 100 z that batch statistics are taken from."""


def draw_images(generator: ImageGenerator, count: int, seed: int) -> Iterator[Tensor]:
    """``count`` images, uint8 (N, C, H, W) on the CPU, in batches of up to 500, from the z of ``seed``.

    Batch statistics are settled first, so that an image depends on its own z alone.
    """
    device = next(generator.parameters()).device
    rng = torch.Generator().manual_seed(derive_seed("batch_norm", seed))
    settle_batch_norms(generator, [generator.draw_latent(100, rng).to(device) for _ in range(SETTLED_ON)])
    generator.eval()
    rng = torch.Generator().manual_seed(derive_seed("images", seed))
    for start in range(0, count, BATCH):
        z = generator.draw_latent(min(BATCH, count - start), rng).to(device)
        with torch.no_grad():
            yield to_uint8(generator(z), generator.pixel_range).cpu()
