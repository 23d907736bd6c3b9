"""Labels as people have them, and the classes that they name: words, whole numbers or one-hot rows."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from ssgan.data.no_label import DOUBTFUL, MISSING, NO_LABEL, absent, is_missing
from ssgan.data.number_labels import Array, targets_of_numbers, whole_numbers, without_code
from ssgan.errors import SsganError


def natural(name: str) -> tuple[Any, ...]:
    """The key by which 2 sorts before 10, and img_2 before img_10."""
    parts = re.split(r"(\d+)", name)
    return tuple(int(part) if number % 2 else part for number, part in enumerate(parts)), name


def parse_labels(
    parts: dict[str, Array], class_names: Sequence[str] | None = None, no_label: int | str | None = None
) -> tuple[dict[str, Array], tuple[str, ...], list[str]]:
    """Targets, (N,) int64, of labels in any of their forms, the names of the classes, and what was understood, in words.

    parts: labels by what messages call them. (N,) or (N, 1): words, bytes, whole numbers (also as floats), booleans;
        or one-hot rows, (N, K). Not labeled are -1, NaN, None, an empty word, a row of zeros and ``no_label``
    class_names: in the order of the targets. Labels are these words, numbers 0..K-1, or as many other numbers in order;
        by default the classes are the words in natural order, or the numbers, if these are 0..K-1 or 1..K
    no_label: one more label that means "not labeled"; it has to be there

    Raises `SsganError` for labels that could mean two things, naming the way out.
    """
    single = [what for what, labels in parts.items() if labels.ndim == 0]
    if single:
        raise SsganError(f"{single[0]} holds a single value. It needs one for every image.")
    flat = {what: _flattened(labels, what) for what, labels in parts.items()}
    names = None if class_names is None else tuple(map(str, class_names))
    if names is not None and len(set(names)) < len(names):
        raise SsganError(f"class_names: {', '.join(names)} has a name twice")
    flat = {what: _as_named(labels, names) for what, labels in flat.items()}
    columns = {labels.shape[1] if labels.ndim == 2 else 1 for labels in parts.values()}
    if names is None and len(columns) == 1 and max(columns) > 1:
        names = tuple(map(str, range(max(columns))))  # one-hot rows have a column for a class without images, too
    whole = {what: numbers for what, labels in flat.items() if (numbers := whole_numbers(labels, what)) is not None}
    if len(whole) == len(flat):
        targets, names, notes = targets_of_numbers(without_code(whole, no_label), names)
    else:
        targets, names, notes = _of_words(flat, names, no_label)
    if len(names) < 2:
        what = next(iter(parts))
        raise SsganError(f"{what}: {len(names)} class{'' if names else 'es'}. A classifier needs two or more.")
    return targets, names, notes


def _flattened(labels: Array, what: str) -> Array:
    """Labels as (N,), one-hot rows as numbers."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim == 1:
        return labels
    if labels.ndim == 2 and labels.dtype.kind in "buif" and labels.shape[1]:
        rows = np.nan_to_num(labels.astype(np.float64), nan=0.0)
        if np.isin(rows, (0, 1)).all() and (rows.sum(1) <= 1).all():
            return np.where(rows.any(1), rows.argmax(1), NO_LABEL)
        raise SsganError(
            f"{what} holds rows of {labels.shape[1]} numbers. Use rows with a single 1, or one label each."
        )
    raise SsganError(
        f"{what} has the shape {labels.shape}. It needs one label per image, (N,), or one-hot rows, (N, K)."
    )


def _as_named(labels: Array, names: tuple[str, ...] | None) -> Array:
    """Booleans as the words, if the classes are named true and false in any case and order; other labels as they are."""
    if labels.dtype.kind != "b" or names is None or sorted(map(str.casefold, names)) != ["false", "true"]:
        return labels
    false, true = sorted(names, key=str.casefold)
    return np.where(labels, true, false)


def _of_words(
    parts: dict[str, Array], names: tuple[str, ...] | None, no_label: int | str | None
) -> tuple[dict[str, Array], tuple[str, ...], list[str]]:
    words = {what: [_word(label, what, names or ()) for label in labels.tolist()] for what, labels in parts.items()}
    present = sorted({word for of_part in words.values() for word in of_part if word is not None}, key=natural)
    _refuse_twins(present, ", ".join(parts))
    if no_label is not None:
        if str(no_label) not in present:
            raise SsganError(absent(parts, no_label, present))
        present.remove(str(no_label))
    for doubtful in present:
        if doubtful.lower() in DOUBTFUL and doubtful not in (names or ()):
            count = sum(word == doubtful for of_part in words.values() for word in of_part)
            word = f"\"'{doubtful}'\"" if doubtful.lower() == "null" else shlex.quote(doubtful)  # Hydra's null is none
            raise SsganError(
                f"{', '.join(parts)}: {count} images have label {doubtful}. If it means no label, use dataset.no_label={word}; "
                f"if it is a class, name it in class_names."
            )
    if names is None:
        names = tuple(present)
    unknown = [word for word in present if word not in names]
    if unknown:
        raise SsganError(
            f"{', '.join(parts)}: label {unknown[0]!r} is none of the class names, {', '.join(names[:20])}"
        )
    unlabeled = (None,) if no_label is None else (None, str(no_label))
    index = {name: number for number, name in enumerate(names)} | dict.fromkeys(unlabeled, NO_LABEL)
    targets = {what: np.array([index[word] for word in of_part], dtype=np.int64) for what, of_part in words.items()}
    return targets, names, [*_alike(present), *_read_as_missing(parts, names)]


def _word(label: Any, what: str, names: Sequence[str] = ()) -> str | None:
    if is_missing(label):
        return None
    if isinstance(label, bytes):
        try:
            label = label.decode()
        except UnicodeDecodeError as error:
            raise SsganError(f"{what}: label {label!r} is not UTF-8. Store labels as text.") from error
    word = str(label).strip()
    return None if word not in names and (word.lower() in MISSING or word == str(NO_LABEL)) else word


def _refuse_twins(names: Sequence[str], what: str) -> None:
    """Raise `SsganError` for 1 and 1.0, as a table has them that pandas appended to: they are one class."""
    for name in names:
        whole = re.fullmatch(r"([+-]?\d+)\.0*", name)
        if whole and whole[1] in names:
            raise SsganError(
                f"{what}: has the labels {whole[1]} and {name}, which would be two classes; write one of them"
            )


def _read_as_missing(parts: dict[str, Array], names: Sequence[str]) -> list[str]:
    """A note if the word nan stands among other words: it may be a class."""
    count = sum(
        isinstance(label, str) and label.strip() in ("nan", "NaN")
        for labels in parts.values()
        for label in labels.tolist()
    )
    return (
        [f"{count} labels are nan, which is no label; if it is a class, use class_names"]
        if count and "nan" not in names
        else []
    )


def _alike(names: Sequence[str]) -> list[str]:
    """A note for names that differ in their case, or in zeros before a number, alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", name.casefold()), []).append(name)
    return [f"{' and '.join(group)} are {len(group)} classes" for group in groups.values() if len(group) > 1]
