"""Pictures that carry labels, as a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ssgan.data.decoded import decoded, relative
from ssgan.data.decoding import Shape
from ssgan.data.image_data import ImageData, Origin
from ssgan.data.inspection import require_strict
from ssgan.data.picture_files import and_skipped, listed_suffixes
from ssgan.errors import SsganError, warn
from ssgan.reading import PictureReading


@dataclass(frozen=True)
class Listing:
    """Which pictures there are and what they show, before any is opened; a pair is a file and its target."""

    class_names: tuple[str, ...]
    train: Sequence[tuple[Path, int]]
    validation: Sequence[tuple[Path, int]] = ()
    test: Sequence[tuple[Path, int]] = ()
    to_predict: Sequence[Path] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_listing(
    name: str, listing: Listing, root: Path, cache: Path, key: str, shape: Shape, background: int, strict: bool
) -> ImageData:
    """The pictures of ``listing`` as images of ``shape`` (C, H, W).

    They are kept in ``cache``.npy, with a digest of the names, sizes and times of their files in ``cache``.json, and mapped
    again while these are the same; where that cannot be written, they are decoded every time. ``key`` and ``root`` are what
    messages call the source, and the folder that names of files are relative to.

    A broken picture is named and left out. Raises `SsganError` for a class without pictures, and with ``strict`` for a
    broken picture and for test pictures that are training pictures too.
    """
    channels, *sides = shape
    if min(sides) < 1 or channels not in (1, 3):
        raise SsganError(
            f"dataset.size={sides[0]}, dataset.channels={channels}: use 1 pixel or more, and 1 or 3 channels"
        )
    if not 0 <= background <= 255:
        raise SsganError(f"dataset.background={background}: use a gray level from 0 to 255; 255 is white")
    pairs = [*listing.train, *listing.validation, *listing.test]
    files = [file for file, _ in pairs]
    deep = range(len(listing.train))  # whose gray values say which become 0 and 255
    got = decoded(root, files, cache, shape, background, deep)
    for file, reason in got.broken.items():
        warn(reason)
        if strict:
            raise SsganError(f"{root / file}: cannot be read, and dataset.strict=true. Remove or replace it.")
    targets = torch.tensor([pairs[number][1] for number in got.kept], dtype=torch.int64)
    ends = np.searchsorted(got.kept, [len(listing.train), len(listing.train) + len(listing.validation)])
    pool, end = map(int, ends)
    known = set(targets[:pool].tolist())
    for target, of_class in enumerate(listing.class_names):
        if target not in known:
            raise SsganError(
                f"{key}: {of_class} holds no picture ({listed_suffixes()}) that can be read"
                f"{and_skipped(listing.skipped)}"
            )
    notes = list(listing.notes)
    if got.levels is not None:
        notes.append(f"gray values of more than 8 bits: {got.levels[0]:g} becomes black, {got.levels[1]:g} white")
    data = ImageData(
        name,
        listing.class_names,
        got.images[:end],
        targets[:end],
        got.images[end:],
        targets[end:],
        end - pool,
        Origin(
            tuple(notes),
            dict(listing.skipped) | ({"broken": len(got.broken)} if got.broken else {}),
            got.sizes,
            got.modes,
            tuple(relative(files[number], root) for number in got.kept),
            tuple(listing.to_predict),
            reading=PictureReading(background, got.levels),
            root=root,
        ),
    )
    if strict:
        require_strict(data)
    return data
