"""What the rest of the package asks of a network."""

from typing import Any

import torch
from torch import Tensor, nn

from ssgan.pixels import PixelRange


class ImageClassifier(nn.Module):
    """Images (N, C, H, W) in ``pixel_range`` -> K logits (N, K); the paper's fake class has no output, its logit is 0.

    ``arguments`` are those of its constructor, as JSON knows them, with ``image_shape`` (C, H, W) and ``classes`` among
    them: with them and its weights a classifier file is complete. No layer may mix the images of a batch.
    """

    pixel_range: PixelRange
    arguments: dict[str, Any]

    def features(self, images: Tensor) -> Tensor:
        """f(x) of sec. 3.1, (N, F)."""
        raise NotImplementedError


class ImageGenerator(nn.Module):
    """z (N, latent), uniform on [0, 1) as in the authors' code -> images (N, C, H, W) in ``pixel_range``."""

    pixel_range: PixelRange
    arguments: dict[str, Any]
    latent: int

    def draw_latent(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """``count`` samples of z on the CPU, whatever the network's device, so that a seed means the same everywhere."""
        return torch.rand(count, self.latent, generator=rng)
