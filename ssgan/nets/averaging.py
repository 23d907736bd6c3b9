"""Averaged weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from ssgan.nets.contract import ImageGenerator
from ssgan.seeds import derive_seed

Tensors = tuple[Tensor, ...] | list[Tensor]


def averaged(network: nn.Module, rate: float) -> AveragedModel:
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


@torch.no_grad()
def settle_batch_norm(generator: ImageGenerator, seed: int, batches: int = 10, batch_size: int = 100) -> None:
    """Set the running statistics of ``generator``'s batch norms to those of its own weights on batches of z.

    An average of weights has statistics that no running mean has seen (Izmailov et al. 2018, sec. 3.2).
    """
    rng = torch.Generator().manual_seed(derive_seed("batch_norm", seed))
    device = next(generator.parameters()).device
    latents = [generator.draw_latent(batch_size, rng).to(device) for _ in range(batches)]
    update_bn(latents, generator)
    generator.eval()
