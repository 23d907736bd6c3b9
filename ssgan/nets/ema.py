"""Averaged weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def ema_of(network: nn.Module, rate: float) -> AveragedModel:
    """A frozen copy of ``network`` that `AveragedModel.update_parameters` moves towards it: a += rate (p - a).

    The average starts at zero in the paper's code, which makes it small at first; here it is divided by
    1 - (1 - rate)^t after t updates, as in Adam, which comes to a rate of rate / (1 - (1 - rate)^t). Buffers
    (frozen scales, batch statistics) are copied as they are. A rate of 1 keeps no average.
    """

    def lerp(averages: Tensors, values: Tensors, updates: Tensor | int) -> None:
        corrected = rate / (1 - (1 - rate) ** (float(updates) + 1))
        torch._foreach_lerp_(averages, values, corrected)

    average = AveragedModel(network, multi_avg_fn=lerp)
    return average.requires_grad_(False).eval()
