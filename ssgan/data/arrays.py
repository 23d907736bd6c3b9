"""A user's arrays as a data set: images and labels in any of their usual forms, and a sentence for what is not obvious."""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.data.image_data import ImageData, Origin
from ssgan.data.labels import NO_LABEL, parse_labels
from ssgan.errors import SsganError, first_line
from ssgan.inference.embedding import Embedding
from ssgan.pixels import levels_to_uint8
from ssgan.reading import AS_IS, PictureReading

Array = np.ndarray[Any, Any]

PARTS = ("train", "validation", "test")

ALIASES = {
    "x_train": ("x_train", "train_images", "X_train", "images_train", "train_x", "images", "x", "X", "data"),
    "y_train": (
        "y_train",
        "train_labels",
        "Y_train",
        "labels_train",
        "train_y",
        "labels",
        "y",
        "Y",
        "targets",
        "target",
    ),
    "x_validation": ("x_validation", "x_val", "x_valid", "val_images", "valid_images", "validation_images", "X_val"),
    "y_validation": ("y_validation", "y_val", "y_valid", "val_labels", "valid_labels", "validation_labels", "Y_val"),
    "x_test": ("x_test", "test_images", "X_test", "images_test", "test_x"),
    "y_test": ("y_test", "test_labels", "Y_test", "labels_test", "test_y"),
    "embedding": ("embedding",),
    "class_names": ("class_names", "classes", "label_names", "target_names"),
}
"""The names of arrays in a file, ours first; MedMNIST's are train_images, train_labels and so on."""

DARK = 32
"""Images of 0..255 with no level above this are told of: they may be meant otherwise."""


def find_arrays(present: Sequence[str], what: str) -> dict[str, str]:
    """Which of the names ``present`` is which array; raises `SsganError` if two could be the same one, or training's are missing."""
    found: dict[str, str] = {}
    for key, aliases in ALIASES.items():
        there = [alias for alias in aliases if alias in present]
        if len(there) > 1:
            raise SsganError(f"{what}: holds {' and '.join(there)}, and each could be {key}. Leave one of them.")
        if there:
            found[key] = there[0]
    missing = [key for key in ("x_train", "y_train") if key not in found]
    halves = [part for part in PARTS if (f"x_{part}" in found) != (f"y_{part}" in found)]
    if missing or halves:
        raise SsganError(
            f"{what}: it needs x_train and y_train, and may have x_validation with y_validation, x_test with y_test, and "
            f"class_names; it has {', '.join(present) or 'nothing'}."
        )
    return found


def image_data(
    name: str,
    arrays: Mapping[str, Array],
    what: str,
    class_names: Sequence[str] | None = None,
    no_label: int | str | None = None,
) -> ImageData:
    """``arrays`` by the names that are the keys of `ALIASES`, as a data set; ``what`` is what messages call their source.

    Images are what `as_images` takes, labels what `parse_labels` does. Raises `SsganError` for anything else, and for a
    validation or test image without a label.
    """
    parts = [part for part in PARTS if f"x_{part}" in arrays]
    if class_names is None and "class_names" in arrays:
        class_names = [str(word) for word in _decoded(arrays["class_names"]).ravel().tolist()]
    try:
        targets, names, notes = parse_labels(
            {f"y_{part}": np.asarray(arrays[f"y_{part}"]) for part in parts}, class_names, no_label
        )
        images, more = as_images({f"x_{part}": np.asanyarray(arrays[f"x_{part}"]) for part in parts})
        for part in parts:
            _check_labels(part, targets[f"y_{part}"], len(images[f"x_{part}"]))
    except SsganError as error:
        raise SsganError(f"{what}: {error}") from error
    x = {part: images[f"x_{part}"] for part in parts}
    y = {part: torch.from_numpy(targets[f"y_{part}"].astype(np.int64)) for part in parts}
    held_out = len(x.get("validation", ()))
    embedding = _embedding(arrays["embedding"], what) if "embedding" in arrays else {}
    reading = embedding.pop("reading", None)
    return ImageData(
        name,
        names,
        torch.cat([x["train"], x["validation"]]) if held_out else x["train"],
        torch.cat([y["train"], y["validation"]]) if held_out else y["train"],
        x.get("test", x["train"][:0]),
        y.get("test", y["train"][:0]),
        held_out,
        Origin(
            (*notes, *more),
            embedding=embedding or None,
            reading=PictureReading.from_json(reading) if reading else AS_IS,
        ),
    )


def _embedding(description: Array, what: str) -> dict[str, Any]:
    """What `ssgan.embed` wrote of itself."""
    try:
        content = json.loads(str(description))
        PictureReading.from_json(content["reading"])
        Embedding.from_json(content)
    except (KeyError, TypeError, ValueError) as error:
        raise SsganError(f"{what}: embedding is not what ssgan.embed writes ({first_line(error)})") from error
    return dict(content)


def _check_labels(part: str, targets: Array, images: int) -> None:
    if len(targets) != images:
        raise SsganError(f"y_{part} holds {len(targets)} labels for {images} images. It needs one for each.")
    unlabeled = int((targets == NO_LABEL).sum())
    if part != "train" and unlabeled:
        raise SsganError(f"y_{part} holds {unlabeled} images without a label. Put them into x_train.")


def as_images(parts: Mapping[str, Array]) -> tuple[dict[str, Tensor], list[str]]:
    """Images of all ``parts`` as uint8 (N, C, H, W), and what was understood, in words.

    They may be (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3, in any memory order; uint8, other whole numbers or
    floats in 0..255, floats in [0, 1], booleans, or whole numbers above 255, whose range in the first of ``parts`` becomes
    0..255. Floats (N, F) are vectors (`as_vectors`). Raises `SsganError` for anything else.
    """
    out: dict[str, Tensor] = {}
    notes: list[str] = []
    first = next(iter(parts))
    if parts[first].ndim == 2 and parts[first].dtype.kind == "f":
        return as_vectors(parts), notes
    levels = _levels(parts[first], first, notes)
    for what, array in parts.items():
        if array.ndim != parts[first].ndim or array.dtype.kind not in "buif":
            raise SsganError(f"{what} has the shape {array.shape} of {array.dtype}, {first} {parts[first].shape}.")
        out[what] = _laid_out(_scaled(array, levels, what), what, may_be_empty=what != first)
    shapes = {what: tuple(images.shape[1:]) for what, images in out.items() if len(images)}
    different = [what for what, shape in shapes.items() if shape != out[first].shape[1:]]
    if different:
        raise SsganError(f"{different[0]} and {first} hold images of different shapes")
    return out, notes


def as_vectors(parts: Mapping[str, Array]) -> dict[str, Tensor]:
    """(N, F) floats as float32 (N, F, 1, 1); raises `SsganError` for anything else, and for NaN or infinite numbers."""
    first = next(iter(parts))
    out = {}
    for what, array in parts.items():
        if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] != parts[first].shape[1]:
            raise SsganError(f"{what} has the shape {array.shape} of {array.dtype}, {first} {parts[first].shape}.")
        vectors = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        if not vectors.isfinite().all():
            where = int((~vectors.isfinite()).any(1).nonzero()[0])
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
    if high > 255:
        if images.dtype.kind == "f":
            raise SsganError(f"{what} holds values from {low:g} to {high:g}. Use 0..255, or floats in [0, 1].")
        notes.append(f"{what}: {images.dtype} values {low:g}..{high:g} become 0..255")
        return low, high
    if high <= DARK:
        notes.append(f"{what}: no value is above {high:g} of 255; scale them to 0..255 if that is not meant")
    return 0.0, 255.0


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
    with warnings.catch_warnings(action="ignore"):  # torch would rather have it writable, and nothing writes to it
        return torch.from_numpy(images)


def _decoded(words: Array) -> Array:
    return np.char.decode(words, "utf-8") if words.dtype.kind == "S" else words
