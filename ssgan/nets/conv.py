"""Convolutional pair by rows, as the paper's tables have it (authors' train_cifar_feature_matching.py)."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import (
    ImageClassifier,
    ImageGenerator,
    as_lists,
    capture_init_args,
    channels_last,
    mean_over_places,
)
from ssgan.nets.initialization import initialize_from_data
from ssgan.nets.layers.batch_norm import norm_layers
from ssgan.nets.layers.noise import Dropout
from ssgan.nets.layers.weight_norm import WeightNormConv2d, WeightNormConvTranspose2d, WeightNormLinear
from ssgan.nets.mlp import output_head


class ConvClassifier(ImageClassifier):
    """Images in [-1, 1] -> logits.

    Each of ``rows`` is a weight-normed convolution with LeakyReLU 0.2, [channels, kernel size, stride, padding], or a
    number, the dropout before what follows. The mean of the last channels over all places are the features; then
    minibatch discrimination if there are ``minibatch_kernels`` and the output layer, whose scale is the only one
    trained and whose logits start with sd ``output_std``. Inside, images lie in memory with their channels last, which
    bfloat16 convolutions on a CPU and half-precision ones on a GPU want. Raises `SsganError` for another kind of row, for
    none that convolves, and for images that the rows leave nothing of.
    """

    pixel_range = (-1.0, 1.0)

    @capture_init_args
    def __init__(
        self,
        image_shape: Sequence[int],
        classes: int,
        rows: Sequence[float | Sequence[int]],
        init_std: float,
        output_std: float = 1.0,
        minibatch_kernels: int = 0,
        minibatch_dims: int = 0,
    ):
        super().__init__()
        channels, *sides = image_shape
        layers: list[nn.Module] = []
        given = as_lists(rows)
        for row in given:
            if is_dropout(row):
                layers += [Dropout(row)]
            elif is_convolution(row):
                outputs, size, stride, padding = row
                conv = WeightNormConv2d(channels, outputs, size, stride=stride, padding=padding, init_std=init_std)
                layers += [conv, nn.LeakyReLU(0.2)]
                channels, sides = outputs, [(side + 2 * padding - size) // stride + 1 for side in sides]
                if min(sides) < 1:
                    break
            else:
                raise SsganError(
                    f"net.classifier.rows: {row} is neither [channels, kernel size, stride, padding] nor a dropout in [0, 1)"
                )
        if min(sides) < 1 or not any(is_convolution(row) for row in given):
            raise SsganError(
                f"net.classifier.rows: leave nothing of images of {image_shape[1]}x{image_shape[2]} pixels; "
                f"use fewer strides and more padding, or larger images"
            )
        self.trunk = nn.Sequential(*layers)
        self.head = output_head(channels, classes, 0.0, init_std, minibatch_kernels, minibatch_dims, output_std)
        self.batch_dependent = minibatch_kernels > 0

    def features(self, images: Tensor) -> Tensor:
        """f(x): the mean of the last channels over all places, (N, channels)."""
        return mean_over_places(self.trunk(channels_last(images)))


def is_dropout(row: Any) -> bool:
    return isinstance(row, int | float) and 0 <= row < 1


def is_convolution(row: Any) -> bool:
    return (
        isinstance(row, list) and len(row) == 4 and all(isinstance(n, int) for n in row) and min(row[:3]) > 0 <= row[3]
    )


class ConvGenerator(ImageGenerator):
    """z -> images in [-1, 1].

    A dense layer to ``channels[0]`` channels, then transposed convolutions of ``size`` x ``size`` and stride 2 to each
    of the other ``channels``, normed by ``norm`` (batch norm has no gain, as in the authors' code) and with ReLU; last a
    weight-normed one to the image and its tanh. Raises `SsganError` for images whose sides do not halve that often.
    """

    pixel_range = (-1.0, 1.0)

    @capture_init_args
    def __init__(
        self,
        image_shape: Sequence[int],
        latent: int,
        channels: Sequence[int],
        size: int,
        norm: str,
        reference: int,
        init_std: float,
    ):
        super().__init__(image_shape, latent, norm, reference)
        halvings = 2 ** len(channels)
        if any(side % halvings for side in image_shape[1:]):
            raise SsganError(
                f"net.generator.channels={list(channels)}: {len(channels)} halvings do not divide images of "
                f"{image_shape[1]}x{image_shape[2]} pixels; use sides that {halvings} divides, or fewer channels"
            )
        sides = [side // halvings for side in image_shape[1:]]
        layers: list[nn.Module] = []
        for stage, outputs in enumerate(channels):
            if stage:
                layers += [upsample(channels[stage - 1], outputs, size, norm, init_std)]
                layers += [*norm_layers(norm, outputs, reference), nn.ReLU()]
            else:  # each of its units is normed over the batch: over a channel's places, what is there without z would win
                units = outputs * prod(sides)
                layers += [dense(latent, units, norm, init_std), *norm_layers(norm, units, reference), nn.ReLU()]
                layers += [nn.Unflatten(1, (outputs, *sides))]
        self.layers = nn.Sequential(*layers)
        output = upsample(channels[-1], image_shape[0], size, "weight", init_std, output_std=0.1)  # authors' code
        assert isinstance(output, WeightNormConvTranspose2d)
        self.output_layer = output

    def initialize(self, count: int) -> None:
        """Every weight-normed layer, the output layer with an sd of 0.1 before its tanh (authors' code)."""
        initialize_from_data(self, self.draw_latent(count).to(self.output_layer.v.device))

    @torch.no_grad()
    def start_from_mean(self, images: Tensor) -> None:
        """Let images vary a little about the mean color."""
        self.output_layer.b.add_(images.mean((0, 2, 3)).clamp(-0.99, 0.99).atanh())

    def generate(self, z: Tensor) -> Tensor:
        return self.output_layer(self.layers(z)).tanh()


def dense(inputs: int, outputs: int, norm: str, init_std: float) -> nn.Module:
    """A layer that ``norm`` may follow: weight-normed if that is the norm."""
    if norm == "weight":
        return WeightNormLinear(inputs, outputs, train_scale=True, init_std=init_std)
    return plain(nn.Linear(inputs, outputs, bias=False), init_std)


def upsample(inputs: int, outputs: int, size: int, norm: str, init_std: float, output_std: float = 1.0) -> nn.Module:
    """The same that doubles both sides."""
    padding = (size - 1) // 2  # and, for an odd size, a row and a column more on one side
    if norm == "weight":
        return WeightNormConvTranspose2d(
            inputs,
            outputs,
            size,
            stride=2,
            padding=padding,
            output_padding=size % 2,
            train_scale=True,
            init_std=init_std,
            output_std=output_std,
        )
    conv = nn.ConvTranspose2d(inputs, outputs, size, 2, padding, output_padding=size % 2, bias=False)
    return plain(conv, init_std)


def plain(layer: nn.Linear | nn.ConvTranspose2d, init_std: float) -> nn.Module:
    """``layer`` with weights from N(0, init_std)."""
    nn.init.normal_(layer.weight, std=init_std)
    return layer
