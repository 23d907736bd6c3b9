"""A user's arrays as images or vectors, and a sentence for what is not obvious."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.pixels import levels_to_uint8, unwritten

CHECKED_AT_ONCE = 10_000
"""Vectors: all of a mapped file may be more than memory holds."""

Array = np.ndarray[Any, Any]

OVERSHOOT = 2.0
"""Floats up to this are hardly 0..255: rounding and interpolation go a little above 1."""

DARK = 32
"""Integer images with no value above this get a note: their range may not be 0..255."""


def as_images(parts: Mapping[str, Array]) -> tuple[dict[str, Tensor], list[str], tuple[float, float] | None]:
    """Images of all ``parts`` as uint8 (N, C, H, W), what was understood, in words, and the values above 255 that became 0 and 255.

    They may be (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3, in any memory order; uint8, other whole numbers or
    floats in 0..255, floats in [0, 1], booleans, or whole numbers above 255, whose range in the first of ``parts`` becomes
    0..255. Floats (N, F) are vectors (`as_vectors`). Raises `SsganError` for anything else.
    """
    out: dict[str, Tensor] = {}
    notes: list[str] = []
    first = next(iter(parts))
    if parts[first].ndim == 2 and parts[first].dtype.kind == "f":
        return as_vectors(parts), notes, None
    levels = _levels(parts[first], first, notes)
    for what, array in parts.items():
        if array.ndim != parts[first].ndim or array.dtype.kind not in "buif":
            raise SsganError(f"{what} has the shape {array.shape} of {array.dtype}, {first} {parts[first].shape}.")
        if what != first and array.size:
            _check_scale(array, parts[first], levels, what, first, notes)
        out[what] = _laid_out(_scaled(array, levels, what), what, may_be_empty=what != first)
    shapes = {what: tuple(images.shape[1:]) for what, images in out.items() if len(images)}
    different = [what for what, shape in shapes.items() if shape != out[first].shape[1:]]
    if different:
        raise SsganError(f"{different[0]} and {first} hold images of different shapes")
    return out, notes, levels if levels[1] > 255 else None


def as_vectors(parts: Mapping[str, Array]) -> dict[str, Tensor]:
    """(N, F) floats as float32 (N, F, 1, 1); raises `SsganError` for anything else, and for NaN or infinite numbers."""
    first = next(iter(parts))
    out = {}
    for what, array in parts.items():
        if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] != parts[first].shape[1]:
            raise SsganError(f"{what} has the shape {array.shape} of {array.dtype}, {first} {parts[first].shape}.")
        vectors = unwritten(np.ascontiguousarray(array, dtype=np.float32))
        for start in range(0, len(vectors), CHECKED_AT_ONCE):
            bad = ~vectors[start : start + CHECKED_AT_ONCE].isfinite().all(1)
            if bad.any():
                where = start + int(bad.nonzero()[0])
                raise SsganError(f"{what} holds NaN or infinite values, the first in row {where}. Fill or remove them.")
        if not vectors.numel() and what == first:
            raise SsganError(f"{what} has the shape {array.shape}: it holds no vector.")
        out[what] = vectors[..., None, None]
    return out


def _levels(images: Array, what: str, notes: list[str]) -> tuple[float, float]:
    """The values that become 0 and 255."""
    if images.dtype.kind not in "buif":
        pickled = (
            " Objects of Python in a file are not read: they could execute anything."
            if images.dtype.kind == "O"
            else ""
        )
        raise SsganError(f"{what} is {images.dtype}. Store images as uint8, 0..255.{pickled}")
    if not images.size:
        return 0.0, 255.0
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        raise SsganError(
            f"{what} holds NaN or infinite values. Remove these images and store the rest as uint8, 0..255."
        )
    if low < 0:
        raise SsganError(f"{what} holds values from {low:g} to {high:g}. Use 0..255, or floats in [0, 1].")
    if images.dtype.kind == "b" or (images.dtype.kind == "f" and high <= 1):
        return 0.0, 1.0
    if images.dtype.kind == "f" and high <= OVERSHOOT:
        raise SsganError(
            f"{what} holds values from {low:g} to {high:g}. If 1 is white, clip them: x.clip(0, 1); else use 0..255."
        )
    if high > 255:
        if images.dtype.kind == "f":
            raise SsganError(f"{what} holds values from {low:g} to {high:g}. Use 0..255, or floats in [0, 1].")
        notes.append(f"{what}: {images.dtype} values {low:g}..{high:g} become 0..255")
        return low, high
    if high <= DARK:
        notes.append(f"{what}: no value is above {high:g} of 255; scale them to 0..255 if that is not meant")
    return 0.0, 255.0


def _check_scale(
    images: Array, others: Array, levels: tuple[float, float], what: str, first: str, notes: list[str]
) -> None:
    """Raise `SsganError` for ``images`` on another scale than ``others``, those of ``first``, and add a note if they may be."""
    high = float(images.max())
    deep = levels[1] > 255  # whole numbers, of which those of training say what is white
    if (images.dtype.kind == "f" and 0 < high <= 1 < levels[1]) or (
        deep and (images.dtype.newbyteorder("=") != others.dtype.newbyteorder("=") or high > 2 * levels[1])
    ):
        raise SsganError(
            f"{what} is {images.dtype} up to {high:g}, {first} {others.dtype} up to {float(others.max()):g}. Use one type and one "
            f"range for all."
        )
    if not deep and images.dtype.kind in "ui" and high <= DARK < float(others.max()):
        notes.append(f"{what}: no value is above {high:g}, and in {first} they are up to {float(others.max()):g}")


def _scaled(images: Array, levels: tuple[float, float], what: str) -> Array:
    if images.dtype == np.uint8 and levels == (0.0, 255.0):
        return images
    low, high = (float(images.min()), float(images.max())) if images.size else levels
    if levels[1] <= 255 and not 0 <= low <= high <= levels[1]:  # also for NaN
        raise SsganError(f"{what} holds values from {low:g} to {high:g}, x_train up to {levels[1]:g}.")
    out = np.empty(images.shape, np.uint8)
    for number, image in enumerate(images):  # one at a time: a copy of all as floats would be many times as large
        out[number] = levels_to_uint8(image, levels)
    return out


def _laid_out(images: Array, what: str, may_be_empty: bool) -> Tensor:
    shape = images.shape
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and shape[-1] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    elif images.ndim != 4 or shape[1] not in (1, 3):
        hint = " Vectors, (N, F), are floats." if images.ndim == 2 else ""
        if images.ndim == 2 and shape[1] and round(shape[1] ** 0.5) ** 2 == shape[1]:
            hint += (
                f" Rows of {shape[1]} may be {round(shape[1] ** 0.5)}x{round(shape[1] ** 0.5)} images: reshape them."
            )
        if images.ndim == 4 and 4 in (shape[1], shape[-1]):
            hint = " A fourth channel is transparency: leave it out."
        raise SsganError(
            f"{what} has the shape {shape}. It needs (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3.{hint}"
        )
    if 0 in images.shape[may_be_empty:]:
        raise SsganError(f"{what} has the shape {shape}: it holds no image.")
    if not isinstance(images, np.memmap):
        return torch.from_numpy(np.ascontiguousarray(images))
    return unwritten(images)
