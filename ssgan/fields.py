"""Fields of configuration dataclasses: a default, one line of meaning, and the allowed range, beside the class that reads them."""

import copy
import dataclasses
import re
from collections.abc import Collection
from math import isfinite
from numbers import Number
from typing import Any

from ssgan.errors import SsganError


def key(
    default: Any,
    meaning: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: Collection[str] | None = None,
) -> Any:
    """A dataclass field with its ``meaning`` and the range that `check_ranges` holds its values to.

    ``default`` is copied for every instance.
    """
    limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below, "choices": choices}
    metadata = {"meaning": meaning, **{name: limit for name, limit in limits.items() if limit is not None}}
    if isinstance(default, list | dict) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_ranges(config: Any, prefix: str = "") -> None:
    """Raise `SsganError` for the first value of a dataclass instance that is not in the range of its `key`.

    Nested dataclasses are checked too; ``prefix`` is the path that messages put before the names of keys.
    """
    for field in dataclasses.fields(config):
        name, value = f"{prefix}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            check_ranges(value, f"{name}.")
        elif isinstance(value, float) and not isfinite(value):
            raise SsganError(f"{name}={value}: use a finite number")
        elif value is not None and not allowed(value, field.metadata):
            raise SsganError(f"{name}={value}: use {remedy(field.metadata)}")


def allowed(value: Any, limits: Any) -> bool:
    if "choices" in limits:
        return value in limits["choices"]
    return (
        ("at_least" not in limits or value >= limits["at_least"])
        and ("above" not in limits or value > limits["above"])
        and ("at_most" not in limits or value <= limits["at_most"])
        and ("below" not in limits or value < limits["below"])
    )


def remedy(limits: Any) -> str:
    """The range in words: "0 or more", "a number from 0 to 1", "l1 or l2"."""
    if "choices" in limits:
        return " or ".join(limits["choices"])
    low, high = limits.get("at_least", limits.get("above")), limits.get("at_most", limits.get("below"))
    if high is None:
        return f"{low} or more" if "at_least" in limits else f"a number above {low}"
    if "at_least" in limits:
        return f"a number from {low} to {high}" if "at_most" in limits else f"a number from {low} to less than {high}"
    return f"a number above {low} and {'at most' if 'at_most' in limits else 'below'} {high}"


def quoted(value: Any) -> str:
    """``value`` as Hydra's command line takes it."""
    value = value.item() if hasattr(value, "item") else value  # NumPy's
    if isinstance(value, Number):
        return str(value).lower()
    # A backslash is one, unless a quote follows.
    text = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), str(value))
    return f"'{text}'"
