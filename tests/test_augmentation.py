"""Augmentation moves each image of a batch in its own way, and images only."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.functional import InterpolationMode, adjust_brightness, adjust_contrast, affine

from ssgan.data.augmentation import Augmentation
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.image_data import ImageData
from ssgan.data.splits import draw_split
from ssgan.data.views import LABELED, UNLABELED
from ssgan.errors import SsganError


@given(st.integers(1, 3), st.integers(2, 7), st.integers(2, 7), st.booleans(), st.data())
def test_a_move_is_a_window_of_the_reflected_image(
    channels: int, height: int, width: int, flip: bool, data: st.DataObject
) -> None:
    """Kills swapped axes, one move for all images, and a gap that is filled otherwise than by reflection."""
    shift = data.draw(st.integers(0, min(height, width) - 1))
    images = torch.randint(256, (9, channels, height, width), dtype=torch.uint8)
    augmentation = Augmentation((channels, height, width), shift, flip)
    drawn = augmentation.draw(len(images), torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    moved = augmentation(images, drawn)
    assert moved.dtype == torch.uint8
    padded = np.pad(images.numpy(), [(0, 0), (0, 0), (shift, shift), (shift, shift)], mode="reflect")
    sides = 2 * shift + 1
    for image, number, source in zip(moved.numpy(), drawn[0].tolist(), padded, strict=True):
        down, (flipped, right) = number // (sides * (1 + flip)), divmod(number % (sides * (1 + flip)), sides)
        expected = source[:, down : down + height, right : right + width]
        np.testing.assert_array_equal(image, expected[:, :, ::-1] if flipped else expected)


@pytest.mark.parametrize("flip", [False, True])
def test_all_moves_are_equally_likely(flip: bool) -> None:
    moves = 18 if flip else 9
    drawn, *_ = Augmentation((1, 8, 8), 1, flip).draw(1000 * moves, torch.Generator().manual_seed(0))
    assert torch.bincount(drawn, minlength=moves).sub(1000).abs().max() < 150


def test_a_hole_is_a_gray_square_about_each_pixel_in_turn() -> None:
    """Kills a hole of another side, one that wraps around, one hole for all images, and one that a shift moves."""
    augmentation = Augmentation((2, 6, 5), shift=1, cutout=3)
    moves, places, *factors = augmentation.draw(2000, torch.Generator().manual_seed(0))
    assert torch.bincount(places, minlength=30).min() > 30
    images = torch.randint(100, (2000, 2, 6, 5), dtype=torch.uint8)
    changed = augmentation(images, (moves, places, *factors))
    whole = Augmentation((2, 6, 5), shift=1)(images, (moves, places, *factors))
    for place, image, expected in zip(places.tolist(), changed, whole, strict=True):
        y, x = divmod(place, 5)
        expected[:, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 128
        assert torch.equal(image, expected)


@given(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_brightness_and_contrast_are_torchvisions(brightness: float, contrast: float) -> None:
    images = torch.randint(256, (20, 3, 6, 5), dtype=torch.uint8)
    augmentation = Augmentation((3, 6, 5), brightness=brightness, contrast=contrast)
    changes = augmentation.draw(20, torch.Generator().manual_seed(0))
    for strength, factors in zip((brightness, contrast), changes[2:4], strict=True):
        assert (factors - 1).abs().max() <= strength
        assert (factors.std() > 0.2 * strength) == (strength > 0)
    changed = augmentation(images, changes)
    for number, (scale, spread) in enumerate(zip(changes[2].tolist(), changes[3].tolist(), strict=True)):
        expected = adjust_contrast(adjust_brightness(images[number], scale), spread)
        assert (changed[number].int() - expected.int()).abs().max() <= 2  # torchvision rounds in between, and down


@given(st.sampled_from([0.0, 40.0]), st.sampled_from([0.0, 20.0]), st.sampled_from([0.0, 0.3]))
def test_a_warp_is_torchvisions(rotation: float, shear: float, zoom: float) -> None:
    """In the midst of an image: torchvision fills gaps with one color. Kills swapped axes, wrong order and aspect."""
    images = torch.randint(256, (6, 2, 10, 14), dtype=torch.uint8).repeat_interleave(3, 2).repeat_interleave(3, 3)
    augmentation = Augmentation((2, 30, 42), rotation=rotation, shear=shear, zoom=zoom)
    changes = augmentation.draw(6, torch.Generator().manual_seed(0))
    for strength, center, drawn in zip((rotation, shear, zoom, zoom), (0, 0, 1, 1), changes[4:], strict=True):
        assert (drawn - center).abs().max() <= strength
        assert (drawn.std() > 0.2 * strength) == (strength > 0)
    *others, angles, slants, scales, _ = changes
    changed = augmentation(images, (*others, angles, slants, scales, scales))
    for image, expected, angle, slant, scale in zip(images, changed, angles, slants, scales, strict=True):
        bilinear = InterpolationMode.BILINEAR
        turned = affine(image.float(), angle.item(), [0, 0], scale.item(), [slant.item(), 0], bilinear)
        assert (turned - expected)[:, 12:18, 17:25].abs().max() <= 0.51


def test_each_axis_of_an_image_has_its_own_zoom() -> None:
    """Kills one factor for both, and factors of the other axis; the outer pixels lie between two."""
    images = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    images[..., 3:6, 3:6] = 90
    augmentation = Augmentation((1, 9, 9), zoom=0.5)
    *others, _, _ = augmentation.draw(1, torch.Generator().manual_seed(0))
    (wide,) = augmentation(images, (*others, torch.tensor([3.0]), torch.tensor([1.0])))
    assert wide[0, 3:6].tolist() == [[60, *[90] * 7, 60]] * 3
    assert wide.count_nonzero() == 3 * 9


def test_a_part_of_a_batch_is_changed_as_in_the_whole() -> None:
    """Several processes change their own images only."""
    images = torch.randint(256, (23, 1, 28, 28), dtype=torch.uint8)
    augmentation = Augmentation((1, 28, 28), 2, rotation=15, shear=15, zoom=0.15)
    changes = augmentation.draw(23, torch.Generator().manual_seed(0))
    parts = zip(images.split(5), *(change.split(5) for change in changes), strict=True)
    assert torch.equal(torch.cat([augmentation(part, own) for part, *own in parts]), augmentation(images, changes))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutout": 9}, r"augmentation\.cutout=9: use 0 to 8 pixels for 10x8 images"),
        ({"cutout": -1}, r"augmentation\.cutout=-1: use 0 to 8"),
        ({"brightness": 1.5}, r"augmentation\.brightness=1.5: use a number from 0 to 1"),
        ({"rotation": 181}, r"augmentation\.rotation=181: use 0 to 180 degrees"),
        ({"shear": 61}, r"augmentation\.shear=61: use 0 to 60 degrees"),
        ({"zoom": 1.0}, r"augmentation\.zoom=1.0: use a number from 0 to 0.9"),
        ({"contrast": -0.1}, r"augmentation\.contrast=-0.1: use a number from 0 to 1"),
    ],
)
def test_refuses_strengths_outside_their_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SsganError, match=message):
        Augmentation((1, 8, 10), **settings)


@pytest.mark.parametrize("shift", [-1, 8])
def test_refuses_what_cannot_be_reflected(shift: int) -> None:
    with pytest.raises(SsganError, match=rf"augmentation\.shift={shift}: use 0 to 7 pixels for 10x8 images"):
        Augmentation((1, 8, 10), shift)


def test_every_stream_is_shifted_anew_every_epoch_and_validation_is_not(digits: ImageData) -> None:
    """Kills a stream that is left out, shifts shared by two streams, the same ones every epoch, and moved targets."""
    split = draw_split(digits.train_targets.numpy(), 10, 50, 0, 100)
    augmentations = None, Augmentation(digits.image_shape, shift=1)
    plain, shifted = (SemiSupervisedData(digits, split, 50, weak=a) for a in augmentations)
    for source in (plain, shifted):
        source.serve(
            {"labeled": LABELED, "unlabeled": UNLABELED, "generator_unlabeled": UNLABELED}, (0.0, 1.0), torch.float32
        )
    shifted_batch = next(iter(shifted.train_dataloader()))
    again = next(iter(shifted.train_dataloader()))
    for key, images in next(iter(plain.train_dataloader())).items():
        assert torch.equal(shifted_batch[key], again[key])
        assert torch.equal(shifted_batch[key], images) == (key == "targets")
    drawn = {
        tuple(shifted.draws(view, epoch)[1].flatten().tolist())
        for view in ("labeled", "unlabeled", "generator_unlabeled")
        for epoch in (0, 1)
    }
    assert len(drawn) == 6
    for (images, _), (expected, _) in zip(shifted.val_dataloader(), plain.val_dataloader(), strict=True):
        assert torch.equal(images, expected)


def test_one_pixel_cannot_move() -> None:
    with pytest.raises(SsganError, match=r"augmentation\.shift=1: use 0 to 0 pixels"):
        Augmentation((1, 1, 1), 1)
