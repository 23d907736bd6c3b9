"""Pictures decoded once into a file that is mapped into memory, not read: it may be larger than memory."""

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from ssgan.data.decoding import Shape, decode_into
from ssgan.data.images import READER, picture_facts, read_picture
from ssgan.errors import SsganError, warn
from ssgan.files import exclusive, write_atomically
from ssgan.pixels import unwritten
from ssgan.reading import PictureReading


@dataclass(frozen=True)
class Decoded:
    """uint8 (N, C, H, W) of the pictures that could be read, which of the files these are, and what was seen of them."""

    images: Tensor
    kept: list[int]
    broken: dict[str, str]
    sizes: dict[str, int]
    modes: dict[str, int]
    levels: tuple[float, float] | None


def relative(file: Path, root: Path) -> str:
    return os.path.relpath(file, root)


def decoded(root: Path, files: list[Path], cache: Path, shape: Shape, background: int, deep: range) -> Decoded:
    """All ``files``, from the ``cache`` or into it."""
    names = [relative(file, root) for file in files]
    stats = [file.stat() for file in files]
    contents = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in zip(names, stats, strict=True)]
    settings = [contents, list(shape), background, len(deep), READER]
    digest = hashlib.sha256(json.dumps(settings).encode(errors="surrogateescape")).hexdigest()
    kept = read_cache(cache, digest, shape)
    if kept is not None and not any(can_be_read(root / name, shape, background) for name in kept.broken):
        return kept
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(cache.with_name(f"{cache.name}.lock")):  # processes of one run, or of a sweep, wait for the first
        again = read_cache(cache, digest, shape)
        if again is not None and again.broken != (kept and kept.broken):  # another process has been here
            return again
        return _decode(root, files, names, cache, shape, background, deep, digest)


def can_be_read(file: Path, shape: Shape, background: int) -> bool:
    """Whether a picture that could not be read before, perhaps for want of permission, can be now."""
    try:
        facts = picture_facts(file)
        read_picture(file, shape, PictureReading(background, facts.levels))
    except SsganError:
        return False
    return True


def _decode(
    root: Path,
    files: list[Path],
    names: list[str],
    cache: Path,
    shape: Shape,
    background: int,
    deep: range,
    digest: str,
) -> Decoded:
    """All ``files``, whose ``names`` are relative to ``root``, into the ``cache`` if it can be written."""
    try:
        partial = cache.with_name(f"{cache.name}.{uuid4().hex}.partial")
        partial.touch()
        writable = True
    except OSError as error:
        warn(f"{cache.parent} cannot be written ({error.strerror}). The pictures will be decoded again next time.")
        handle, place = tempfile.mkstemp(prefix="ssgan_")
        os.close(handle)
        partial, writable = Path(place), False
    try:
        rows, broken, facts, levels = decode_into(partial, files, shape, background, deep, f"reading {root}")
        record = {
            "digest": digest,
            "kept": len(rows),
            "broken": {names[number]: reason for number, reason in broken.items()},
            "broken_at": sorted(broken),
            "sizes": dict(Counter(fact.size for fact in facts)),
            "modes": dict(Counter(fact.mode for fact in facts)),
            "levels": levels,
        }
        if writable:
            # Two processes may write at once, and leave one's array beside the other's record.
            record["mark"] = mark = uuid4().hex
            with partial.open("ab") as file:
                file.write(mark.encode())
                file.flush()
                os.fsync(file.fileno())  # before the record says that it is whole
            partial.replace(cache.with_name(f"{cache.name}.npy"))
            write_atomically(cache.with_name(f"{cache.name}.json"), json.dumps(record))
            partial = cache.with_name(f"{cache.name}.npy")
        return _of_record(record, _mapped(partial, len(rows), shape))
    except OSError as error:
        raise SsganError(
            f"{partial} cannot be written ({error.strerror}). Make room for the decoded pictures."
        ) from error
    finally:
        if not writable or partial.suffix == ".partial":
            with suppress(OSError):
                partial.unlink()


def _mapped(path: Path, count: int, shape: Shape) -> Tensor:
    """The first ``count`` images of the array in ``path``, which nothing writes to."""
    array = np.load(path, allow_pickle=False, mmap_mode="r")
    if array.dtype != np.uint8 or array.shape[1:] != shape or len(array) < count:
        raise ValueError(f"{path}: {array.dtype} of {array.shape}")
    if not count:
        return torch.empty(0, *shape, dtype=torch.uint8)
    return unwritten(array)[:count]


def read_cache(cache: Path, digest: str, shape: Shape) -> Decoded | None:
    """What `decoded` kept, if it is whole and of the same files."""
    try:
        record = json.loads(cache.with_name(f"{cache.name}.json").read_bytes())
        if record["digest"] != digest:
            return None
        array = cache.with_name(f"{cache.name}.npy")
        with array.open("rb") as file:
            file.seek(-len(record["mark"]), os.SEEK_END)
            if file.read().decode() != record["mark"]:
                return None
        return _of_record(record, _mapped(array, record["kept"], shape))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _of_record(record: Mapping[str, Any], images: Tensor) -> Decoded:
    gone = set(record["broken_at"])
    kept = [number for number in range(record["kept"] + len(gone)) if number not in gone]
    levels = record["levels"]
    return Decoded(
        images,
        kept,
        dict(record["broken"]),
        dict(record["sizes"]),
        dict(record["modes"]),
        None if levels is None else (levels[0], levels[1]),
    )
