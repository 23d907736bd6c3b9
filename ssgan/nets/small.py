"""A small classifier with batch norm, for images of 8x8 to 32x32 pixels."""

from collections.abc import Sequence

from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import ImageClassifier, capture_init_args, channels_last
from ssgan.nets.layers.batch_norm import BatchNormNoGain


class SmallClassifier(ImageClassifier):
    """Images in [-1, 1] -> logits.

    For each of ``widths`` two 3x3 convolutions, each with batch norm without gain and GELU, then max pooling by 2; the very
    first has ``stride``. The values that are left are the features, and a linear layer gives the logits.

    Trains jointly on views in one pass; see `ImageClassifier.batch_dependent`. Raises `SsganError` for images too small to
    be halved as often as there are widths.
    """

    pixel_range = (-1.0, 1.0)
    batch_dependent = True

    @capture_init_args
    def __init__(self, image_shape: Sequence[int], classes: int, widths: Sequence[int], stride: int = 1):
        super().__init__()
        channels, height, width = image_shape
        sides = [-(-side // stride) >> len(widths) for side in (height, width)]
        if not widths or min(widths) < 1 or min(sides) < 1:
            raise SsganError(
                f"net.classifier.widths={list(widths)}: name the channels of 1 or more blocks, and use images whose "
                f"sides, {height}x{width}, can be halved once for each"
            )
        layers: list[nn.Module] = []
        inputs = channels
        for outputs in widths:
            for _ in range(2):
                first = not layers
                layers += [
                    nn.Conv2d(inputs, outputs, 3, stride if first else 1, padding=1, bias=False),
                    *(BatchNormNoGain(outputs), nn.GELU()),
                ]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(inputs * sides[0] * sides[1], classes)

    def features(self, images: Tensor) -> Tensor:
        """f(x), (N, F): all values that are left after the last pooling."""
        return self.layers(channels_last(images)).flatten(1)
