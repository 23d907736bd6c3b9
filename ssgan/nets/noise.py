"""Gaussian noise layers, and a cheap source of noise for a CPU."""

import random

import torch
from torch import Tensor, nn

from ssgan.seeds import derive_seed


class NoisePool:
    """Normal numbers by slicing a large pool of them at random places.

    On a CPU a draw from the generator costs as much as the matrix products of a small network, and a slice costs
    nothing. The pool is drawn anew for every key given to `refill` (an epoch); the places depend on the key given to
    `seek` (a step), so noise is a function of the two keys. Copies of a network share its pool.
    """

    def __init__(self, size: int, dtype: torch.dtype = torch.bfloat16):
        self.size, self.dtype = size, dtype
        self.key: tuple[int | str, ...] | None = None

    def refill(self, *key: int | str) -> None:
        if key != self.key:
            rng = torch.Generator().manual_seed(derive_seed(*key))
            self.values = torch.randn(self.size, generator=rng).to(self.dtype)
            self.key = key

    def seek(self, *key: int | str) -> None:
        self.places = random.Random(derive_seed(*key))

    def draw(self, shape: torch.Size) -> Tensor:
        """A view into the pool, not to be written to; more numbers than it holds are drawn afresh."""
        if shape.numel() >= self.size:
            return torch.randn(shape, dtype=self.dtype)
        start = self.places.randrange(self.size - shape.numel())
        return self.values[start : start + shape.numel()].view(shape)

    def __deepcopy__(self, memo: object) -> "NoisePool":
        return self


class GaussianNoise(nn.Module):
    """Adds N(0, std^2) to every value in training; the identity in evaluation. Units are those of the input."""

    def __init__(self, std: float):
        super().__init__()
        self.std = std
        self.pool: NoisePool | None = None  # None: torch's generator of the input's device

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.std == 0:
            return x
        noise = torch.randn_like(x) if self.pool is None else self.pool.draw(x.shape)
        return torch.add(x, noise, alpha=self.std)

    def extra_repr(self) -> str:
        return f"std={self.std}"


def share_noise(network: nn.Module, pool: NoisePool | None) -> None:
    """Let every noise layer of ``network`` draw from ``pool``."""
    for module in network.modules():
        if isinstance(module, GaussianNoise):
            module.pool = pool
