"""What a data set holds, for people and programs to check before anything is trained on it."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ssgan.data.array_images import DARK
from ssgan.data.image_data import PART, ImageData
from ssgan.errors import SsganError, warn

SHOWN = 12
"""Classes, sizes and so on that a line lists; the others are counted."""


def inspect_data(data: ImageData) -> dict[str, Any]:
    """What ``data`` holds, in plain values.

    ``classes``: training images with a label, by class; ``unlabeled``, ``validation`` (the data set's own), ``test`` and
    ``to_predict``: numbers of images; ``shape``: (C, H, W) as they are trained on; ``sizes`` and ``modes``: of pictures in their
    files; ``skipped``: files that are none, by suffix or reason; ``duplicates``: training images with the pixels of an
    earlier one, and ``conflicts``, those of them with another label; ``leaks``: test or validation images with the
    pixels of an image in the pool; ``examples``: of the last three, in words; ``dark``: `is_dark`, of more than 8 bits; ``notes``: what was understood, in words.
    """
    pool = data.training_count
    targets = data.train_targets[:pool]
    duplicates, conflicts, leaks = same_pixels(data)
    origin = data.origin
    return {
        "name": data.name,
        "classes": {name: int((targets == k).sum()) for k, name in enumerate(data.class_names)},
        "unlabeled": int((targets < 0).sum()),
        "validation": data.held_out,
        "test": len(data.test_images),
        "to_predict": len(origin.to_predict),
        "shape": list(data.image_shape[: 1 if data.of_vectors else 3]),
        "sizes": dict(origin.sizes),
        "modes": dict(origin.modes),
        "skipped": dict(origin.skipped),
        "duplicates": len(duplicates),
        "conflicts": len(conflicts),
        "leaks": len(leaks),
        "examples": {
            kind: [f"{file_of(data, copy)} = {file_of(data, first)}" for copy, first in pairs[:3]]
            for kind, pairs in (("duplicates", duplicates), ("conflicts", conflicts), ("leaks", leaks))
        },
        "dark": origin.reading.levels is not None and is_dark(data.train_images),
        "notes": list(origin.notes),
    }


def is_dark(images: Tensor) -> bool:
    """99 % of the pixels of these images, or of 1,000 of them, are `DARK`: a few outliers set the range of their values."""
    some = images[:: max(1, len(images) // 1000)].float().flatten()
    return bool((some <= DARK).float().mean() >= 0.99)


def same_pixels(data: ImageData) -> tuple[list[tuple[int, int]], ...]:
    """Duplicates, conflicts and leaks of `inspect_data`, as positions of a copy and of its first occurrence.

    Positions are those of training images, and on from these those of test images.
    """
    pool = data.training_count
    targets = data.train_targets.tolist()
    first: dict[bytes, int] = {}
    labeled: dict[bytes, int] = {}  # the first of these pixels that has a label
    duplicates, conflicts, leaks = [], [], []
    for position, digest in enumerate(_digests(data.train_images)):
        if position >= pool:
            if digest in first:
                leaks.append((position, first[digest]))
            continue
        if digest in first:
            duplicates.append((position, first[digest]))
        if targets[position] >= 0:
            known = labeled.setdefault(digest, position)
            if targets[known] != targets[position]:
                conflicts.append((position, known))
        first.setdefault(digest, position)
    for position, digest in enumerate(_digests(data.test_images), len(targets)):
        if digest in first:
            leaks.append((position, first[digest]))
    return duplicates, conflicts, leaks


def _digests(images: Tensor) -> list[bytes]:
    parts = (part.contiguous().view(len(part), -1).numpy() for part in images.split(PART) if len(images))
    return [hashlib.blake2b(row.data, digest_size=16).digest() for part in parts for row in part]


def file_of(data: ImageData, position: int) -> str:
    """The name of an image, its file or where its array has it; positions as in `same_pixels`."""
    if data.origin.files:
        return data.origin.files[position]
    pool, training = data.training_count, len(data.train_images)
    for part, start in (("test", training), ("validation", pool), ("train", 0)):
        if position >= start:
            return f"{part}[{position - start}]"
    raise AssertionError(position)


def require_strict(data: ImageData) -> None:
    """Raise `SsganError` if a test or validation image has the pixels of a training image, or two of these with two labels."""
    _, conflicts, leaks = same_pixels(data)
    if conflicts:
        copy, first = conflicts[0]
        raise SsganError(
            f"dataset.strict=true: duplicates in {data.name} with different labels: {len(conflicts)} ({file_of(data, copy)} = "
            f"{file_of(data, first)}). Remove the one whose label is wrong."
        )
    if leaks:
        copy, first = leaks[0]
        raise SsganError(
            f"dataset.strict=true: images of {data.name} for test or validation that are training images too: "
            f"{len(leaks)} ({file_of(data, copy)} = {file_of(data, first)}). Remove one of each two."
        )


def print_summary(data: ImageData) -> None:
    """Print what ``data`` holds, and warn of what is wrong with it."""
    found = inspect_data(data)
    print("\n".join(described(found)), flush=True)
    for line in warnings_of(found):
        warn(line)


def described(found: Mapping[str, Any]) -> list[str]:
    """What `inspect_data` returned, as lines for people."""
    labeled = found["classes"]
    of_images = len(found["shape"]) == 3
    shape = " x ".join(map(str, found["shape"]))
    lines = [
        f"{found['name']}: "
        + (f"images of {shape} (channels, height, width)" if of_images else f"vectors of {shape} numbers"),
        f"  {len(labeled)} classes, labeled images of each: {_listed(labeled)}",
        f"  {found['unlabeled']} unlabeled, {found['validation']} in its own validation set, {found['test']} to test",
    ]
    if found["to_predict"]:
        lines.append(
            f"  {found['to_predict']} in the test folder without a class: their predictions are written after training"
        )
    if found["sizes"]:
        lines.append(
            f"  sizes (width x height): {_listed(_by_count(found['sizes']))}; modes: {_listed(_by_count(found['modes']))}"
        )
    if found["skipped"]:
        lines.append(f"  skipped: {_listed(_by_count(found['skipped']))}")
    lines += [f"  {note}" for note in found["notes"]]
    if found["duplicates"]:
        lines.append(f"  duplicate training images: {found['duplicates']} ({_first(found, 'duplicates')})")
    return lines


def warnings_of(found: Mapping[str, Any]) -> list[str]:
    """What is wrong with the data that `inspect_data` saw, and may be trained on all the same."""
    lines = []
    bare = [name for name, count in found["classes"].items() if not count]
    if bare:
        shown = ", ".join(bare[:SHOWN]) + (", ..." if len(bare) > SHOWN else "")
        lines.append(
            f"classes of {found['name']} without a labeled image, which nothing can teach: {len(bare)} ({shown}). They need "
            f"balanced=false"
        )
    if found["dark"]:
        lines.append(
            f"nearly all pixels of {found['name']} are below {DARK} of 255: a few very bright ones set the range; clip them in the files"
        )
    if found["conflicts"]:
        lines.append(
            f"duplicates in {found['name']} with different labels: {found['conflicts']} ({_first(found, 'conflicts')})"
        )
    if found["leaks"]:
        lines.append(
            f"images of {found['name']} for test or validation that are training images too, and make the error look "
            f"smaller: {found['leaks']} ({_first(found, 'leaks')})"
        )
    return lines


def _first(found: Mapping[str, Any], kind: str) -> str:
    shown = found["examples"][kind]
    return ", ".join(shown) + (", ..." if found[kind] > len(shown) else "")


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(counts).most_common())


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:SHOWN]]
    return ", ".join(shown) + (f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")
