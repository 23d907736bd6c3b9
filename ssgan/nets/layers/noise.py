"""Noise and dropout layers, and a cheap source of randomness for a CPU."""

import random
from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

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
            self.masks: dict[float, Tensor] = {}
            self.key = key

    def seek(self, *key: int | str) -> None:
        self.places = random.Random(derive_seed(*key))

    def draw(self, like: Tensor) -> Tensor:
        """Normal numbers for every value of ``like``: a view into the pool, not to be written to.

        More numbers than it holds are drawn afresh.
        """
        if like.numel() >= self.size:
            return torch.randn(like.shape, dtype=self.dtype)
        return self._slice(self.values, like)

    def draw_mask(self, like: Tensor, p: float) -> Tensor:
        """0 with probability ``p``, else 1 / (1 - p), for every value of ``like``, in the same way."""
        if like.numel() >= self.size:
            return torch.empty_like(like, dtype=self.dtype).bernoulli_(1 - p).div_(1 - p)
        if p not in self.masks:
            above = NormalDist().inv_cdf(p)
            self.masks[p] = (self.values > above).to(self.dtype).div_(1 - p)
        return self._slice(self.masks[p], like)

    def _slice(self, pool: Tensor, like: Tensor) -> Tensor:
        start = self.places.randrange(self.size - like.numel())
        numbers = pool[start : start + like.numel()]
        if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
            n, c, h, w = like.shape
            return numbers.view(n, h, w, c).permute(0, 3, 1, 2)
        return numbers.view(like.shape)

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
        noise = torch.randn_like(x) if self.pool is None else self.pool.draw(x)
        return torch.add(x, noise, alpha=self.std)

    def extra_repr(self) -> str:
        return f"std={self.std}"


class Dropout(nn.Module):
    """Sets values to 0 with probability ``p`` in training and scales the others by 1 / (1 - p); else the identity."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.pool: NoisePool | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return F.dropout(x, self.p) if self.pool is None else x * self.pool.draw_mask(x, self.p).to(x.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def is_noisy(network: nn.Module) -> bool:
    """Whether two passes of the same images differ in training, whatever else is in the batch."""
    return any(
        getattr(module, "std" if isinstance(module, GaussianNoise) else "p") > 0
        for module in network.modules()
        if isinstance(module, GaussianNoise | Dropout | _DropoutNd)
    )


def set_noise_pool(network: nn.Module, pool: NoisePool | None) -> None:
    """Let every noise and dropout layer of ``network`` draw from ``pool``."""
    for module in network.modules():
        if isinstance(module, GaussianNoise | Dropout):
            module.pool = pool
