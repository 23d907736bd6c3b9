"""Minibatch discrimination (Salimans et al. 2016, sec. 3.2)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ssgan.distributed import all_gather
from ssgan.errors import SsganError

DISTANCES_AT_ONCE = 1 << 17
"""Distances held at a time, 512 KiB in float32. A batch of N images has N x N x B of them: 400 MiB for 1000 and 100."""

FAR = 80.0
"""A distance beyond which the kernel, below 1e-34, counts as no smaller: exp is 50 times slower where it underflows."""


class MinibatchDiscrimination(nn.Module):
    """Appends to each image's features how close the batch's other images are; (N, A) -> (N, A + B).

    ``M_i = f(x_i) T`` with T of shape (A, B, C), ``c_b(i, j) = exp(-|M_ib - M_jb|_1)``, and o_b(i) is the sum over all
    j but i, brought to ``others`` images: for N = others + 1 the paper's sum less its constant 1, and a batch of
    another size means the same. As in the authors' code T is weight-normed with a scale per kernel and dimension;
    `initialization.initialize_from_data` sets it so that the mean distance to the nearest image is 2, and starts the
    bias at minus the mean of o.

    In evaluation the others are a fixed batch of real images (`initialization.recalibrate`): a prediction does not
    depend on what else is predicted. Raises `SsganError` for a batch of one in training.
    """

    others_seen: Tensor

    def __init__(self, features: int, kernels: int, dims: int, others: int = 99, init_std: float = 0.05):
        super().__init__()
        self.others = others
        self.v = nn.Parameter(init_std * torch.randn(features, kernels, dims))
        self.log_scale = nn.Parameter(torch.zeros(kernels, dims))
        self.log_scale.is_gain = True  # type: ignore[attr-defined]  # for `Muon`, which would take a table for a weight
        self.b = nn.Parameter(torch.full((kernels,), -1.0))
        self.register_buffer("others_seen", torch.zeros(others, kernels, dims))

    def forward(self, features: Tensor) -> Tensor:
        points = self.project(features)
        sums = self._among_themselves(points) if self.training else kernel_sums(points, self.others_seen)
        return torch.cat([features, (sums + self.b).to(features.dtype)], 1)

    def project(self, features: Tensor) -> Tensor:
        """M, (N, B, C), in float32 whatever the precision: distances cancel. The gradient is computed in that of training."""
        weight = self.v * (self.log_scale.exp() / self.v.square().sum(0).sqrt())
        with torch.autocast(features.device.type, enabled=False):
            return (features.float() @ weight.flatten(1)).unflatten(1, self.log_scale.shape)

    def _among_themselves(self, points: Tensor) -> Tensor:
        own, batch = 1.0, all_gather(points)  # own: c_b(i, i)
        if len(batch) < 2:
            raise SsganError("minibatch discrimination compares the images of a batch: use batches of 2 or more")
        return (kernel_sums(points, batch) - own) * (self.others / (len(batch) - 1))

    @torch.no_grad()
    def initialize(self, features: Tensor) -> None:
        """Set scale and bias so that, on these features, the mean distance to the nearest is 2 and o has mean 0."""
        points = self.project(features).transpose(0, 1)
        distances = torch.cdist(points, points, p=1)
        distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        nearest = distances.amin(2).mean(1).clamp_min(1e-8)
        self.log_scale.sub_((nearest / 2).log()[:, None])
        self.b.copy_(-self._among_themselves(self.project(features)).mean(0))

    @torch.no_grad()
    def remember(self, features: Tensor) -> None:
        """Take the first ``others`` of these features for evaluation; raises `SsganError` if there are fewer."""
        if len(features) < self.others:
            raise SsganError(
                f"minibatch discrimination evaluates against {self.others} images, but has {len(features)}; "
                f"raise method.initialization_images, or use net.classifier.minibatch_kernels=0 for a pool of so few"
            )
        self.others_seen.copy_(self.project(features[: self.others]))

    def extra_repr(self) -> str:
        return f"{len(self.v)}, {tuple(self.log_scale.shape)}, others={self.others}"


class _KernelSums(torch.autograd.Function):
    """sum_j exp(-|a_i - b_j|_1) for each kernel: (B, C, N), (B, C, M) -> (B, N).

    In blocks of kernels and rows, one dimension at a time, and again for the gradient: what is held does not grow with
    the batch, and a block stays in a core's cache.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        sums = a.new_empty(a.shape[0], a.shape[2])
        for kernels, rows in blocks(a, b):
            sums[kernels, rows] = kernel(a[kernels, :, rows], b[kernels]).sum(2)
        return sums

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        grad_a, grad_b = torch.empty_like(a), torch.zeros_like(b)
        for kernels, rows in blocks(a, b):
            one, other = a[kernels, :, rows], b[kernels]
            weights = kernel(one, other).mul_(grad[kernels, rows, None])
            for dim in range(a.shape[1]):
                pull = (other[:, dim, None, :] - one[:, dim, :, None]).sign_().mul_(weights)
                grad_a[kernels, dim, rows] = pull.sum(2)
                grad_b[kernels, dim] -= pull.sum(1)
        return grad_a, grad_b


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """exp(-|a_i - b_j|_1): (B, C, N), (B, C, M) -> (B, N, M)."""
    distances = (a[:, 0, :, None] - b[:, 0, None, :]).abs_()
    for dim in range(1, a.shape[1]):
        distances += (a[:, dim, :, None] - b[:, dim, None, :]).abs_()
    return distances.clamp_(max=FAR).neg_().exp_()


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of kernels and of rows with up to `DISTANCES_AT_ONCE` distances each."""
    rows = max(1, min(a.shape[2], DISTANCES_AT_ONCE // b.shape[2]))
    kernels = max(1, DISTANCES_AT_ONCE // (rows * b.shape[2]))
    for kernel in range(0, a.shape[0], kernels):
        for row in range(0, a.shape[2], rows):
            yield slice(kernel, kernel + kernels), slice(row, row + rows)


def kernel_sums(points: Tensor, to: Tensor) -> Tensor:
    """sum_j exp(-|a_i - b_j|_1) for each kernel; (N, B, C), (M, B, C) -> (N, B)."""
    a, b = points.permute(1, 2, 0).contiguous(), to.permute(1, 2, 0).contiguous()
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]  # a graph takes no function of ours
        return kernel(a, b).sum(2).t()
    sums: Tensor = _KernelSums.apply(a, b)
    return sums.t()
