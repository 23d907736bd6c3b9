"""Arrays in .npz and .npy files. Nothing in a file is executed (no pickles)."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ssgan.data.arrays import find_arrays
from ssgan.errors import DAMAGED, SsganError, first_line, warn

Array = np.ndarray[Any, Any]

LARGEST = 8 << 30
"""Bytes of all arrays in a file together, at most: a small file can hold zeros for any amount of memory."""

PICKLED = (
    "holds Python objects, which are not read, because they could execute anything. Store words as text, "
    "y.astype(str), and images that are all of one size as one array"
)


def read_data_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a data set by the names that are the keys of `arrays.ALIASES`.

    ``path`` is an .npz file; a folder of .npy files with these names; or one of them, beside which the others are. Arrays of .npy
    files are mapped, not read. Raises `SsganError` for files that hold no data set or are not whole.
    """
    if not path.exists():
        raise SsganError(f"{path}: no such file")
    if path.is_dir() or path.suffix.lower() == ".npy":
        folder = path if path.is_dir() else path.parent
        names = _found(sorted(file.stem for file in folder.glob("*.npy")), path)
        if path.is_file() and path.stem not in names.values():
            raise SsganError(f"{path}: name the file x_train.npy, beside y_train.npy, or their folder")
        return {key: read_npy(folder / f"{name}.npy") for key, name in names.items()}
    names = _found(names_in(path), path)
    arrays = read_arrays(path, names.values())
    return {key: arrays[name] for key, name in names.items()}


def _found(present: list[str], path: Path) -> dict[str, str]:
    names = find_arrays(present, str(path))
    others = [name for name in present if name not in names.values()]
    if others:
        warn(f"{path}: not read: {', '.join(others)}")
    return names


def holds_vectors(path: Path) -> bool:
    """Whether the training images of a file or folder that `read_data_arrays` takes are (N, F); False for what it rejects."""
    try:
        if path.is_dir() or path.suffix.lower() == ".npy":
            return read_data_arrays(path)["x_train"].ndim == 2
        name = find_arrays(names_in(path), str(path))["x_train"]
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            return len(_header(member)[0]) == 2
    except (SsganError, *DAMAGED):
        return False


def read_npy(path: Path) -> Array:
    """The array of an .npy file, mapped; raises `SsganError` for a file that is not whole."""
    try:
        with path.open("rb") as file:
            claimed = _claimed_bytes(file, path.name)
            present = path.stat().st_size - file.tell()
        if claimed != present:
            raise ValueError(f"{path.name} claims {claimed} bytes and has {present}")
        mapped: Array = np.load(path, allow_pickle=False, mmap_mode="r")
        return mapped
    except DAMAGED as error:
        raise SsganError(f"{path}: not a whole .npy file ({first_line(error)}). Copy it again.") from error


def names_in(path: Path) -> list[str]:
    """The names of all arrays in an .npz file."""
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx", ".parquet"):
        raise SsganError(
            f"{path}: a table; use dataset=table for one of pictures. One of numbers becomes an array file by "
            f"np.savez('vectors.npz', x_train=t[columns].to_numpy(float), y_train=t['label'].to_numpy(str))"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except DAMAGED as error:
        raise SsganError(f"{path}: not a whole .npz file ({first_line(error)}). Copy or unpack it again.") from error


def read_arrays(path: Path, keys: Iterable[str]) -> dict[str, Array]:
    """Those of the arrays named ``keys`` that the file has; others are not read.

    Raises `SsganError` for a file that is not whole, and, before any memory is spent, for arrays of more than `LARGEST`
    bytes together and for one that claims another size than the file holds of it.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            present = {key: f"{key}.npy" for key in keys if f"{key}.npy" in archive.namelist()}
            sizes = {key: _claimed_in(archive, name) for key, name in present.items()}
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


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array whose file this is."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    return shape, dtype


def _claimed_in(archive: zipfile.ZipFile, name: str) -> int:
    """The bytes of an array as its header has them; raises ValueError if the file does not hold as many."""
    with archive.open(name) as member:
        claimed = _claimed_bytes(member, name)
        present = archive.getinfo(name).file_size - member.tell()
    if claimed != present:
        raise ValueError(f"{name} claims {claimed} bytes and has {present}")
    return claimed


def _claimed_bytes(file: Any, name: str) -> int:
    """The bytes of an array as its header has them, which is read; raises ValueError for one of Python objects."""
    shape, dtype = _header(file)
    if dtype.hasobject:
        raise ValueError(f"{name.removesuffix('.npy')} {PICKLED}")
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} has the shape {shape}")
    return math.prod(shape) * dtype.itemsize
