"""A table of pictures and their labels as a data set: what labeling tools and pandas write."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from ssgan.data.folder import part_of
from ssgan.data.image_data import ImageData
from ssgan.data.labels import NO_LABEL, parse_labels
from ssgan.data.picture_files import skipped_file
from ssgan.data.pictures import Listing, read_listing
from ssgan.errors import SsganError, first_line

Row = dict[str, str]

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
    file = Path(path)
    columns = path_column, label_column, split_column
    shape = (channels, size, size)
    cache = file.parent / f".ssgan_{file.stem}_{'x'.join(map(str, shape))}"
    listing = list_table(file, read_rows(file, columns), columns, class_names, no_label)
    return read_listing(name, listing, file.parent, cache, f"dataset.path={path}", shape, background, strict)


def read_rows(file: Path, columns: tuple[str, str, str]) -> list[Row]:
    """The rows of a table by the names of its columns."""
    key = f"dataset.path={file}"
    if not file.is_file():
        raise SsganError(f"{key}: no such file; name a table with the columns {columns[0]} and {columns[1]}")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SsganError(f"{key}: not a text file in UTF-8 ({first_line(error)}). Save it as CSV UTF-8.") from error
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        reader.fieldnames = [word.strip() for word in reader.fieldnames or []]
        missing = [column for column in columns[:2] if column not in reader.fieldnames]
        if missing:
            has = ", ".join(reader.fieldnames[:8]) or "nothing"
            raise SsganError(
                f"{key}: no column {missing[0]}; it has {has}. Name yours: dataset.path_column=, dataset.label_column="
            )
        rows = list(reader)
    except csv.Error as error:
        raise SsganError(f"{key}: not a table of comma-separated values ({error})") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise SsganError(f"{key}: row {number} has another number of cells than the header")
    return [{column: word.strip() for column, word in row.items()} for row in rows]


def list_table(
    file: Path,
    rows: list[Row],
    columns: tuple[str, str, str],
    class_names: Sequence[str] | None,
    no_label: int | str | None,
) -> Listing:
    """The pictures that ``rows`` name, each once."""
    key = f"dataset.path={file}"
    path_column, label_column, split_column = columns
    if not rows:
        raise SsganError(f"{key}: has no rows")
    targets, names, notes = parse_labels(
        {f"{key}: column {label_column}": as_numbers([row[label_column] for row in rows])}, class_names, no_label
    )
    labels = next(iter(targets.values())).tolist()
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "validation": [], "test": []}
    to_predict: list[Path] = []
    first: dict[Path, tuple[int, int, str]] = {}
    skipped: Counter[str] = Counter()
    gone: list[str] = []
    for number, (row, target) in enumerate(zip(rows, labels, strict=True), 2):
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
            f"{key}: {len(gone)} pictures are not there, {'; '.join(gone[:SAID])}{more}. Paths are relative to the table."
        )
    return Listing(names, parts["train"], parts["validation"], parts["test"], to_predict, skipped, tuple(notes))


def as_numbers(words: list[str]) -> np.ndarray[Any, Any]:
    """Labels as numbers where all that are there are numbers (pandas makes 3.0 of 3 beside an empty cell), else as words."""
    try:
        return np.array([float(word) if word else np.nan for word in words])
    except ValueError:
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
