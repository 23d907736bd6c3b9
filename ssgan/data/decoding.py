"""Many pictures decoded into one file, by several processes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed

from ssgan.data.images import Facts, picture_facts, read_picture
from ssgan.data.progress import tracked
from ssgan.errors import SsganError
from ssgan.reading import PictureReading

Shape = tuple[int, int, int]

CHUNK = 256
"""Pictures that a process decodes at a time."""

FEW = 2000
"""Fewer pictures than this are decoded in this process, before others would have started."""


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
