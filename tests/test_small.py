"""The net `small`."""

import copy

import pytest
import torch

from ssgan.errors import SsganError
from ssgan.methods.fixmatch import FixMatch
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


def test_the_teacher_norms_by_its_batch() -> None:
    """Catches a teacher with running statistics, which are of other weights and images, and one that moves them."""
    torch.manual_seed(0)
    module = FixMatch(SmallClassifier((1, 8, 8), 10, [4, 8]), FixMatch.Config())
    teacher = module.ema_classifier.module
    state = {name: value.clone() for name, value in teacher.state_dict().items()}
    images = 3 * torch.randn(20, 1, 8, 8) + 1
    logits = module.teacher_logits(images)
    assert not any(layer.training for layer in teacher.modules())
    assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items() if "tracked" not in name)
    torch.testing.assert_close(logits, copy.deepcopy(teacher).train()(images))
    assert not torch.allclose(logits, teacher(images), atol=0.1)
