"""What layers take from real images: data-dependent initial values, and what images are compared with in evaluation."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ssgan.distributed import local_only
from ssgan.nets.layers.batch_norm import update_bn
from ssgan.nets.layers.minibatch_discrimination import MinibatchDiscrimination
from ssgan.nets.layers.weight_norm import WEIGHT_NORMED
from ssgan.pixels import in_parts

LEAST = 100
"""Images by which layers are initialized, however large: statistics of a few are no statistics. A step of training takes more."""


@local_only()
def initialize_from_data(network: nn.Module, images: Tensor) -> None:
    """Set g and b of every weight-normed layer so that each unit has mean 0 and sd 1 (or the layer's ``output_std``)
    before its nonlinearity, and the scale and bias of every minibatch discrimination (see there).

    A channel of a convolution is one unit, over images and places. Layers are set in the order in which ``images``
    reach them, each on the outputs of those already set (Salimans and Kingma 2016, sec. 3). Noise layers act as they
    do in training, as in the authors' code.
    """

    def standardize(layer: nn.Module, _: object, y: Tensor) -> Tensor:
        assert isinstance(layer, WEIGHT_NORMED)
        dims = [0, *range(2, y.ndim)]
        std, mean = torch.std_mean(y, dims, correction=0)
        std = std.clamp_min(1e-8) / layer.output_std
        layer.g.div_(std)
        layer.b.sub_(mean).div_(std)
        per_unit = [1, -1] + [1] * (y.ndim - 2)
        return (y - mean.view(per_unit)) / std.view(per_unit)

    hooks = [m.register_forward_hook(standardize) for m in network.modules() if isinstance(m, WEIGHT_NORMED)]
    hooks += [layer.register_forward_pre_hook(lambda m, x: m.initialize(*x)) for layer in discriminations(network)]
    _pass(network, images, hooks, training=True)


def recalibrate(network: nn.Module, images: Tensor, batch_size: int = 100) -> None:
    """Give ``network`` what it compares with in evaluation: statistics of ``images``, real ones, or their projections.

    Every batch norm takes the mean of the statistics of their batches (Izmailov et al. 2018, sec. 3.2: averaged weights
    have statistics that no running mean has seen); every minibatch discrimination keeps them as the others of its
    batch. To be called again when the weights have changed. ``images`` may be on another device than ``network``. Raises
    `SsganError` for too few images.
    """
    device = next(network.parameters()).device
    update_bn(network, (part.to(device) for part in in_parts(images, batch_size)))
    hooks = [layer.register_forward_pre_hook(lambda m, x: m.remember(*x)) for layer in discriminations(network)]
    if hooks:
        _pass(network, images, hooks, training=False)


def discriminations(network: nn.Module) -> list[MinibatchDiscrimination]:
    return [module for module in network.modules() if isinstance(module, MinibatchDiscrimination)]


@torch.no_grad()
def _pass(network: nn.Module, images: Tensor, hooks: Iterable[RemovableHandle], training: bool) -> None:
    """The first part of ``images``, or `LEAST`, through ``network`` once, in training or evaluation, with ``hooks`` until then."""
    was_training = network.training
    try:
        first = images[: max(LEAST, len(in_parts(images)[0]))]
        network.train(training)(first.to(next(network.parameters()).device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
