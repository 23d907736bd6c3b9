"""What stands for "not labeled", in arrays and in what people write."""

from collections.abc import Collection, Sequence
from typing import Any

NO_LABEL = -1
"""The target of an image without a label."""

MISSING = ("", "nan", "<na>")
"""Words, in lower case, that NumPy and pandas write for a label that is not there."""


DOUBTFUL = (
    *(
        "none",
        "na",
        "n/a",
        "#n/a",
        "#na",
        "#value!",
        "null",
        "nil",
        "unlabeled",
        "unlabelled",
        "not labeled",
        "not labelled",
    ),
    *("no label", "missing", "(blank)", "undefined", "unknown", "?", "-"),
)
"""Words, in lower case, that people, Python, R, spreadsheets and databases write for it, and that may be the name of a class."""


def is_missing(value: Any) -> bool:
    """None, NaN, pandas.NA: what is not equal to itself, or says so."""
    if isinstance(value, str | bytes):
        return False
    return value is None or bool(str(value) in ("nan", "<NA>", "NaT"))


def absent(parts: Collection[str], no_label: int | str, present: Sequence[Any]) -> str:
    """The message for a ``dataset.no_label`` that occurs in no label."""
    shown = ", ".join(map(str, present[:8])) + (", ..." if len(present) > 8 else "")
    return f"{', '.join(parts)}: dataset.no_label={no_label}, and no label is that; they are {shown}. Correct it or leave it out."
