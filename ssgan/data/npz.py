"""Arrays in an .npz file: images and targets, checked as they come in. Nothing in a file is executed (no pickles)."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError

Array = np.ndarray[Any, Any]
NOT_WHOLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError)
"""What NumPy raises for an .npz file that is truncated, or none."""

STANDARD = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path, classes: int) -> dict[str, Tensor]:
    """x_train, y_train, x_test, y_test: images as (N, C, H, W) uint8, targets as int64 in 0..classes-1.

    Images may be (N, H, W) or (N, H, W, C) with C 1 or 3. Raises `SsganError` for a file that is truncated or holds
    anything else.
    """
    arrays = _arrays(path)
    missing = [key for key in STANDARD if key not in arrays]
    if missing:
        raise SsganError(f"{path}: {', '.join(missing)} is missing. It needs {', '.join(STANDARD)}.")
    return _checked(path, arrays, least=0, classes=classes)


def read_own_npz(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The same of a user's file, and the names of its classes.

    Training images without a label have target -1; the test arrays may be missing (none are then returned as arrays of
    length 0); names are the file's ``class_names``, or the numbers 0..K-1 where K - 1 is the largest target.
    """
    arrays = _arrays(path)
    missing = [key for key in STANDARD[:2] if key not in arrays]
    if missing or ("x_test" in arrays) != ("y_test" in arrays):
        raise SsganError(f"{path}: it needs x_train and y_train, and may have x_test with y_test, and class_names.")
    if "x_test" not in arrays:
        arrays |= {"x_test": arrays["x_train"][:0], "y_test": arrays["y_train"][:0]}
    if "class_names" in arrays:
        names = tuple(map(str, arrays["class_names"].ravel().tolist()))
    else:
        targets = [arrays[key] for key in ("y_train", "y_test") if arrays[key].dtype.kind in "iu" and arrays[key].size]
        names = tuple(map(str, range(max((int(of_part.max()) for of_part in targets), default=0) + 1)))
    if len(names) < 2:
        raise SsganError(f"{path}: {len(names)} class. A classifier needs two or more.")
    return _checked(path, arrays, least=-1, classes=len(names)), names


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except NOT_WHOLE as error:
        raise SsganError(f"{path}: not a whole .npz file ({error}). Copy or unpack it again.") from error


def _checked(path: Path, arrays: dict[str, Array], least: int, classes: int) -> dict[str, Tensor]:
    """The four arrays as tensors; the targets of training images may be as low as ``least``."""
    out: dict[str, Tensor] = {}
    for part, lowest in (("train", least), ("test", 0)):
        images, targets = arrays[f"x_{part}"], arrays[f"y_{part}"]
        out[f"x_{part}"] = _images(images, f"{path}: x_{part}", may_be_empty=least < 0 and part == "test")
        out[f"y_{part}"] = _targets(targets, len(images), range(lowest, classes), f"{path}: y_{part}")
    if out["x_train"].shape[1:] != out["x_test"].shape[1:]:
        raise SsganError(f"{path}: x_train and x_test hold images of different shapes")
    return out


def _images(images: Array, what: str, may_be_empty: bool) -> Tensor:
    if images.dtype.kind == "f" and np.isnan(images).any():
        raise SsganError(f"{what} holds NaN. Remove these images and store the rest as uint8, 0..255.")
    if images.dtype != np.uint8:
        raise SsganError(f"{what} is {images.dtype}. Store images as uint8, 0..255.")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[may_be_empty:]:
        raise SsganError(f"{what} has the shape {images.shape}. It needs (N, H, W) or (N, H, W, C) with C 1 or 3.")
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _targets(targets: Array, count: int, known: range, what: str) -> Tensor:
    allowed = f"{known.start}..{known.stop - 1}"
    if targets.shape != (count,):
        raise SsganError(f"{what} has the shape {targets.shape}. It needs one label per image: ({count},).")
    if targets.dtype.kind == "f" and np.isnan(targets).any():
        raise SsganError(f"{what} holds NaN. Give every image a label in {allowed}.")
    if targets.dtype.kind not in "iu":
        raise SsganError(f"{what} is {targets.dtype}. Store labels as whole numbers.")
    if count and (targets.min() < known.start or targets.max() >= known.stop):
        raise SsganError(f"{what} holds labels from {targets.min()} to {targets.max()}. They must be {allowed}.")
    return torch.from_numpy(targets.astype(np.int64))
