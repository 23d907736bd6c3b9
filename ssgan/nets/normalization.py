"""Normalisation by the statistics of a batch."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssgan.distributed import alone, mean_over_processes, world_size


class BatchNorm(_BatchNorm):
    """Batch normalisation; (N, F) or (N, C, H, W), same out. Of several processes, by the statistics of the global batch.

    torch's own `SyncBatchNorm` refuses CPUs.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """All numbers of dimensions will do."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        places = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        values = x.float()
        mean = mean_over_processes(values.mean(places))
        values = values - mean.view(shape)
        variance = mean_over_processes(values.square().mean(places))
        self._follow(mean.detach(), variance.detach(), x.numel() // x.shape[1] * world_size())
        scale = (variance + self.eps).rsqrt() * self.weight
        return (values * scale.view(shape) + self.bias.view(shape)).to(x.dtype)

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
    """Batch normalisation with a bias and no gain (authors' code: ``batch_norm(..., g=None)``).

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
    """Batch normalisation by a reference batch (Salimans et al. 2016, sec. 3.5); (N, C) or (N, C, H, W), same out.

    The first ``reference`` images of the input are the reference batch of R: they are normalised by their own
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
        scale = self.weight * (square - mean.square() + self.eps).rsqrt()
        shift = self.bias - mean * scale
        shape = [*scale.shape, *([1] * len(places))]
        return (values * scale.view(shape) + shift.view(shape)).to(x.dtype)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, reference={self.reference}"


@alone()
@torch.no_grad()
def settle_batch_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of every batch norm of ``network`` to the mean of those of its inputs on ``batches``.

    Noise and dropout are off: the statistics are those that the network has in evaluation. An average of weights
    has some that no running mean has seen (Izmailov et al. 2018, sec. 3.2).
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    training, momenta = network.training, [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None  # the mean of all batches
    for batch in batches:
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)


def norm_layers(norm: str, channels: int, reference: int) -> list[nn.Module]:
    """What ``norm`` puts after a layer of so many outputs: nothing for "weight", whose layers are normed themselves."""
    if norm == "weight":
        return []
    return [VirtualBatchNorm(channels, reference) if norm == "virtual" else BatchNormNoGain(channels)]
