"""Convolutional pair in the shape of DCGAN (Radford et al. 2016), for images whose sides halve at least once."""

from collections.abc import Sequence

from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import ImageClassifier, capture_init_args
from ssgan.nets.conv import ConvGenerator
from ssgan.nets.layers.noise import GaussianNoise
from ssgan.nets.layers.weight_norm import WeightNormConv2d
from ssgan.nets.mlp import output_head


def halvings(image_shape: Sequence[int]) -> tuple[int, tuple[int, int]]:
    """How often both sides can be halved before one is odd or 4, and the sides then: 2 and 7x7 for 28x28."""
    _, height, width = image_shape
    count = 0
    while height % 2 == 0 == width % 2 and min(height, width) > 4:
        height, width, count = height // 2, width // 2, count + 1
    if count == 0 or max(height, width) > 16:
        raise SsganError(
            f"network dcgan: images of {image_shape[1]}x{image_shape[2]} do not halve down to small ones; "
            f"use net/classifier=mnist net/generator=mnist, or images with sides like 28, 32 or 64"
        )
    return count, (height, width)


class DCGANClassifier(ImageClassifier):
    """Images in [-1, 1] -> logits.

    Noise, weight-normed 4x4 convolution of stride 2, LeakyReLU 0.2 for each halving, with ``width`` channels that
    double each time; then a 3x3 one with twice as many, its mean over all places as the features, and a head as in
    `MLPClassifier`.
    """

    pixel_range = (-1.0, 1.0)

    @capture_init_args
    def __init__(
        self,
        image_shape: Sequence[int],
        classes: int,
        width: int,
        input_noise: float,
        hidden_noise: float,
        init_std: float,
        minibatch_kernels: int,
        minibatch_dims: int,
    ):
        super().__init__()
        count, _ = halvings(image_shape)
        layers: list[nn.Module] = []
        channels, noise = image_shape[0], input_noise
        for stage in range(count + 1):
            wider = width * 2**stage
            size, stride = (4, 2) if stage < count else (3, 1)
            conv = WeightNormConv2d(channels, wider, size, stride=stride, padding=1, init_std=init_std)
            layers += [GaussianNoise(noise), conv, nn.LeakyReLU(0.2)]
            channels, noise = wider, hidden_noise
        self.trunk = nn.Sequential(*layers)
        self.head = output_head(channels, classes, hidden_noise, init_std, minibatch_kernels, minibatch_dims)
        self.batch_dependent = minibatch_kernels > 0

    def features(self, images: Tensor) -> Tensor:
        """f(x): the mean of the last channels over all places, (N, width 2^halvings)."""
        return self.trunk(images).mean((2, 3))


class DCGANGenerator(ConvGenerator):
    """z -> images in [-1, 1]: `ConvGenerator` with as many halvings as the images allow, 4x4 kernels, and channels that
    halve from layer to layer down to ``width`` before the output.
    """

    @capture_init_args
    def __init__(self, image_shape: Sequence[int], latent: int, width: int, norm: str, reference: int, init_std: float):
        count, _ = halvings(image_shape)
        channels = [width * 2**stage for stage in reversed(range(count))]
        super().__init__(image_shape, latent, channels, 4, norm, reference, init_std)
