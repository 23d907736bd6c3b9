"""Interfaces of classifiers and generators."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.pixels import PixelRange

NORMS = ("batch", "weight", "virtual")


P = ParamSpec("P")
Network = TypeVar("Network", bound="ImageClassifier | ImageGenerator")


def capture_init_args(init: Callable[Concatenate[Network, P], None]) -> Callable[Concatenate[Network, P], None]:
    """Let a constructor leave its arguments, defaults included, as JSON knows them, in ``self.arguments``."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def recording(self: Network, /, *args: P.args, **kwargs: P.kwargs) -> None:
        init(self, *args, **kwargs)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        _, *given = bound.arguments.items()
        self.arguments = {name: as_lists(value) for name, value in given}

    return recording


def as_lists(value: Any) -> Any:
    """``value`` with lists for sequences of every kind but text."""
    return [as_lists(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


class ImageClassifier(nn.Module):
    """Images (N, C, H, W) in ``pixel_range`` -> K logits (N, K); the paper's fake class has no output, its logit is 0.

    ``arguments`` are those of its constructor (see `capture_init_args`), with ``image_shape`` (C, H, W) and ``classes``
    among them: with them and its weights a classifier file is complete. ``head`` turns features into logits. Evaluation may
    not mix the images of a batch; training may where ``batch_dependent`` says so, and then each kind of image needs a
    pass of its own.
    """

    head: nn.Module
    batch_dependent = False
    pass_multiple = 1
    """Blank images fill a pass in training up to a multiple of so many, where that is faster and they act on no other image."""
    standardized = False
    """It takes vectors, float (N, F, 1, 1), and standardizes each of their F numbers itself."""

    pixel_range: PixelRange
    arguments: dict[str, Any]

    def initialize(self, images: Tensor) -> None:
        """Set what does not come from weight norm (`initialize_from_data`) by unlabeled images; nothing by default."""

    def features(self, images: Tensor) -> Tensor:
        """f(x) of sec. 3.1, (N, F)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


class ImageGenerator(nn.Module):
    """z (N, latent), uniform on [0, 1) as in the authors' code -> images (N, C, H, W) in ``pixel_range``.

    ``norm`` names what normalizes its hidden layers: "batch", "weight" (with data-dependent initialization on z) or
    "virtual" (sec. 3.5), whose reference batch of ``reference`` z is drawn once and travels with the weights. Raises
    `SsganError` for another name, and for a reference batch of fewer than two.
    """

    pixel_range: PixelRange | None
    """None: what it makes are vectors."""
    arguments: dict[str, Any]
    image_shape: tuple[int, ...]
    latent: int
    reference_z: Tensor | None

    def __init__(self, image_shape: Sequence[int], latent: int, norm: str, reference: int):
        super().__init__()
        if norm not in NORMS:
            raise SsganError(f"net.generator.norm={norm}: use batch, weight or virtual")
        if norm == "virtual" and reference < 2:
            raise SsganError(f"net.generator.reference={reference}: a reference batch needs 2 or more")
        self.image_shape, self.latent = tuple(image_shape), latent
        self.register_buffer("reference_z", self.draw_latent(reference) if norm == "virtual" else None)

    def initialize(self, count: int) -> None:
        """Set g and b of weight-normed layers by ``count`` samples of z (`initialize_from_data`)."""
        raise NotImplementedError

    def start_from_mean(self, images: Tensor) -> None:
        """Then move the output's bias so that generated images vary about the mean of ``images``, in ``pixel_range``."""
        raise NotImplementedError

    def draw_latent(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """``count`` samples of z on the CPU, whatever the network's device, so that a seed means the same everywhere."""
        return torch.rand(count, self.latent, generator=rng)

    def generate(self, z: Tensor) -> Tensor:
        """Images from z alone; with a reference batch, its z come first."""
        raise NotImplementedError

    def forward(self, z: Tensor) -> Tensor:
        if self.reference_z is None:
            return self.generate(z)
        return self.generate(torch.cat([self.reference_z, z]))[len(self.reference_z) :]


def channels_last(images: Tensor) -> Tensor:
    """A copy of ``images`` (N, C, H, W) with which convolutions work in that order, their fast one on CPUs.

    Of images with one channel, `torch.Tensor.contiguous` leaves strides that convolutions take for the other order.
    """
    return images.clone(memory_format=torch.channels_last)


def mean_over_places(x: Tensor) -> Tensor:
    """The mean of every channel of ``x`` (N, C, H, W) over its places, (N, C).

    In this order of dimensions the gradient, too, has its channels last in memory; that of a mean over (2, 3) has not, and
    the layers before it then took 15 times as long on a CPU.
    """
    return x.permute(0, 2, 3, 1).mean((1, 2))


def forward_concatenated(
    network: Callable[[Tensor], Tensor], batches: Sequence[Tensor], multiple: int = 1
) -> tuple[Tensor, ...]:
    """``network`` on each of ``batches``, in one pass.

    Blank images fill the pass up to a ``multiple`` and are dropped.
    """
    sizes = [len(batch) for batch in batches]
    padding = batches[0].new_zeros(-sum(sizes) % multiple, *batches[0].shape[1:])
    return network(torch.cat([*batches, padding])).split([*sizes, len(padding)])[:-1]
