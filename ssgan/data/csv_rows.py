"""Tables in text files, as spreadsheets, labeling tools and pandas write them."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from ssgan.errors import SsganError, first_line

Row = dict[str, str]


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """The text of a table, which `read_rows` reads again, whatever line breaks its cells hold."""
    text = io.StringIO()
    plain, all_quoted = (
        csv.writer(text, lineterminator="\n", quoting=how) for how in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    for row in rows:
        broken = any("\r" in str(cell) for cell in row)  # which Python 3.11 does not quote
        (all_quoted if broken else plain).writerow(row)
    return text.getvalue()


def read_rows(
    key: str, file: str | Path, columns: Sequence[str], errors: Literal["strict", "surrogateescape"] = "strict"
) -> tuple[list[str], list[Row], list[int]]:
    """The names of a table's columns, its rows by them, without the space around words, and the line on which each row ends.

    The separator is the one of comma, semicolon and tab that the names have most of. Raises `SsganError`, which begins with
    ``key``, for a file that cannot be read or is no table in UTF-8 (but for names of files that are none, with ``errors`` as the
    file system has them), for a row with another number of cells, and where one of
    ``columns`` is there twice.
    """
    try:
        content = Path(file).read_bytes()
        content.partition(b"\n")[0].decode("utf-8-sig")  # the names of columns are text in any case
        text = content.decode("utf-8-sig", errors)
    except OSError as error:
        raise SsganError(f"{key}: cannot be read ({first_line(error)})") from error
    except UnicodeDecodeError as error:
        raise SsganError(f"{key}: not a text file in UTF-8 ({first_line(error)}). Save it as CSV UTF-8.") from error
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower() in ("sep=,", "sep=;", "sep=\t"):  # a spreadsheet's word on it
        text, skipped = rest, 1
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = reader.fieldnames = [word.strip() for word in reader.fieldnames or []]
        twice = [column for column in columns if names.count(column) > 1]
        if twice:
            raise SsganError(f"{key}: {names.count(twice[0])} columns are named {twice[0]}. Rename all but one.")
        rows, lines = [], []
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num + skipped)
        while rows and None not in rows[-1] and not any(rows[-1].values()):
            rows.pop()  # empty cells, as spreadsheets leave them at the end
    except csv.Error as error:
        raise SsganError(f"{key}: not a table of comma-separated values ({first_line(error)})") from error
    for line, row in zip(lines, rows, strict=False):
        if None in row or None in row.values():
            raise SsganError(f"{key}: row {line} has another number of cells than the header")
    return names, [{name: word.strip() for name, word in row.items()} for row in rows], lines[: len(rows)]
