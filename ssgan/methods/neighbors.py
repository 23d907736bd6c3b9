"""A memory of guesses: what images that look alike were taken for."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssgan.distributed import all_gather

NEIGHBORS = 7
LARGEST_SIDE = 16
"""Images are averaged down to at most so many pixels a side before they are compared."""


class NeighborMemory(nn.Module):
    """The last ``size`` weak views and the guesses q (K) that they ended with; at the start uniform guesses of images of zeros.

    Pixels are another opinion than the classifier's: where it takes a group of images for another class, such as sevens with
    a bar for twos, they still lie among their own. Smoothing new guesses by remembered ones is CoMatch's (Li et al. 2021),
    which compares learned embeddings; as the smoothed ones are remembered, labels spread from image to image.
    """

    images: Tensor
    guesses: Tensor
    oldest: Tensor

    def __init__(self, image_shape: tuple[int, ...], classes: int, size: int):
        super().__init__()
        self.pooling = max(1, -(-max(image_shape[1:]) // LARGEST_SIDE))
        values = self.pixels(torch.zeros(1, *image_shape)).shape[1]
        self.register_buffer("images", torch.zeros(size, values))
        self.register_buffer("guesses", torch.full((size, classes), 1 / classes))
        self.register_buffer("oldest", torch.tensor(0))

    def pixels(self, images: Tensor) -> Tensor:
        """What distances are measured between, (N, D), of images (N, C, H, W)."""
        return F.avg_pool2d(images.float(), self.pooling, ceil_mode=True).flatten(1)

    @torch.no_grad()
    def smoothed(self, images: Tensor, log_q: Tensor, share: float, recent: int) -> Tensor:
        """log of (1 - share) q + share times the mean guess of the nearest images in the memory, (N, K), which goes there.

        A neighbor at a distance d counts exp(-d^2 / s), s the mean d^2 of the image's `NEIGHBORS`, among the ``recent``
        last images: those of a pass over the pool, or an image is its own neighbor several times over, and believes itself.
        """
        pixels, size = self.pixels(images), len(self.images)
        age = (self.oldest - 1 - torch.arange(size, device=pixels.device)) % size
        distances = torch.cdist(pixels, self.images).masked_fill(age >= max(recent, NEIGHBORS), torch.inf)
        nearest = distances.topk(NEIGHBORS, largest=False)
        squared = nearest.values.square()
        weights = (-squared / squared.mean(1, keepdim=True).clamp_min(1e-6)).softmax(1)
        theirs = (weights[..., None] * self.guesses[nearest.indices]).sum(1)
        q = torch.lerp(log_q.exp(), theirs, share)
        self.remember(all_gather(pixels), all_gather(q))
        return q.clamp_min(1e-12).log()

    def remember(self, pixels: Tensor, guesses: Tensor) -> None:
        """Put them (N, D), (N, K) in the places of the oldest."""
        size = len(self.images)
        places = (self.oldest + torch.arange(len(pixels), device=pixels.device))[-size:] % size
        self.images[places], self.guesses[places] = pixels[-size:], guesses[-size:]
        self.oldest.copy_((self.oldest + len(pixels)) % size)
