"""The residual classifiers have their published sizes, and evaluate by statistics of real images alone."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Outcome
from hydra.utils import instantiate
from test_configs import compose
from test_improved_gan import fit, make_method, weights
from torch import Tensor

from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError
from ssgan.nets import ResNetClassifier
from ssgan.nets.initialization import recalibrate
from ssgan.nets.layers.batch_norm import batch_norms


def tiny(**changes: Any) -> ResNetClassifier:
    settings: dict[str, Any] = {"stem": 4, "stages": [[4, 1, 1], [8, 2, 2]], "dropout": 0.5}
    return ResNetClassifier((3, 8, 8), 10, **(settings | changes))


def scaled(digits: ImageData) -> Tensor:
    return digits.train_images.float() / 255


@pytest.mark.parametrize(("net", "published"), [("wrn_28_2", 1_467_610), ("resnet_18", 11_172_170)])
def test_numbers_of_parameters(net: str, published: int) -> None:
    """Kills a stage, block or shortcut too many or too few. The scale of the output layer is ours: 10 more."""
    classifier = instantiate(compose("dataset=cifar10", f"net/classifier={net}").net.classifier, (3, 32, 32), 10)
    assert sum(p.numel() for p in classifier.parameters()) == published + 10
    assert classifier(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_features_are_means_over_places() -> None:
    classifier = tiny().eval()
    images = torch.rand(5, 3, 8, 8)
    assert classifier.trunk(images).shape == (5, 8, 4, 4)
    torch.testing.assert_close(classifier.features(images), classifier.trunk(images).mean((2, 3)))


def test_settling_takes_the_statistics_of_real_images_without_dropout() -> None:
    """Kills running statistics of generated images, of a training pass, and of the last batch alone."""
    torch.manual_seed(0)
    classifier, images = tiny(), torch.rand(200, 3, 8, 8)
    for _ in range(5):
        classifier.train()(torch.randn(50, 3, 8, 8) * 9)  # what else it saw in training
    recalibrate(classifier, images)
    assert classifier.training
    block = next(module for module in classifier.trunk if hasattr(module, "norms"))
    inputs = classifier.trunk[0](images)
    torch.testing.assert_close(block.norms[0].running_mean, inputs.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    evaluated = classifier.eval()(images)
    for dropout in classifier.modules():
        if hasattr(dropout, "p"):
            dropout.p = 0.0
    batches = torch.cat([classifier.train()(batch) for batch in images.split(100)])
    torch.testing.assert_close(evaluated, batches, rtol=0.05, atol=0.05)
    assert {norm.momentum for norm in batch_norms(classifier)} == {0.1}


@pytest.mark.parametrize("reuse_features", [True, False])
def test_real_images_alone_move_the_running_statistics(digits: ImageData, reuse_features: bool) -> None:
    """Kills a teacher of consistency that evaluates by the statistics of generated images."""
    classifier = ResNetClassifier((1, 8, 8), 10, stem=4, stages=[[4, 1, 1]])
    module = make_method(classifier=classifier, lr=0.0, terms=weights(consistency=1.0), reuse_features=reuse_features)
    with torch.no_grad():
        module.generator.output_layer.b.add_(9.0)  # white images
    fit(module, digits, steps=18, epochs=2)
    first = next(iter(batch_norms(classifier)))
    real, white = (
        classifier.trunk[0](images).mean((0, 2, 3)) for images in (scaled(digits) * 2 - 1, torch.ones(9, 1, 8, 8))
    )
    assert (real - white).abs().max() > 0.3
    torch.testing.assert_close(first.running_mean, real, rtol=0, atol=0.03)
    assert {norm.momentum for norm in batch_norms(classifier)} == {0.1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": [[4, 1]]}, r"net\.classifier\.stages: \[4, 1\] is not \[channels, blocks, stride\]"),
        ({"stages": [[4, 0, 1]]}, r"net\.classifier\.stages: \[4, 0, 1\]"),
        ({"stages": []}, "at least one stage"),
        ({"stem": 0}, r"net\.classifier\.stem=0"),
        ({"dropout": 1.0}, r"a dropout in \[0, 1\)"),
    ],
)
def test_bad_stages(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SsganError, match=message):
        tiny(**changes)


def test_trains_and_exports(ssgan: Callable[..., Outcome], large_digits: Path, tmp_path: Path) -> None:
    """A few steps in the two-player game; the file gives the errors that the run reported."""
    data = [f"dataset.path={large_digits}", "dataset=npz"]
    small = ["net.classifier.stages=[[16,1,1],[16,1,2]]", "net.generator.channels=[16,8]", "trainer.samples_count=4"]
    steps = [
        "labels=50",
        "method.batch_size=20",
        "method.epochs=1",
        "trainer.limit_train_batches=2",
        f"runs_dir={tmp_path}",
    ]
    outcome = ssgan(
        "fit",
        "method=improved_gan",
        "net/classifier=wrn_28_2",
        "net/generator=paper",
        "method.initialization_images=100",
        *data,
        *small,
        *steps,
    )
    assert outcome.code == 0, outcome.err
    (run,) = (path.parent for path in tmp_path.rglob("metrics.json"))
    evaluated = ssgan("evaluate", f"classifier={run / 'classifier.safetensors'}", *data)
    metrics = json.loads((run / "metrics.json").read_text())
    assert json.loads(evaluated.out)["error"] == pytest.approx(metrics["test_error"])
    assert math.isfinite(metrics["nll"])


def test_settling_weighs_images_alike() -> None:
    """Kills a last batch that has the weight of a full one, and one of a single image."""
    torch.manual_seed(0)
    classifier, images = tiny(), torch.rand(101, 3, 8, 8)
    images[-1] += 9
    recalibrate(classifier, images)
    block = next(module for module in classifier.trunk if hasattr(module, "norms"))
    expected = classifier.trunk[0](images).mean((0, 2, 3))
    torch.testing.assert_close(block.norms[0].running_mean, expected, rtol=0.02, atol=0.002)
