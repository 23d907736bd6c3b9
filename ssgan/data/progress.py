"""A progress bar that is not part of a command's output."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def tracked(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """``items``, ``total`` of them, with a bar on a terminal's stderr that goes when they are done."""
    if not sys.stderr.isatty():
        yield from items
        return
    yield from track(items, description, total, console=Console(stderr=True), transient=True)
