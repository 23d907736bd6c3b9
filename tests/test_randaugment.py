"""RandAugment: each image has operations of its own, drawn ahead and repeatable."""

import pytest
import torch
import torchvision.transforms.v2.functional as F

from ssgan.data.augmentation import Augmentation
from ssgan.data.randaugment import RandAugment, operations


@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_keeps_shape_and_type(channels: int) -> None:
    image = torch.randint(0, 256, (channels, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert len(operations(channels)) == (14 if channels == 3 else 13)
    for operation in operations(channels):
        for magnitude in (-1.0, -0.3, 0.0, 1.0):
            result = operation(image, magnitude)
            assert result.shape == image.shape
            assert result.dtype == torch.uint8


def test_operations_at_zero_magnitude_change_nothing_but_histograms() -> None:
    image = torch.randint(40, 200, (3, 32, 32), dtype=torch.uint8)
    unchanged = [torch.equal(operation(image, 0.0), image) for operation in operations(3)]
    assert unchanged == [True, False, False, *[True] * 11]  # autocontrast and equalize have no magnitude


def test_each_image_has_its_own() -> None:
    augment = RandAugment(2, 3)
    rng = torch.Generator().manual_seed(0)
    drawn = augment.draw(40, rng)
    assert [len(part) for part in drawn] == [40] * 4
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).repeat(40, 1, 1, 1)
    result = augment(images, *drawn)
    assert len({tuple(image.flatten().tolist()) for image in result}) > 30
    assert torch.equal(result, augment(images, *drawn))
    shuffled = torch.randperm(40)
    assert torch.equal(result[shuffled], augment(images, *(part[shuffled] for part in drawn)))


def test_it_is_part_of_an_augmentation() -> None:
    """In sequence with its own parameters, before shifts and cutout; magnitudes are those that were drawn."""
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    augmentation = Augmentation((1, 8, 8), operations=1)
    params = list(augmentation.draw(5, torch.Generator().manual_seed(0)))
    params[-2], params[-1] = torch.full((5,), 3), torch.full((5,), 0.5)
    expected = torch.stack([F.adjust_brightness(image, 1.45) for image in images])
    assert torch.equal(augmentation(images, tuple(params)), expected)
