"""RandAugment: each image has operations of its own, drawn ahead and repeatable."""

import math
from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as F
from torch import Tensor

from ssgan.data.augmentation import Augmentation
from ssgan.data.randaugment import RandAugment, operations


def of_torchvision(channels: int) -> list[Callable[[Tensor, float], Tensor]]:
    """FixMatch's list, of one image and its magnitude."""

    def affine(image: Tensor, angle: float = 0, move: tuple[float, float] = (0, 0), *shear: float) -> Tensor:
        return F.affine(image, angle, [round(v) for v in move], 1.0, list(shear or (0, 0)), fill=[128.0] * channels)

    def degrees(m: float) -> float:
        return math.degrees(math.atan(0.3 * m))

    return [
        lambda image, m: image,
        lambda image, m: F.autocontrast(image),
        lambda image, m: F.equalize(image),
        lambda image, m: F.adjust_brightness(image, 1 + 0.9 * m),
        lambda image, m: F.adjust_contrast(image, 1 + 0.9 * m),
        lambda image, m: F.adjust_sharpness(image, 1 + 0.9 * m),
        lambda image, m: F.posterize(image, 8 - round(4 * abs(m))),
        lambda image, m: F.solarize(image, 255 * (1 - abs(m))),
        lambda image, m: affine(image, 30 * m),
        lambda image, m: affine(image, 0, (0, 0), degrees(m), 0.0),
        lambda image, m: affine(image, 0, (0, 0), 0.0, degrees(m)),
        lambda image, m: affine(image, 0, (0.3 * m * image.shape[-1], 0)),
        lambda image, m: affine(image, 0, (0, 0.3 * m * image.shape[-2])),
        *([lambda image, m: F.adjust_saturation(image, 1 + 0.9 * m)] if channels == 3 else []),
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("which", range(14))
def test_operations_are_torchvisions(channels: int, which: int) -> None:
    """On images that are wider than high; catches a wrong sign, axis or fill, and a magnitude of another image."""
    ours, theirs = operations(channels), of_torchvision(channels)
    assert len(ours) == len(theirs) == (14 if channels == 3 else 13)
    if which >= len(ours):
        pytest.skip("of three channels")
    rng = torch.Generator().manual_seed(which)
    images = torch.randint(0, 256, (40, channels, 16, 20), dtype=torch.uint8, generator=rng)
    images = images // 2 + images[:, :, :1, :1] // 2  # some are dark, some are bright
    magnitudes = torch.cat([torch.tensor([-1.0, 0.0, 1.0]), torch.rand(37, generator=rng) * 2 - 1])
    result = ours[which](images, magnitudes)
    expected = torch.stack([theirs[which](image, float(m)) for image, m in zip(images, magnitudes, strict=True)])
    assert result.shape == images.shape
    assert result.dtype == torch.uint8
    different = (result.int() - expected.int()).abs()
    if which in (8, 9, 10):  # what comes from between two pixels may be either
        assert (different > 0).double().mean() < 0.002
    else:  # a sum that is about whole may be cut off to either side, which a magnitude of 1 does at every tenth pixel
        assert different.max() <= 1
        assert (different > 0).double().mean() < 0.02


def test_operations_at_zero_magnitude_change_nothing_but_histograms() -> None:
    images = torch.randint(40, 200, (1, 3, 32, 32), dtype=torch.uint8)
    unchanged = [torch.equal(operation(images, torch.zeros(1)), images) for operation in operations(3)]
    assert unchanged == [True, False, False, *[True] * 11]  # autocontrast and equalize have no magnitude


def test_each_image_has_its_own() -> None:
    """The same in whatever batch and order; catches an image that gets another's operation or place."""
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
    alone = [augment(images[i : i + 1], *(part[i : i + 1] for part in drawn)) for i in range(40)]
    assert torch.equal(result, torch.cat(alone))


def test_it_is_part_of_an_augmentation() -> None:
    """In sequence with its own parameters, before shifts and cutout; magnitudes are those that were drawn."""
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    augmentation = Augmentation((1, 8, 8), operations=1)
    params = list(augmentation.draw(5, torch.Generator().manual_seed(0)))
    params[-2], params[-1] = torch.full((5,), 3), torch.full((5,), 0.5)
    expected = torch.stack([F.adjust_brightness(image, 1.45) for image in images])
    assert torch.equal(augmentation(images, tuple(params)), expected)
