"""Pictures decoded once into a file that is mapped into memory, not read: it may be larger than memory."""

import hashlib
import json
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from torch import Tensor

from ssgan.data.images import READER, Facts, picture_facts, read_picture
from ssgan.data.progress import tracked
from ssgan.errors import SsganError, warn
from ssgan.files import exclusive, write_atomically
from ssgan.reading import PictureReading

Shape = tuple[int, int, int]

CHUNK = 256
"""Pictures that a process decodes at a time."""

FEW = 2000
"""Fewer pictures than this are decoded in this process, before others would have started."""


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
    if kept is not None:
        return kept
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(cache.with_name(f"{cache.name}.lock")):  # processes of one run, or of a sweep, wait for the first
        kept = read_cache(cache, digest, shape)
        return kept or _decode(root, files, names, cache, shape, background, deep, digest)


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
            partial.replace(cache.with_name(f"{cache.name}.npy"))
            write_atomically(cache.with_name(f"{cache.name}.json"), json.dumps(record).encode())
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


def decode_into(
    target: Path, files: list[Path], shape: Shape, background: int, deep: range, description: str
) -> tuple[list[int], dict[int, str], list[Facts], tuple[float, float] | None]:
    """Write an .npy array of all pictures that can be read to ``target``; returns which these are, and why others cannot.

    Gray pictures of more than 8 bits wait until the least and the greatest value of those in ``deep`` are known.
    """
    array = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=(len(files), *shape))
    offset, size = array.offset, array.nbytes
    del array
    if hasattr(os, "posix_fallocate") and size:
        with target.open("r+b") as file:  # a full disk is an error here, and not a crash later
            os.posix_fallocate(file.fileno(), offset, size)
    facts: dict[int, Facts] = {}
    broken: dict[int, str] = {}
    reading = PictureReading(background)
    todo = list(range(len(files)))
    levels: tuple[float, float] | None = None
    for again in (False, True):
        chunks = [todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK)]
        jobs = min(cpu_count(), len(chunks)) if len(todo) >= FEW else 1
        work = (
            delayed(decode_chunk)(target, [(n, files[n]) for n in chunk], shape, reading, again) for chunk in chunks
        )
        results: Iterator[Any] = Parallel(n_jobs=jobs, return_as="generator_unordered")(work) if chunks else iter(())
        for done in tracked(results, description, len(chunks)):
            for number, fact in done.items():
                if isinstance(fact, str):
                    broken[number] = fact
                else:
                    facts[number] = fact
        waiting = [number for number, fact in facts.items() if fact.levels is not None]
        if not waiting:
            break
        measured = [facts[number].levels for number in waiting if number in deep] or [facts[n].levels for n in waiting]
        levels = min(low for low, _ in measured), max(high for _, high in measured)  # type: ignore[misc]
        todo, reading = sorted(waiting), PictureReading(background, levels)
    rows = [number for number in range(len(files)) if number not in broken]
    _close_gaps(target, rows, shape)
    return rows, broken, [facts[number] for number in rows], levels


def decode_chunk(
    target: Path, chunk: list[tuple[int, Path]], shape: Shape, reading: PictureReading, again: bool
) -> dict[int, Facts | str]:
    """Decode pictures into their rows of the array in ``target``; returns what each is, or why it cannot be read.

    Pictures of more than 8 bits wait for the second time, ``again``, when ``reading`` has their levels.
    """
    rows = np.load(target, mmap_mode="r+")
    done: dict[int, Facts | str] = {}
    for number, file in chunk:
        try:
            done[number] = facts = picture_facts(file)
            if again or facts.levels is None:
                rows[number] = read_picture(file, shape, reading)[0].numpy()
        except SsganError as error:
            done[number] = str(error)
    return done


def _close_gaps(target: Path, rows: list[int], shape: Shape) -> None:
    """Move ``rows`` of the array to its front; what is behind them is not read any more."""
    if rows == list(range(len(rows))):
        return
    array = np.load(target, mmap_mode="r+")
    for place, row in enumerate(rows):
        array[place] = array[row]
    array.flush()


def _mapped(path: Path, count: int, shape: Shape) -> Tensor:
    """The first ``count`` images of the array in ``path``, which nothing writes to."""
    array = np.load(path, allow_pickle=False, mmap_mode="r")
    if array.dtype != np.uint8 or array.shape[1:] != shape or len(array) < count:
        raise ValueError(f"{path}: {array.dtype} of {array.shape}")
    if not count:
        return torch.empty(0, *shape, dtype=torch.uint8)
    with warnings.catch_warnings(action="ignore"):  # torch would rather have it writable
        return torch.from_numpy(array)[:count]


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
