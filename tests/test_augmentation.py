"""Augmentation moves each image of a batch in its own way, and images only."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssgan.data.augmentation import Shifts
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import ImageData
from ssgan.errors import SsganError
from ssgan.splits import draw_split


@given(st.integers(1, 3), st.integers(2, 7), st.integers(2, 7), st.data())
def test_a_shift_is_a_window_of_the_reflected_image(
    channels: int, height: int, width: int, data: st.DataObject
) -> None:
    """Kills swapped axes, one shift for all images, and a gap that is filled otherwise than by reflection."""
    most = data.draw(st.integers(0, min(height, width) - 1))
    images = torch.randint(256, (9, channels, height, width), dtype=torch.uint8)
    shift = Shifts((channels, height, width), most)
    drawn = shift.draw(len(images), torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    moved = shift(images, drawn)
    assert moved.dtype == torch.uint8
    padded = np.pad(images.numpy(), [(0, 0), (0, 0), (most, most), (most, most)], mode="reflect")
    for image, number, source in zip(moved.numpy(), drawn.tolist(), padded, strict=True):
        down, right = divmod(number, 2 * most + 1)
        np.testing.assert_array_equal(image, source[:, down : down + height, right : right + width])


def test_all_shifts_are_equally_likely() -> None:
    drawn = Shifts((1, 8, 8), 1).draw(9000, torch.Generator().manual_seed(0))
    assert torch.bincount(drawn, minlength=9).sub(1000).abs().max() < 150


@pytest.mark.parametrize("most", [-1, 8])
def test_refuses_what_cannot_be_reflected(most: int) -> None:
    with pytest.raises(SsganError, match=f"augmentation.shift={most}: use 0 to 7 pixels for 10x8 images"):
        Shifts((1, 8, 10), most)


def test_every_stream_is_shifted_anew_every_epoch_and_validation_is_not(digits: ImageData) -> None:
    """Kills a stream that is left out, shifts shared by two streams, the same ones every epoch, and moved targets."""
    split = draw_split(digits.train_targets.numpy(), 10, 50, 0, 100)
    plain, shifted = (SemiSupervisedData(digits, split, 50, (0.0, 1.0), seed=0, shift=shift) for shift in (0, 1))
    shifted_batch = next(iter(shifted.train_dataloader()))
    again = next(iter(shifted.train_dataloader()))
    for key, images in next(iter(plain.train_dataloader())).items():
        assert torch.equal(shifted_batch[key], again[key])
        assert torch.equal(shifted_batch[key], images) == (key == "targets")
    number = torch.arange(1297)
    drawn = {
        tuple(torch.cat([shifts for _, shifts in shifted.draws(stream, number, 50, epoch)]).tolist())
        for stream in ("labelled", "unlabelled", "generator")
        for epoch in (0, 1)
    }
    assert len(drawn) == 6
    for (images, _), (expected, _) in zip(shifted.val_dataloader(), plain.val_dataloader(), strict=True):
        assert torch.equal(images, expected)


def test_one_pixel_cannot_move() -> None:
    with pytest.raises(SsganError, match=r"augmentation\.shift=1: use 0 to 0 pixels"):
        Shifts((1, 1, 1), 1)
