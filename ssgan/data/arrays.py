"""A user's arrays as a data set: images and labels in any of their usual forms."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ssgan.data.array_images import Array, as_images
from ssgan.data.image_data import ImageData, Origin
from ssgan.data.labels import parse_labels
from ssgan.data.no_label import NO_LABEL
from ssgan.errors import SsganError, first_line
from ssgan.inference.embedding import Embedding
from ssgan.reading import PictureReading

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


LIKE_A_PART = re.compile("unlab|^[xX]_|^[yY]_|_[xX]$|_[yY]$|images|labels")
"""Names of arrays that hold images or labels of some kind."""


def find_arrays(present: Sequence[str], what: str) -> dict[str, str]:
    """Which of the names ``present`` is which array; raises `SsganError` if two could be the same one, training's are missing,
    or others look like images or labels that nothing would read.
    """
    found: dict[str, str] = {}
    for key, aliases in ALIASES.items():
        there = [alias for alias in aliases if alias in present]
        if len(there) > 1:
            raise SsganError(f"{what}: holds {' and '.join(there)}, and each could be {key}. Leave one of them.")
        if there:
            found[key] = there[0]
    apart = [name for name in present if LIKE_A_PART.search(name) and name not in found.values()]
    if apart and {"x_train", "y_train"} <= found.keys():
        raise SsganError(
            f"{what}: holds {', '.join(apart)}, which is none of the arrays of a data set. Put images without a label into x_train, "
            f"with -1 in y_train; rename the others: x_validation, y_validation, x_test, y_test; or leave them out."
        )
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
        images, more, levels = as_images({f"x_{part}": np.asanyarray(arrays[f"x_{part}"]) for part in parts})
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
            reading=PictureReading.from_json(reading) if reading else PictureReading(levels=levels),
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


def _decoded(words: Array) -> Array:
    return np.char.decode(words, "utf-8") if words.dtype.kind == "S" else words
