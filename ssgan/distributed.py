"""What the processes of one run share: sums and gathered batches whose gradients are those of the global batch.

`average_gradients` takes the mean of the gradients of all processes before an optimizer steps. With the other functions,
a loss that every process computes from its part of a batch then gives the gradient of the same loss on the whole batch.
"""

import atexit
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_local_only = False


def world_size() -> int:
    """The number of processes that train together; 1 without a process group, and inside `local_only`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() and not _local_only else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


@contextmanager
def local_only() -> Iterator[None]:
    """Disables cross-rank reductions: all ranks hold the same data, or only one runs."""
    global _local_only  # noqa: PLW0603 - layers deep inside of a network ask
    before, _local_only = _local_only, True
    try:
        yield
    finally:
        _local_only = before


SMALL = 1 << 14
"""Below this many elements, an all-gather and a local sum are three times as fast as an all-reduce on gloo."""


def _all_gather(local: Tensor) -> list[Tensor]:
    """What each process has, in the order of their ranks."""
    parts = [torch.empty_like(local) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, local)
    return parts


def _all_reduce_sum(local: Tensor) -> Tensor:
    """The sum over processes, the same to the last bit in all of them."""
    if dist.get_backend() == "gloo" and local.numel() * dist.get_world_size() <= SMALL:
        return torch.stack(_all_gather(local)).sum(0)
    total = local.clone()
    dist.all_reduce(total)
    return total


class _Sum(torch.autograd.Function):
    """The sum over processes, of values forward and of gradients backward."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return _all_reduce_sum(local.contiguous())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Sum.forward(ctx, grad.contiguous())


class _Gather(torch.autograd.Function):
    """All-gather of the batches along dimension 0; backward, a reduce-scatter of their gradients."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return torch.cat(_all_gather(local.contiguous()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _all_reduce_sum(grad.contiguous()).chunk(dist.get_world_size())[dist.get_rank()]


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether a collective operation failed for want of another process."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Set every gradient to the mean of those of all processes, in one reduction."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    means = (flat / world_size()).split([gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def all_reduce_mean(local: Tensor) -> Tensor:
    """The mean over processes of a tensor that each has for its own part, all of one size."""
    mean: Tensor = _Sum.apply(local) / world_size() if world_size() > 1 else local
    return mean


def all_gather(local: Tensor) -> Tensor:
    """The batches (N, ...) of all processes, (N world_size, ...), in the order of their ranks."""
    gathered: Tensor = _Gather.apply(local) if world_size() > 1 else local
    return gathered


def local_shard(batch: Tensor, dim: int = 0) -> Tensor:
    """The part along ``dim`` of a global batch that is this process's own; its size has to be a multiple of theirs."""
    return batch.chunk(world_size(), dim)[rank()]


def all_reduce_max(*numbers: float) -> list[float]:
    """Elementwise maximum over the processes. Collective: call it on every rank."""
    if world_size() == 1:
        return list(numbers)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(numbers, dtype=torch.float64, device=device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    result: list[float] = tensor.tolist()
    return result


def exit_without_teardown() -> None:
    """Exit a failed rank without waiting for the others, so that the launcher notices and stops them.

    The teardown of NCCL's process group, which Lightning leaves to the end of the process, would wait for them.
    """
    if dist.is_initialized() and dist.get_backend() == "nccl":
        atexit.register(_leave)  # what is registered last comes first


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
