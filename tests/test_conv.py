"""The convolutional pairs have the paper's shapes, and refuse what they cannot take."""

from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from test_configs import compose
from torch import nn

from ssgan.errors import SsganError
from ssgan.nets import ConvClassifier, ConvGenerator
from ssgan.nets.initialization import initialize_from_data
from ssgan.nets.layers.batch_norm import BatchNormNoGain, VirtualBatchNorm
from ssgan.nets.layers.noise import Dropout, NoisePool, set_noise_pool


def pair(net: str) -> tuple[ConvClassifier, ConvGenerator]:
    generator = "paper" if net.startswith("paper") else net
    config = compose("dataset=cifar10", f"net/classifier={net}", f"net/generator={generator}").net
    return instantiate(config.classifier, (3, 32, 32), 10), instantiate(config.generator, (3, 32, 32))


@pytest.mark.parametrize(
    ("net", "sides", "channels"),
    [
        ("paper_cifar10", [32, 32, 16, 16, 16, 8, 6, 6, 6], [96] * 3 + [192] * 6),
        ("paper_svhn", [32, 32, 16, 16, 16, 8, 6, 6, 6], [64] * 3 + [128] * 6),
        ("lean", [16, 16, 8, 8, 6, 6], [32, 32, 64, 64, 128, 128]),
    ],
)
def test_shapes(net: str, sides: list[int], channels: list[int]) -> None:
    classifier, generator = pair(net)
    seen: list[tuple[int, int]] = []
    for module in classifier.trunk:
        if isinstance(module, nn.LeakyReLU):
            module.register_forward_hook(lambda m, x, y: seen.append((y.shape[1], y.shape[2])))
    z = generator.draw_latent(4)
    images = generator(z)
    assert z.shape == (4, 100)
    assert images.shape == (4, 3, 32, 32)
    assert images.abs().max() <= 1
    assert classifier(images).shape == (4, 10)
    assert seen == list(zip(channels, sides, strict=True))
    assert classifier.features(images).shape == (4, channels[-1])


def test_initial_logits_have_the_sd_asked_for() -> None:
    """Authors' code: 0.1 for the output layers of both players, 1 elsewhere."""
    torch.manual_seed(0)
    classifier, generator = pair("lean")
    for dropout in classifier.modules():
        if isinstance(dropout, Dropout):
            dropout.p = 0.0
    images = torch.rand(100, 3, 32, 32) * 2 - 1
    initialize_from_data(classifier, images)
    with torch.no_grad():
        torch.testing.assert_close(classifier(images).std(0, correction=0), torch.full((10,), 0.1), rtol=1e-3, atol=0)
    generator.initialize(len(images))
    generator.start_from_mean(images)
    made = generator.train()(generator.draw_latent(200)).detach().atanh()
    torch.testing.assert_close(made.std((0, 2, 3)), torch.full((3,), 0.1), rtol=0.2, atol=0)
    torch.testing.assert_close(made.mean((0, 2, 3)), images.mean((0, 2, 3)).atanh(), rtol=0, atol=0.02)


@pytest.mark.parametrize("row", [1.0, -0.1, [8, 3, 1], [0, 3, 1, 1], [8, 3, 1, -1], [8, 3, 1, 0.5], "conv"])
def test_bad_rows(row: Any) -> None:
    with pytest.raises(SsganError, match=r"net\.classifier\.rows: .* is neither"):
        ConvClassifier((1, 8, 8), 10, [[8, 3, 1, 1], row], 0.05)


@pytest.mark.parametrize("rows", [[], [0.5], [[8, 9, 1, 0]], [[8, 9, 1, 0], [8, 1, 1, 4]], [[8, 3, 2, 0]] * 4])
def test_rows_that_leave_nothing(rows: list[Any]) -> None:
    with pytest.raises(SsganError, match=r"leave nothing of images of 8x8 pixels"):
        ConvClassifier((1, 8, 8), 10, rows, 0.05)


def test_as_many_channels_as_the_image_will_do() -> None:
    assert ConvClassifier((3, 8, 8), 10, [[3, 3, 1, 1]], 0.05).features(torch.rand(2, 3, 8, 8)).shape == (2, 3)


def test_generator_refuses_sides_that_do_not_halve() -> None:
    with pytest.raises(SsganError, match="3 halvings do not divide images of 28x28 pixels; use sides that 8 divides"):
        ConvGenerator((1, 28, 28), 100, [32, 16, 8], 4, "batch", 0, 0.05)


@pytest.mark.parametrize("pooled", [False, True])
def test_dropout(pooled: bool) -> None:
    """Kills a mask that keeps the wrong share, one that does not scale, and dropout in evaluation."""
    layer = Dropout(0.3)
    if pooled:
        pool = NoisePool(1_000_000, torch.float32)
        pool.refill(0)
        pool.seek(0)
        set_noise_pool(layer, pool)
    x = torch.ones(20, 30, 5, 6)
    y = layer(x)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (y == 0).float().mean() == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(layer(x), y)
    last = layer(x.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert (last == 0).float().mean() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(layer.eval()(x), x)


def first_norm(generator: ConvGenerator) -> nn.Module:
    return next(module for module in generator.layers if isinstance(module, BatchNormNoGain | VirtualBatchNorm))


@pytest.mark.parametrize("norm", ["batch", "virtual"])
@pytest.mark.parametrize("net", ["lean", "paper", "dcgan"])
def test_each_unit_of_the_dense_layer_is_normed_over_the_batch(net: str, norm: str) -> None:
    """Authors' code: batch norm of a dense layer comes before the reshape. Catches one per channel over 4x4 places."""
    torch.manual_seed(0)
    config = compose("dataset=cifar10", f"net/generator={net}", f"net.generator.norm={norm}").net
    generator = instantiate(config.generator, (3, 32, 32)).train()
    seen: list[torch.Tensor] = []
    first_norm(generator).register_forward_hook(lambda module, x, y: seen.append(y.detach().float()))
    z = generator.draw_latent(100)
    generator(z)
    units = seen[0].flatten(1)[: len(z)]  # of virtual batch norm: its reference batch, normed by its own statistics
    torch.testing.assert_close(units.mean(0), torch.zeros(units.shape[1]), rtol=0, atol=1e-4)
    torch.testing.assert_close(units.var(0, correction=0), torch.ones(units.shape[1]), rtol=1e-2, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["lean", "paper", "dcgan"])
def test_images_of_a_fresh_generator_differ_by_z(net: str) -> None:
    """The share of the variance of a pixel, before its tanh, that z explains. It was 0.21 to 0.23 with a norm per channel."""
    torch.manual_seed(0)
    config = compose("dataset=cifar10", f"net/generator={net}").net
    generator = instantiate(config.generator, (3, 32, 32)).train()
    generator.initialize(500)
    with torch.no_grad():
        values = generator(generator.draw_latent(500)).atanh()
    assert values.var(0).mean() / values.var() > 0.4
