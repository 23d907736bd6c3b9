"""The fully connected pair of the paper's MNIST experiments (authors' train_mnist_feature_matching.py)."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from ssgan.nets.base import ImageClassifier, ImageGenerator, capture_init_args
from ssgan.nets.initialization import initialize_from_data
from ssgan.nets.layers.batch_norm import norm_layers
from ssgan.nets.layers.minibatch_discrimination import MinibatchDiscrimination
from ssgan.nets.layers.noise import GaussianNoise
from ssgan.nets.layers.standardization import Standardization
from ssgan.nets.layers.weight_norm import WeightNormLinear
from ssgan.pixels import PixelRange

MOST_NOISE, NOISE_PER_ROOT = 2.0, 0.11
"""Of vectors whose noise is not given: many numbers say the same in other words, few do not (benchmarks/README.md)."""


class MLPClassifier(ImageClassifier):
    """Images in [0, 1], or vectors -> logits.

    With ``standardized`` it takes vectors, float (N, F, 1, 1), of any range, each of whose numbers becomes mean 0 and sd 1
    by the statistics of those that `initialize` gets. Then noise, weight-normed layer, ReLU for each width of ``hidden``, then minibatch discrimination with
    ``minibatch_kernels`` kernels of ``minibatch_dims`` dimensions if there are any, noise and the output layer, whose
    scale is the only one trained. An ``input_noise`` of None is `NOISE_PER_ROOT` times the root of the number of values, and at most `MOST_NOISE`.
    """

    pixel_range = (0.0, 1.0)

    @capture_init_args
    def __init__(
        self,
        image_shape: Sequence[int],
        classes: int,
        hidden: Sequence[int],
        input_noise: float | None,
        hidden_noise: float,
        init_std: float,
        minibatch_kernels: int = 0,
        minibatch_dims: int = 0,
        standardized: bool = False,
    ):
        super().__init__()
        if input_noise is None:
            input_noise = min(MOST_NOISE, NOISE_PER_ROOT * prod(image_shape) ** 0.5)
        self.standardized = standardized
        trunk: list[nn.Module] = [nn.Flatten(), *([Standardization(prod(image_shape))] if standardized else [])]
        noise: float = input_noise
        for inputs, outputs in pairwise([prod(image_shape), *hidden]):
            trunk += [GaussianNoise(noise), WeightNormLinear(inputs, outputs, init_std=init_std), nn.ReLU()]
            noise = hidden_noise
        self.trunk = nn.Sequential(*trunk)
        self.head = output_head(hidden[-1], classes, hidden_noise, init_std, minibatch_kernels, minibatch_dims)
        self.batch_dependent = minibatch_kernels > 0
        # A CPU's matrix unit takes blocks of 32 rows: the weight gradient of 300 took 1.6 times as long as that of 320.
        self.pass_multiple = 1 if self.batch_dependent else 32

    def initialize(self, images: Tensor) -> None:
        if self.standardized:
            self.trunk[1].measure(images)  # type: ignore[operator]

    def features(self, images: Tensor) -> Tensor:
        """f(x) of sec. 3.1: the last hidden layer after its ReLU and before its noise, (N, hidden[-1])."""
        return self.trunk(images)


def output_head(
    features: int, classes: int, noise: float, init_std: float, kernels: int, dims: int, output_std: float = 1.0
) -> nn.Sequential:
    """Features -> logits: minibatch discrimination if there are kernels, noise, the output layer."""
    mixing = [MinibatchDiscrimination(features, kernels, dims)] if kernels else []
    output = WeightNormLinear(features + kernels, classes, train_scale=True, init_std=init_std, output_std=output_std)
    return nn.Sequential(*mixing, GaussianNoise(noise), output)


class MLPGenerator(ImageGenerator):
    """z -> images in [0, 1], or vectors.

    Softplus layers, normed by ``norm`` (batch norm has no gain, as in the authors' code), then a weight-normed output
    layer. ``output`` is its nonlinearity: ``sigmoid`` (authors' code) or ``softplus``, which has no upper end to
    saturate at; or ``standardized``, for vectors: none, and then each number is scaled and moved to the sd and the mean of
    those that `start_from_mean` gets. Weights start Glorot-uniform, the default of the authors' framework.
    """

    pixel_range: PixelRange | None = (0.0, 1.0)

    @capture_init_args
    def __init__(
        self,
        image_shape: Sequence[int],
        latent: int,
        hidden: Sequence[int],
        output: str,
        norm: str = "batch",
        reference: int = 0,
    ):
        super().__init__(image_shape, latent, norm, reference)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([latent, *hidden]):
            if norm == "weight":
                layers += [WeightNormLinear(inputs, outputs, train_scale=True), nn.Softplus()]
                continue
            dense = nn.Linear(inputs, outputs, bias=False)
            nn.init.xavier_uniform_(dense.weight)
            layers += [dense, *norm_layers(norm, outputs, reference), nn.Softplus()]
        self.hidden = nn.Sequential(*layers)
        self.output_layer = WeightNormLinear(hidden[-1], prod(image_shape), train_scale=True)
        nn.init.xavier_uniform_(self.output_layer.v)
        restored = Standardization(prod(image_shape), inverse=True)
        self.output = {"sigmoid": nn.Sigmoid(), "softplus": nn.Softplus(), "standardized": restored}[output]
        if output == "standardized":
            self.pixel_range = None

    def initialize(self, count: int) -> None:
        """The hidden layers, if they are weight-normed; the output layer starts as it was made, as in the authors' code."""
        if self.arguments["norm"] == "weight":
            initialize_from_data(self.hidden, self.draw_latent(count).to(self.output_layer.v.device))

    @torch.no_grad()
    def start_from_mean(self, images: Tensor) -> None:
        """Set the output's bias so that generated images vary about the mean of ``images``, (N, C, H, W) in [0, 1].

        A bias of 0 starts from gray: the way from there drives many outputs of a sigmoid into saturation, where the
        gradient is 0. Means are kept 0.01 away from both ends.
        """
        if isinstance(self.output, Standardization):
            self.output.measure(images)
            return
        mean = images.mean(0).flatten().clamp(0.01, 0.99)
        inverse = torch.logit(mean) if self.arguments["output"] == "sigmoid" else mean.expm1().log()
        self.output_layer.b.copy_(inverse)

    def generate(self, z: Tensor) -> Tensor:
        return self.output(self.output_layer(self.hidden(z))).unflatten(1, self.image_shape)
