"""The net `small`."""

import pytest
import torch

from ssgan.errors import SsganError
from ssgan.nets import SmallClassifier


@pytest.mark.parametrize(("side", "stride", "left"), [(8, 1, 2), (28, 2, 3), (32, 2, 4)])
def test_shapes(side: int, stride: int, left: int) -> None:
    classifier = SmallClassifier((1, side, side), 10, [4, 6], stride).eval()
    images = torch.rand(5, 1, side, side) * 2 - 1
    assert classifier.features(images).shape == (5, 6 * left * left)
    logits = classifier(images)
    assert logits.shape == (5, 10)
    torch.testing.assert_close(classifier(images[:2]), logits[:2])  # evaluation does not mix the images of a batch
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in classifier.layers) == 4


@pytest.mark.parametrize(("side", "stride", "widths"), [(8, 1, [4] * 4), (8, 4, [4, 4]), (8, 1, []), (8, 1, [4, 0])])
def test_refuses(side: int, stride: int, widths: list[int]) -> None:
    with pytest.raises(SsganError, match=r"net\.classifier\.widths"):
        SmallClassifier((1, side, side), 10, widths, stride)
