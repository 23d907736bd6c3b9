"""The net `air`: whitened patches, identity convolutions, and that it trains with SGD on every method."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import Outcome

from ssgan.errors import SsganError
from ssgan.nets import AirClassifier


def test_shapes_and_start() -> None:
    torch.manual_seed(0)
    classifier = AirClassifier((3, 32, 32), 10, [16, 32, 24])
    images = torch.rand(6, 3, 32, 32) * 2 - 1
    assert classifier.features(images).shape == (6, 24)
    assert classifier(images).shape == (6, 10)
    first = classifier.blocks[4]
    x = torch.rand(2, 16, 5, 5)
    torch.testing.assert_close(first(x), x)  # an identity, with as many outputs as inputs


def test_patches_are_white() -> None:
    """Catches filters that are not scaled, not orthogonal, or of one sign alone."""
    torch.manual_seed(0)
    smooth = F.interpolate(torch.rand(200, 3, 8, 8), size=32, mode="bilinear") * 2 - 1
    classifier = AirClassifier((3, 32, 32), 10, [8, 8, 8])
    classifier.initialize(smooth)
    outputs = F.conv2d(smooth, classifier.whitening.weight)
    assert outputs.shape[1] == 24
    torch.testing.assert_close(outputs[:, :12], -outputs[:, 12:])
    covariance = torch.cov(outputs[:, :4].transpose(0, 1).flatten(1))
    torch.testing.assert_close(covariance, torch.eye(4), rtol=0.05, atol=0.02)
    assert not classifier.whitening.weight.requires_grad
    assert classifier.whitening.bias.requires_grad


@pytest.mark.parametrize(("side", "widths"), [(8, [8, 8, 8, 8]), (32, []), (32, [8, 0])])
def test_refuses(side: int, widths: list[int]) -> None:
    with pytest.raises(SsganError, match=r"net\.classifier\.widths"):
        AirClassifier((3, side, side), 10, widths)


@pytest.mark.parametrize("method", ["supervised", "improved_gan"])
def test_it_trains(ssgan: Callable[..., Outcome], tmp_path: Path, large_digits: Path, method: str) -> None:
    data = [
        "dataset=npz",
        f"dataset.path={large_digits}",
        "preset=cifar10_classifier",
        "labels=50",
        "method.batch_size=20",
    ]
    small = ["net.classifier.widths=[8,8,8]", "method.initialization_images=100", "method.epochs=1"]
    steps = ["trainer.limit_train_batches=3", "trainer.samples_count=4", f"runs_dir={tmp_path}"]
    outcome = ssgan("fit", f"method={method}", *data, *small, *steps)
    assert outcome.code == 0, outcome.err
