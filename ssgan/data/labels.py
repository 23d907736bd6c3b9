"""Labels as people have them, and the classes that they name: words, whole numbers, one-hot rows, and what stands for "not labeled"."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ssgan.errors import SsganError

Array = np.ndarray[Any, Any]

NO_LABEL = -1
"""The target of an image without a label."""

MISSING = ("", "nan", "<na>")
"""Words, in lower case, that NumPy and pandas write for a label that is not there."""


def natural(name: str) -> tuple[Any, ...]:
    """The key by which 2 sorts before 10, and img_2 before img_10."""
    parts = re.split(r"(\d+)", name)
    return *(int(part) if number % 2 else part for number, part in enumerate(parts)), name


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
    whole = {what: _whole_numbers(labels) for what, labels in flat.items()}
    if all(numbers is not None for numbers in whole.values()):
        targets, names, notes = _of_numbers(_without_code(whole, no_label), names)  # type: ignore[arg-type]
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


def _without_code(parts: dict[str, Array], no_label: int | str | None) -> dict[str, Array]:
    """Whole numbers with `NO_LABEL` in place of ``no_label``, which has to be there."""
    if no_label is None:
        return parts
    code = int(no_label) if re.fullmatch(r"-?\d+", str(no_label)) else None
    if code is None or not any((labels == code).any() for labels in parts.values()):
        raise SsganError(_absent(parts, no_label, np.unique(np.concatenate(list(parts.values()))).tolist()))
    return {what: np.where(labels == code, NO_LABEL, labels) for what, labels in parts.items()}


def _absent(parts: Collection[str], no_label: int | str, present: Sequence[Any]) -> str:
    shown = ", ".join(map(str, present[:8])) + (", ..." if len(present) > 8 else "")
    return f"{', '.join(parts)}: dataset.no_label={no_label}, and no label is that; they are {shown}. Correct it or leave it out."


def _whole_numbers(labels: Array) -> Array | None:
    """Labels that are all numbers, as int64; None if they are words."""
    if labels.dtype.kind == "O":
        kept = [value for value in labels.tolist() if not _is_missing(value)]
        if not all(isinstance(value, int | float | np.number) for value in kept):
            return None
        labels = np.array([np.nan if _is_missing(value) else value for value in labels.tolist()], dtype=np.float64)
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "f":
        known = ~np.isnan(labels)
        if not np.array_equal(labels[known], np.round(labels[known])) or (np.abs(labels[known]) > 2**53).any():
            fraction = next(value for value in labels[known].tolist() if abs(value) > 2**53 or value != round(value))
            raise SsganError(f"label {fraction}: use whole numbers or words for classes, NaN or -1 for no label")
        labels = np.where(known, labels, NO_LABEL)
    if labels.dtype.kind not in "iuf":
        return None
    numbers: Array = labels.astype(np.int64)
    return numbers


def _is_missing(value: Any) -> bool:
    """None, NaN, pandas.NA: what is not equal to itself, or says so."""
    if isinstance(value, str | bytes):
        return False
    return value is None or bool(str(value) in ("nan", "<NA>", "NaT"))


def _of_numbers(
    parts: dict[str, Array], names: tuple[str, ...] | None
) -> tuple[dict[str, Array], tuple[str, ...], list[str]]:
    everything = np.concatenate(list(parts.values()))
    present = np.unique(everything[everything != NO_LABEL])
    what = ", ".join(parts)
    if present.size and present[0] < 0:
        raise SsganError(
            f"{what}: label {present[0]}. Use 0 or more, -1 for no label, or name it: dataset.no_label={present[0]}"
        )
    count = len(names) if names is not None else int(present.max(initial=-1)) + 1
    if names is None and (count > present.size + 1 or (count > present.size and 0 in present)):
        raise SsganError(_gaps(what, everything, present))
    if names is not None and present.size:
        return _named_numbers(parts, names, present)
    if names is None and 0 not in present and present.size:
        names = tuple(map(str, present.tolist()))
        targets = {part: _positions(labels, present) for part, labels in parts.items()}
        return targets, names, [f"labels are 1..{present[-1]}: the classes have these names"]
    return parts, names or tuple(map(str, range(count))), []


def _named_numbers(
    parts: dict[str, Array], names: tuple[str, ...], present: Array
) -> tuple[dict[str, Array], tuple[str, ...], list[str]]:
    """Labels that are positions in ``names``, or their words (names may be numbers), or as many numbers in order."""
    what, words = ", ".join(parts), list(map(str, present.tolist()))
    plain = [_plain(name) for name in names]
    by_position = present[-1] < len(names)
    by_word = all(word in plain for word in words)
    agree = by_word and [plain.index(word) for word in words] == present.tolist()
    if by_position and by_word and not agree:
        raise SsganError(
            f"{what}: label {words[0]} could be the class named {names[plain.index(words[0])]} or class {words[0]} counted "
            f"from 0, {names[int(words[0])]}. Use the names as labels, or names that are no numbers."
        )
    if by_position:
        return parts, names, []
    if by_word:
        order = np.array([plain.index(word) for word in words])
        return {part: _positions(labels, present, order) for part, labels in parts.items()}, names, []
    if present.size != len(names) or any(name.isdecimal() for name in names):
        raise SsganError(
            f"{what} holds labels from {present[0]} to {present[-1]}. They must be 0..{len(names) - 1} for these "
            f"{len(names)} class names, or the names themselves."
        )
    told = ", ".join(f"{word} is {name}" for word, name in zip(words[:3], names, strict=False))
    targets = {part: _positions(labels, present) for part, labels in parts.items()}
    return targets, names, [f"labels are {words[0]}..{words[-1]}: {told}{' and so on' if len(names) > 3 else ''}"]


def _plain(name: str) -> str:
    """A name that is a number, like 1.0 or 01, as Python writes a whole one: 1."""
    return str(int(float(name))) if re.fullmatch(r"-?\d+(\.0*)?", name) else name


def _positions(labels: Array, present: Array, order: Array | None = None) -> Array:
    """Of each label in ``present``, which is sorted, or what ``order`` says of that position."""
    positions = np.searchsorted(present, labels).clip(max=len(present) - 1)
    return np.where(labels == NO_LABEL, NO_LABEL, positions if order is None else order[positions])


def _gaps(what: str, everything: Array, present: Array) -> str:
    """The question that labels ask which are neither 0..K-1 nor 1..K."""
    values, counts = np.unique(everything[everything != NO_LABEL], return_counts=True)
    rest = present[:-1]
    code = rest.size > 1 and rest[-1] - rest[0] == rest.size - 1 and rest[0] in (0, 1)
    listed = ", ".join(map(str, present[:8].tolist())) + (", ..." if present.size > 8 else "")
    if code or counts[-1] > everything.size / 2:
        return (
            f"{what}: label {values[-1]} stands on {counts[-1]} of {everything.size} images, and the others are {rest[0]} to "
            f"{rest[-1]}. If it means no label, say dataset.no_label={values[-1]}; if it is a class, give "
            f"class_names for all {present.size}."
        )
    return (
        f"{what}: the labels are {listed}, with gaps between 0 and {present[-1]}. Give class_names, {present.size} of "
        f"them in this order or {present[-1] + 1} for 0..{present[-1]}, or count the classes from 0."
    )


def _of_words(
    parts: dict[str, Array], names: tuple[str, ...] | None, no_label: int | str | None
) -> tuple[dict[str, Array], tuple[str, ...], list[str]]:
    words = {what: [_word(label, what) for label in labels.tolist()] for what, labels in parts.items()}
    present = sorted({word for of_part in words.values() for word in of_part if word is not None}, key=natural)
    if no_label is not None:
        if str(no_label) not in present:
            raise SsganError(_absent(parts, no_label, present))
        present.remove(str(no_label))
    if "None" in present and "None" not in (names or ()):
        count = sum(word == "None" for of_part in words.values() for word in of_part)
        raise SsganError(
            f"{', '.join(parts)}: label None stands on {count} images. If it means no label, say dataset.no_label=None; if it is a "
            f"class, name it in class_names."
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
    return targets, names, _alike(present)


def _word(label: Any, what: str) -> str | None:
    if _is_missing(label):
        return None
    if isinstance(label, bytes):
        try:
            label = label.decode()
        except UnicodeDecodeError as error:
            raise SsganError(f"{what}: label {label!r} is not UTF-8. Store labels as text.") from error
    word = str(label).strip()
    return None if word.lower() in MISSING or word == str(NO_LABEL) else word


def _alike(names: Sequence[str]) -> list[str]:
    """A note for names that differ in their case, or in zeros before a number, alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", name.casefold()), []).append(name)
    return [f"{' and '.join(group)} are {len(group)} classes" for group in groups.values() if len(group) > 1]
