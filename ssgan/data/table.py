"""A table of pictures and their labels as a data set: what labeling tools and pandas write."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from ssgan.data.csv_rows import Row, read_rows
from ssgan.data.folder import part_of
from ssgan.data.image_data import ImageData
from ssgan.data.labels import parse_labels
from ssgan.data.no_label import MISSING, NO_LABEL
from ssgan.data.picture_files import skipped_file
from ssgan.data.pictures import Listing, read_listing
from ssgan.errors import SsganError

SPLIT_COLUMN = "split"
"""Where no key names another one."""
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
SAID = 3
"""Files that are not there, of which a message names this many."""


def table(
    name: str,
    path: str,
    path_column: str,
    label_column: str,
    split_column: str,
    size: int,
    channels: int,
    strict: bool,
    background: int = 255,
    class_names: Sequence[str] | None = None,
    no_label: int | str | None = None,
) -> ImageData:
    """Pictures that the rows of ``path`` name, relative to it, with their labels, as images of ``size`` x ``size`` pixels.

    A row without a label, or with ``no_label``, is an unlabeled picture. ``split_column`` may be missing, or empty; it says train,
    validation or test (or valid, val), and test rows without a label are to be predicted. The separator is the one of
    comma, semicolon and tab that the header has most of. ``class_names`` are those of `parse_labels`. See `read_listing` for
    the rest. Raises `SsganError` for a file that is no such table, that names a picture that is not there, or one picture
    with two labels.
    """
    file = Path(path).expanduser()
    columns = path_column, label_column, split_column
    shape = (channels, size, size)
    cache = file.parent / f".ssgan_{file.stem}_{'x'.join(map(str, shape))}"
    key = f"dataset.path={path}"
    if not file.is_file():
        raise SsganError(f"{key}: no such file; name a table with the columns {path_column} and {label_column}")
    names, rows, lines = read_rows(key, file, columns)
    check_columns(key, names, columns)
    listing = list_table(file, rows, columns, class_names, no_label, lines)
    return read_listing(name, listing, file.parent, cache, key, shape, background, strict)


def check_columns(key: str, names: Sequence[str], columns: tuple[str, str, str]) -> None:
    """Raise `SsganError` if one of ``columns`` is not among ``names``; that of parts may be missing if nobody named it, and if no
    other one could be it.
    """
    missing = [column for column in columns[:2] if column not in names]
    optional = columns[2] == SPLIT_COLUMN and columns[2].casefold() not in map(str.casefold, names)
    if columns[2] not in names and not optional:
        missing.append(columns[2])
    if missing:
        raise SsganError(
            f"{key}: no column {missing[0]}; it has {', '.join(names[:8]) or 'nothing'}. Name yours: dataset.path_column=, "
            f"dataset.label_column=, dataset.split_column="
        )


def like_parts(rows: list[Row], columns: tuple[str, str, str]) -> list[str]:
    """A note for each column, if there is none of parts, that looks like one."""
    if columns[2] in rows[0]:
        return []
    others = {column: {row[column] for row in rows} for column in rows[0] if column not in columns}
    return [
        f"column {column} is not read: is it train, test and so on? dataset.split_column={column}"
        for column, words in others.items()
        if len(words) > 1 and all(part_of(word) not in (None, "unlabeled") for word in words)
    ]


def list_table(
    file: Path,
    rows: list[Row],
    columns: tuple[str, str, str],
    class_names: Sequence[str] | None,
    no_label: int | str | None,
    lines: Sequence[int],
) -> Listing:
    """The pictures that ``rows``, on these ``lines``, name, each once."""
    key = f"dataset.path={file}"
    path_column, label_column, split_column = columns
    if not rows:
        raise SsganError(f"{key}: has no rows")
    targets, names, notes = parse_labels(
        {f"{key}: column {label_column}": as_numbers([row[label_column] for row in rows], class_names or ())},
        class_names,
        no_label,
    )
    notes += like_parts(rows, columns)
    labels = next(iter(targets.values())).tolist()
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "validation": [], "test": []}
    to_predict: list[Path] = []
    first: dict[Path, tuple[int, int, str]] = {}
    skipped: Counter[str] = Counter()
    gone: list[str] = []
    for number, row, target in zip(lines, rows, labels, strict=True):
        part = _part(row.get(split_column, ""), number, key, split_column)
        picture = _find(file.parent, row[path_column])
        if picture is None:
            gone.append(f"row {number}: {row[path_column] or 'no path'}")
        elif picture in first:
            earlier, known, its_part = first[picture]
            if (known, its_part) != (target, part):
                raise SsganError(
                    f"{key}: rows {earlier} and {number} name {row[path_column]} with different labels or splits. Remove one."
                )
            skipped["repeated row"] += 1
        else:
            first[picture] = number, target, part
            if reason := skipped_file(picture):
                skipped[reason] += 1
            elif target != NO_LABEL or part == "train":
                parts[part].append((picture, target))
            elif part == "test":
                to_predict.append(picture)
            else:
                raise SsganError(
                    f"{key}: row {number} is for validation and has no label. Give it one, or split train."
                )
    if gone:
        more = f" and {len(gone) - SAID} more" if len(gone) > SAID else ""
        raise SsganError(
            f"{key}: {len(gone)} pictures are not there, {'; '.join(gone[:SAID])}{more}. Paths are relative to the table, or "
            f"absolute ones of this machine; of another machine's keep the names of files alone."
        )
    return Listing(names, parts["train"], parts["validation"], parts["test"], to_predict, skipped, tuple(notes))


def as_numbers(words: list[str], names: Sequence[str] = ()) -> np.ndarray[Any, Any]:
    """Labels as numbers where all that are there are numbers (pandas makes 3.0 of 3 beside an empty cell), else as words.

    007 is a word: as a number it would be the same as 7, and have another name.
    """
    given = [None if word.lower() in MISSING and word not in names else word for word in words]
    if all(word is None or NUMBER.fullmatch(word) for word in given):
        return np.array([np.nan if word is None else float(word) for word in given])
    return np.array(words, dtype=object)


def _part(word: str, row: int, key: str, column: str) -> str:
    part = part_of(word) if word else "train"
    if part is None or part == "unlabeled":
        raise SsganError(f"{key}: row {row} has {column} {word!r}. Use train, validation, test, or nothing for train.")
    return part


def _find(root: Path, word: str) -> Path | None:
    """The file that ``word`` names, with / or \\ between folders; as a normal path, so that two names of it are one."""
    for path in (Path(word), Path(PureWindowsPath(word).as_posix())):
        if word and (root / path).is_file():
            return Path(os.path.normpath(root / path))
    return None
