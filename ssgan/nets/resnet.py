"""Residual classifiers with batch norm, for GPUs: wide ones and ResNet-18 for small images."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import ImageClassifier, capture_init_args, channels_last, mean_over_places
from ssgan.nets.layers.batch_norm import BatchNorm
from ssgan.nets.layers.noise import Dropout
from ssgan.nets.mlp import output_head

SLOPE = 0.1  # of LeakyReLU below 0; Oliver et al. 2018, appendix, for their WRN-28-2


class ResNetClassifier(ImageClassifier):
    """Images in [-1, 1] -> logits.

    A 3x3 convolution to ``stem`` channels, then for each of ``stages``, [channels, blocks, stride of the first], so many
    pre-activated blocks of two 3x3 convolutions (He et al. 2016b), with ``dropout`` between the two (Zagoruyko and
    Komodakis 2016). The mean of the last channels over all places, normed and through LeakyReLU, are the features.

    In training a batch is normed by its own statistics, so every kind of image needs a pass of its own, and only one
    kind, real ones, should move the running statistics (`frozen_bn_stats`); before it is used the averaged
    classifier takes new ones from real images (`initialization.recalibrate`).
    Raises `SsganError` for invalid ``stages``, ``stem`` or ``dropout``.
    """

    pixel_range = (-1.0, 1.0)

    @capture_init_args
    def __init__(
        self,
        image_shape: Sequence[int],
        classes: int,
        stem: int,
        stages: Sequence[Sequence[int]],
        dropout: float = 0.0,
        init_std: float = 0.05,
        minibatch_kernels: int = 0,
        minibatch_dims: int = 0,
    ):
        super().__init__()
        for stage in stages:
            if len(stage) != 3 or min(stage) < 1:
                raise SsganError(
                    f"net.classifier.stages: {list(stage)} is not [channels, blocks, stride], 1 or more each"
                )
        if stem < 1 or not stages or not 0 <= dropout < 1:
            raise SsganError(
                f"net.classifier.stem={stem}, stages={list(stages)}, dropout={dropout}: "
                f"use a stem of 1 or more, at least one stage and a dropout in [0, 1)"
            )
        layers: list[nn.Module] = [convolution(image_shape[0], stem, 3)]
        channels = stem
        for outputs, blocks, stride in stages:
            for number in range(blocks):
                layers.append(ResidualBlock(channels, outputs, 1 if number else stride, dropout))
                channels = outputs
        self.trunk = nn.Sequential(*layers, BatchNorm(channels), nn.LeakyReLU(SLOPE))
        self.head = output_head(channels, classes, 0.0, init_std, minibatch_kernels, minibatch_dims)
        self.batch_dependent = True

    def features(self, images: Tensor) -> Tensor:
        """f(x): the mean of the last channels over all places, (N, channels)."""
        return mean_over_places(self.trunk(channels_last(images)))


class ResidualBlock(nn.Module):
    """x + conv(dropout(act(norm(conv(act(norm(x))))))), (N, C, H, W) -> (N, outputs, H / stride, W / stride).

    Where the shape changes, x comes through a 1x1 convolution of act(norm(x)).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float):
        super().__init__()
        self.norms = nn.ModuleList([BatchNorm(inputs), BatchNorm(outputs)])
        self.convolutions = nn.ModuleList([convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3)])
        self.dropout = Dropout(dropout)
        self.shortcut = convolution(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.norms[0](x), SLOPE)
        if self.shortcut is not None:
            x = self.shortcut(y)
        y = F.leaky_relu(self.norms[1](self.convolutions[0](y)), SLOPE)
        result: Tensor = x + self.convolutions[1](self.dropout(y))
        return result


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Without a bias; He-normal over what it gives out."""
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE, mode="fan_out")
    return layer
