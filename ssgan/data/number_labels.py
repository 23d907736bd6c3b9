"""Labels that are numbers: 0..K-1, 1..K, K numbers in order, or those by which classes are named."""

import re
from typing import Any

import numpy as np

from ssgan.data.no_label import NO_LABEL, absent, is_missing
from ssgan.errors import SsganError

Array = np.ndarray[Any, Any]


def whole_numbers(labels: Array, what: str) -> Array | None:
    """Labels that are all numbers, as int64; None if they are words."""
    if labels.dtype.kind == "O":
        kept = [value for value in labels.tolist() if not is_missing(value)]
        if not all(isinstance(value, int | float | np.number) for value in kept):
            return None
        labels = np.array([np.nan if is_missing(value) else value for value in labels.tolist()], dtype=np.float64)
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "f":
        known = ~np.isnan(labels)
        if not np.array_equal(labels[known], np.round(labels[known])) or (np.abs(labels[known]) > 2**53).any():
            fraction = next(value for value in labels[known].tolist() if abs(value) > 2**53 or value != round(value))
            raise SsganError(
                f"{what}: label {fraction}: use whole numbers or words for classes, NaN or -1 for no label"
            )
        labels = np.where(known, labels, NO_LABEL)
    if labels.dtype.kind not in "iuf":
        return None
    numbers: Array = labels.astype(np.int64)
    return numbers


def without_code(parts: dict[str, Array], no_label: int | str | None) -> dict[str, Array]:
    """Whole numbers with `NO_LABEL` in place of ``no_label``, which has to be there."""
    if no_label is None:
        return parts
    code = int(no_label) if re.fullmatch(r"-?\d+", str(no_label)) else None
    if code is None or not any((labels == code).any() for labels in parts.values()):
        raise SsganError(absent(parts, no_label, np.unique(np.concatenate(list(parts.values()))).tolist()))
    return {what: np.where(labels == code, NO_LABEL, labels) for what, labels in parts.items()}


def targets_of_numbers(
    parts: dict[str, Array], names: tuple[str, ...] | None
) -> tuple[dict[str, Array], tuple[str, ...], list[str]]:
    """As `parse_labels`, of what `whole_numbers` returned; raises `SsganError` for numbers that could mean two things."""
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
        return _named_numbers(parts, names, everything, present)
    if names is None and 0 not in present and present.size:
        names = tuple(map(str, present.tolist()))
        targets = {part: _positions(labels, present) for part, labels in parts.items()}
        return targets, names, [f"labels are 1..{present[-1]}: the classes have these names"]
    return parts, names or tuple(map(str, range(count))), []


def _named_numbers(
    parts: dict[str, Array], names: tuple[str, ...], everything: Array, present: Array
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
    if _ends_with_code(everything, present):
        raise SsganError(
            f"{_code(what, everything, present)}; if it is {names[-1]}, use the names of the classes as labels."
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


def _ends_with_code(everything: Array, present: Array) -> bool:
    """The last number may mean "no label": there is a gap before it, and the others are 0..K-1 or 1..K or most images have it."""
    rest = present[:-1]
    if not rest.size or present[-1] - rest[-1] == 1:
        return False
    in_order = rest.size > 1 and rest[-1] - rest[0] == rest.size - 1 and rest[0] in (0, 1)
    return bool(in_order or (everything == present[-1]).sum() > everything.size / 2)


def _code(what: str, everything: Array, present: Array) -> str:
    """The question that such a number asks."""
    code, rest = present[-1], present[:-1]
    return (
        f"{what}: {(everything == code).sum()} of {everything.size} images have label {code}, and the others {rest[0]} to {rest[-1]}. If "
        f"it means no label, use dataset.no_label={code}"
    )


def _gaps(what: str, everything: Array, present: Array) -> str:
    """The question that labels ask which are neither 0..K-1 nor 1..K."""
    listed = ", ".join(map(str, present[:8].tolist())) + (", ..." if present.size > 8 else "")
    if _ends_with_code(everything, present):
        return f"{_code(what, everything, present)}; if it is a class, give class_names for all {present.size}."
    return (
        f"{what}: the labels are {listed}, with gaps between 0 and {present[-1]}. Give class_names, {present.size} of "
        f"them in this order or {present[-1] + 1} for 0..{present[-1]}, or count the classes from 0."
    )
