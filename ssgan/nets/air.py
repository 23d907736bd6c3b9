"""A small classifier chosen by error per FLOP, in the shape of airbench94 (Jordan 2024, arXiv 2404.00498)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import ImageClassifier, capture_init_args, channels_last
from ssgan.nets.layers.batch_norm import BatchNormNoGain

WHITENING_PIXELS, WHITENING_EPS = 5000 * 32 * 32, 5e-4  # airbench94
OUTPUT_SCALE = 1 / 9  # airbench94


class AirClassifier(ImageClassifier):
    """Images in [-1, 1] -> logits.

    A frozen 2x2 convolution whitens patches (its bias is trained); then for each of ``widths`` a 3x3 convolution, max
    pooling by 2, batch norm without gain, GELU, a second 3x3 convolution, batch norm, GELU; the maximum over all places
    gives the features, and a linear layer without bias, times 1/9, the logits. Convolutions start as identities.

    Patches are whitened by the statistics of the images that `initialize` gets: no labels are needed. Trains jointly on
    views in one pass; see `ImageClassifier.batch_dependent`. Raises `SsganError` for images too small to be halved as
    often as there are widths.
    """

    pixel_range = (-1.0, 1.0)
    batch_dependent = True

    @capture_init_args
    def __init__(self, image_shape: Sequence[int], classes: int, widths: Sequence[int]):
        super().__init__()
        channels, height, width = image_shape
        if not widths or min(widths) < 1 or (min(height, width) - 1) >> len(widths) < 1:
            raise SsganError(
                f"net.classifier.widths={list(widths)}: name the channels of 1 or more blocks, and use images whose "
                f"sides, {height}x{width}, less 1 can be halved once for each, or preset=digits_classifier"
            )
        self.whitening = nn.Conv2d(channels, 8 * channels, 2)
        self.whitening.weight.requires_grad_(False)
        nn.init.zeros_(self.whitening.bias)  # type: ignore[arg-type]
        blocks: list[nn.Module] = []
        inputs = 8 * channels
        for outputs in widths:
            blocks += [
                *(identity_convolution(inputs, outputs), nn.MaxPool2d(2), BatchNormNoGain(outputs), nn.GELU()),
                *(identity_convolution(outputs, outputs), BatchNormNoGain(outputs), nn.GELU()),
            ]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = ScaledLinear(inputs, classes)

    def initialize(self, images: Tensor) -> None:
        """Whiten 2x2 patches of ``images``: filters are their principal directions, both signs, scaled to variance 1."""
        patches = (
            F.unfold(images[: max(1, WHITENING_PIXELS // images.shape[2:].numel())].float(), 2)
            .transpose(1, 2)
            .flatten(0, 1)
        )
        covariance = torch.cov(patches.t())
        variances, directions = torch.linalg.eigh(covariance)
        filters = (directions / (variances + WHITENING_EPS).sqrt()).t().flip(0)
        filters = filters.view(-1, images.shape[1], 2, 2)
        with torch.no_grad():
            self.whitening.weight.copy_(torch.cat([filters, -filters]))

    def features(self, images: Tensor) -> Tensor:
        """f(x): the maximum of the last channels over all places, (N, widths[-1])."""
        x = F.gelu(self.whitening(channels_last(images)))
        return self.blocks(x).amax((2, 3))


class ScaledLinear(nn.Linear):
    """Without bias, its output scaled by 1/9."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * OUTPUT_SCALE


def identity_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3, without bias; as many outputs as there are inputs start as the inputs themselves, the others at random."""
    conv = nn.Conv2d(inputs, outputs, 3, padding="same", bias=False)
    nn.init.dirac_(conv.weight[: min(inputs, outputs)])
    return conv
