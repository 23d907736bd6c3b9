"""Arrays in an .npz file: images and targets, checked as they come in. Nothing in a file is executed (no pickles)."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import DAMAGED, SsganError, first_line

Array = np.ndarray[Any, Any]

LARGEST = 8 << 30
"""Bytes of all arrays in a file together, at most: a small file can hold zeros for any amount of memory."""

STANDARD = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path, classes: int) -> dict[str, Tensor]:
    """x_train, y_train, x_test, y_test: images as (N, C, H, W) uint8, targets as int64 in 0..classes-1.

    Images may be (N, H, W) or (N, H, W, C) with C 1 or 3. Raises `SsganError` for a file that is truncated or holds
    anything else.
    """
    arrays = read_arrays(path, STANDARD)
    missing = [key for key in STANDARD if key not in arrays]
    if missing:
        raise SsganError(f"{path}: {', '.join(missing)} is missing. It needs {', '.join(STANDARD)}.")
    return checked(path, arrays, least=0, classes=classes)


def read_own_npz(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The same of a user's file, and the names of its classes.

    Training images without a label have target -1; the test arrays may be missing (none are then returned as arrays of
    length 0); names are the file's ``class_names``, or the numbers 0..K-1 where K - 1 is the largest target.
    """
    return parse_arrays(read_arrays(path, (*STANDARD, "class_names")), path)


def parse_arrays(arrays: dict[str, Array], path: Path | str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The same of arrays that are in memory; ``path`` is what messages call them."""
    missing = [key for key in STANDARD[:2] if key not in arrays]
    if missing or ("x_test" in arrays) != ("y_test" in arrays):
        raise SsganError(f"{path}: it needs x_train and y_train, and may have x_test with y_test, and class_names.")
    single = [key for key in STANDARD if key in arrays and arrays[key].ndim == 0]
    if single:
        raise SsganError(f"{path}: {', '.join(single)} holds a single value. It needs one for every image.")
    if "x_test" not in arrays:
        arrays |= {"x_test": arrays["x_train"][:0], "y_test": arrays["y_train"][:0]}
    if "class_names" in arrays:
        names = tuple(map(str, arrays["class_names"].ravel().tolist()))
    else:
        targets = [arrays[key] for key in ("y_train", "y_test") if arrays[key].dtype.kind in "iu" and arrays[key].size]
        largest = max((int(of_part.max()) for of_part in targets), default=0)
        if largest >= max(2, arrays["y_train"].size):
            raise SsganError(f"{path}: label {largest} asks for more classes than there are images to train on.")
        names = tuple(map(str, range(largest + 1)))
    if len(names) < 2:
        raise SsganError(f"{path}: {len(names)} class. A classifier needs two or more.")
    return checked(path, arrays, least=-1, classes=len(names)), names


def read_arrays(path: Path, keys: Iterable[str]) -> dict[str, Array]:
    """Those of the arrays named ``keys`` that the file has; others are not read.

    Raises `SsganError` for a file that is not whole, and, before any memory is spent, for arrays of more than `LARGEST`
    bytes together and for one that claims another size than the file holds of it.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            present = {key: f"{key}.npy" for key in keys if f"{key}.npy" in archive.namelist()}
            sizes = {key: _claimed_bytes(archive, name) for key, name in present.items()}
            if sum(sizes.values()) > LARGEST:
                claimed = ", ".join(f"{key} {size / 1e9:.1f} GB" for key, size in sizes.items())
                raise SsganError(f"{path}: more than {LARGEST / 1e9:.1f} GB of arrays ({claimed}). Use a part of them.")
            arrays = {}
            for key, name in present.items():
                with archive.open(name) as member:
                    arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
                    member.read()  # to its end, where the check sum is looked at
            return arrays
    except FileNotFoundError as error:
        raise SsganError(f"{path}: no such file") from error
    except DAMAGED as error:
        raise SsganError(f"{path}: not a whole .npz file ({first_line(error)}). Copy or unpack it again.") from error


def _claimed_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """The bytes of an array as its header has them; raises ValueError if the file does not hold as many."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(member)
        present = archive.getinfo(name).file_size - member.tell()
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} has the shape {shape}")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != present:
        raise ValueError(f"{name} claims {claimed} bytes and has {present}")
    return claimed


def checked(path: Path | str, arrays: dict[str, Array], least: int, classes: int) -> dict[str, Tensor]:
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
