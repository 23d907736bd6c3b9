"""Numbers of different size made alike."""

import torch
from torch import Tensor, nn


class Standardization(nn.Module):
    """(N, F) -> (x - mean) / sd of each of the F numbers, or back with ``inverse``; by `measure`, and 0 and 1 before it."""

    mean: Tensor
    sd: Tensor

    def __init__(self, numbers: int, inverse: bool = False):
        super().__init__()
        self.inverse = inverse
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("sd", torch.ones(numbers))

    @torch.no_grad()
    def measure(self, vectors: Tensor) -> None:
        """Take mean and sd from ``vectors``, (N, F, ...); the sd of a number that never varies is 1."""
        flat = vectors.flatten(1).double()
        sd, mean = torch.std_mean(flat, 0, correction=0)
        self.mean.copy_(mean)
        self.sd.copy_(torch.where(sd > 1e-6 * (1 + mean.abs()), sd, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.sd + self.mean if self.inverse else (x - self.mean) / self.sd
