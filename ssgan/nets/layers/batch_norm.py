"""Normalization by the statistics of a batch."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssgan.distributed import all_reduce_mean, local_only, world_size


@torch.no_grad()
def global_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every channel of x, (N, C) or (N, C, H, W), over the batches of all processes, (C,) each.

    One reduction; in double precision, since it takes the variance from a difference.
    """
    if x.device.type == "cpu":  # torch's own sums over a batch, ten times as fast as `torch.var_mean` on channels_last
        mean, variance = torch.batch_norm_update_stats(x.float(), None, None, 0.0)
    else:
        variance, mean = torch.var_mean(x.float(), [0, *range(2, x.ndim)], correction=0)
    first, second = all_reduce_mean(torch.stack([mean.double(), variance.double() + mean.double().square()]))
    return first.float(), (second - first.square()).clamp_min(0).float()


class _Normalize(torch.autograd.Function):
    """Batch normalization by the moments of the global batch of ``count`` values a channel, which x has a share in.

    With a = weight / sd and h = (x - mean) / sd, dL/dx = a (dL/dy - sum dL/dy / count - h sum(h dL/dy) / count), both
    sums over all processes (Ioffe and Szegedy 2015, sec. 3, put together): torch's backward of evaluation gives the
    first term and the local sums.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, count: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.count = eps, count
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        inverse_sd = (variance + ctx.eps).rsqrt()
        # As saved moments, too: CUDA's kernel for channels_last reads these, in evaluation as well.
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, variance, mean, inverse_sd, False, ctx.eps, [True, True, True]
        )
        total, total_h = all_reduce_mean(torch.stack([grad_bias, grad_weight])) * world_size()
        each = weight * inverse_sd / ctx.count
        slope = -each * inverse_sd * total_h
        shape = [1, -1] + [1] * (x.ndim - 2)
        offset = -each * total - slope * mean
        # In float32, since the two nearly cancel.
        grad_x.add_(torch.addcmul(offset.view(shape), slope.view(shape), x.float()))
        needs_weight, needs_bias = ctx.needs_input_grad[1:3]
        return grad_x, grad_weight if needs_weight else None, grad_bias if needs_bias else None, None, None, None, None


class BatchNorm(_BatchNorm):
    """Batch normalization; (N, F) or (N, C, H, W), same out. Of several processes, by the statistics of the global batch.

    torch's own `SyncBatchNorm` refuses CPUs.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """All numbers of dimensions will do."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        count = x.numel() // x.shape[1] * world_size()
        mean, variance = global_moments(x)
        self._follow(mean, variance, count)
        normalized: Tensor = _Normalize.apply(x, self.weight, self.bias, mean, variance, self.eps, count)
        return normalized

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics as torch does: the variance is that of a sample."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance * (count / (count - 1)), rate)


class BatchNormNoGain(BatchNorm):
    """Batch normalization with a bias and no gain (authors' code: ``batch_norm(..., g=None)``).

    (N, F) or (N, C, H, W), same out.
    """

    def __init__(self, features: int, eps: float = 1e-6):
        super().__init__(features, eps=eps)
        del self.weight  # ones that nobody trains: torch has no gradient for a bias without a gain on a GPU
        self._give_ones()

    def _give_ones(self) -> None:
        self.register_buffer("weight", torch.ones_like(self.bias), persistent=False)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._give_ones()  # no file has them, nor has a network that was built on the meta device


class VirtualBatchNorm(nn.Module):
    """Batch normalization by a reference batch (Salimans et al. 2016, sec. 3.5); (N, C) or (N, C, H, W), same out.

    The first ``reference`` images of the input are the reference batch of R: they are normalized by their own
    statistics, every other image by theirs and its own together, with weights R / (R + 1) and 1 / (R + 1). What comes
    out for an image depends on the reference batch and on itself alone. Statistics are per channel, in float32.
    """

    def __init__(self, channels: int, reference: int, eps: float = 1e-5):
        super().__init__()
        self.reference, self.eps = reference, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        places = list(range(2, x.ndim))
        values = x.float()
        means = values.mean(places) if places else values
        squares = values.square().mean(places) if places else values.square()
        share = torch.full((len(x), 1), 1 / (self.reference + 1), device=x.device)
        share[: self.reference] = 0
        mean = torch.lerp(means[: self.reference].mean(0), means, share)
        square = torch.lerp(squares[: self.reference].mean(0), squares, share)
        variance = (square - mean.square()).clamp_min(0)  # rounding can take it below, of values far from 0
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        shape = [*scale.shape, *([1] * len(places))]
        return (values * scale.view(shape) + shift.view(shape)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, reference={self.reference}"


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def momentum(norms: Sequence[_BatchNorm], value: float | None) -> Iterator[None]:
    """Inside, so much of a batch's statistics enters the running ones; None: these are the mean over all batches."""
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = value
        yield
    finally:
        for norm, before in zip(norms, momenta, strict=True):
            norm.momentum = before


def frozen_bn_stats(norms: Sequence[_BatchNorm]) -> AbstractContextManager[None]:
    """Inside, these layers norm a batch by its own statistics as before, and leave their running ones as they are."""
    return momentum(norms, 0.0)


@contextmanager
def batch_statistics(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Inside, these layers norm a batch by its own statistics, in evaluation too, and leave their running ones as they are."""
    training = [norm.training for norm in norms]
    try:
        for norm in norms:
            norm.train()
        with frozen_bn_stats(norms):
            yield
    finally:
        for norm, before in zip(norms, training, strict=True):
            norm.train(before)


@local_only()
@torch.no_grad()
def update_bn(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of every batch norm of ``network`` to the mean of those of its inputs on ``batches``.

    Noise and dropout are off: the statistics are those that the network has in evaluation. An average of weights
    has some that no running mean has seen (Izmailov et al. 2018, sec. 3.2).
    """
    norms = batch_norms(network)
    if not norms:
        return
    training = network.training
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    with momentum(norms, None):
        for batch in batches:
            network(batch)
    network.train(training)


def norm_layers(norm: str, channels: int, reference: int) -> list[nn.Module]:
    """What ``norm`` puts after a layer of so many outputs: nothing for "weight", whose layers are normed themselves."""
    if norm == "weight":
        return []
    return [VirtualBatchNorm(channels, reference) if norm == "virtual" else BatchNormNoGain(channels)]
