"""The generator's health: what it counts, written out, and that it tells a dead generator from a live one."""

import pytest
import torch
from conftest import make_classifier
from torch import Tensor

from ssgan.data.image_data import ImageData
from ssgan.evaluation.health import distinct_nearest, generator_health
from ssgan.nets import MLPClassifier, MLPGenerator, SmallClassifier
from ssgan.nets.base import ImageGenerator
from ssgan.nets.initialization import initialize_from_data, recalibrate


def test_distinct_nearest_images_are_counted() -> None:
    """Catches a nearest sample of each candidate in place of the reverse, and pixels that are not averaged."""
    candidates = torch.randint(0, 256, (6, 1, 32, 32), dtype=torch.uint8)
    near = candidates[torch.tensor([0, 0, 3, 5])].clone()
    assert distinct_nearest(near, candidates) == 3 / 4
    checkered = candidates.clone()
    checkered[:, :, ::2, ::2], checkered[:, :, 1::2, 1::2] = candidates[:, :, 1::2, 1::2], candidates[:, :, ::2, ::2]
    assert distinct_nearest(checkered, candidates) == 1  # the same averages over 2x2 pixels


class Draws(ImageGenerator):
    """The images of a data set, or the first of them alone."""

    pixel_range = (0.0, 1.0)

    def __init__(self, images: Tensor, different: bool):
        super().__init__(images.shape[1:], 1, "batch", 0)
        self.images, self.different, self.unused = images / 255, different, torch.nn.Parameter(torch.zeros(1))

    def generate(self, z: Tensor) -> Tensor:
        return self.images[(z[:, 0] * len(self.images)).long() * self.different]


def test_real_images_are_healthy_and_one_image_is_not(digits: ImageData) -> None:
    classifier, images = make_classifier(), digits.train_images
    alive, dead = (
        generator_health(classifier, Draws(images, different), images, torch.arange(len(images)), 0)
        for different in (True, False)
    )
    assert alive["distinct"] > 0.9 * alive["distinct_real"]
    assert (alive["precision"], alive["recall"]) == (pytest.approx(1, abs=0.1), pytest.approx(1, abs=0.2))
    assert alive["d_generated"] == pytest.approx(alive["d_real"], abs=0.01)
    count = len(images) // 2
    assert (dead["distinct"], dead["recall"]) == (1 / count, 0)
    assert dead["distinct_real"] == alive["distinct_real"]


def test_it_calibrates_what_minibatch_discrimination_compares_with(digits: ImageData, generator: MLPGenerator) -> None:
    """Catches a classifier without batch norm that keeps what older weights compared with."""
    images, everywhere = digits.train_images, torch.arange(len(digits.train_images))
    network = MLPClassifier((1, 8, 8), 10, [24, 16], 0.0, 0.0, 0.1, minibatch_kernels=4, minibatch_dims=3)
    calibration = images[:100] / 255
    initialize_from_data(network, calibration)
    recalibrate(network, calibration)
    expected = generator_health(network, generator, images, everywhere, 0)
    recalibrate(network, torch.zeros(100, 1, 8, 8))
    assert generator_health(network, generator, images, everywhere, 0) != expected
    assert generator_health(network, generator, images, everywhere, 0, 0.0, calibration) == expected


def test_it_changes_no_network(digits: ImageData, generator: MLPGenerator) -> None:
    """Catches batch norms of the classifier that are calibrated in place, and modes that are not put back."""
    classifier = SmallClassifier((1, 8, 8), 10, [4, 4]).train()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    pool, calibration = torch.arange(1000), torch.rand(100, 1, 8, 8) * 2 - 1
    health = generator_health(classifier, generator, digits.train_images, pool, 0, 0.0, calibration)
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert classifier.training
    assert 0 < health["d_real"] < 1
    offset = generator_health(classifier, generator, digits.train_images, pool, 0, 9.0, calibration)
    assert offset["d_real"] < health["d_real"]
    assert generator_health(classifier, generator, digits.train_images, torch.arange(7), 0) == {}
