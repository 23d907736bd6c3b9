"""Text as Markdown."""

import re
from collections.abc import Iterable, Sequence


def plain(text: str) -> str:
    """``text`` without meaning to Markdown, in one line; an underscore within a word has none."""
    return re.sub(r"([\\`*<>\[\]|$#]|\b_|_\b)", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """``text`` as it is, in one line, and in a cell of a table as well."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", r"\|") + "`"


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 2) -> str:
    """Cells are Markdown already; the first ``left`` columns are aligned to the left, numbers to the right."""
    lines = [f"| {' | '.join(head)} |", "|---" * left + "|---:" * (len(head) - left) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])
