"""A report as Markdown, and its table within a README."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import indent

from ssgan.errors import SsganError
from ssgan.markdown import bullets, code, plain, table
from ssgan.reporting.content import BESIDE, COLUMNS, COMPARED, EXPLANATION, Picture, Report
from ssgan.training.model_card import Part, block_text

BEGIN, END = "<!-- report: begin -->", "<!-- report: end -->"


def as_markdown(report: Report, folder: Path) -> str:
    """``folder`` is where the file will lie: pictures are named relative to it."""
    parts = ["# Results", report.summary, results_table(report.rows), bullets(EXPLANATION)]
    if report.compared:
        parts += ["## Recipes beside each other", plain(BESIDE), results_table(report.compared, COMPARED)]
    if report.unfinished:
        parts.append(f"Unfinished:\n\n{bullets(code(str(path)) for path in report.unfinished)}")
    parts += [figure(picture, folder) for picture in report.by_labels]
    for section in report.sections:
        group = section.group
        parts += [f"## {code(group.condition)} {code(group.recipe)}", *map(plain, group.warnings())]
        if section.pictures:
            parts.append(f"The figures are of its first run: {section.first}.")
        parts += [figure(picture, folder) for picture in section.pictures]
        parts += map(plain, section.missing)
        parts += map(plain, section.told)
        if section.card:
            parts += ["<details><summary>Model card of the first run</summary>", *card(section.card), "</details>"]
        parts += ["Commands:", indent("\n".join(section.commands), "    "), "Made with:"]
        parts.append(bullets(map(plain, section.made_with)))
    return "\n\n".join(parts) + "\n"


def card(parts: Iterable[Part]) -> list[str]:
    return [text for part in parts for text in (f"### {part.title}", *map(block_text, part.blocks))]


def figure(picture: Picture, folder: Path) -> str:
    return f"![{plain(picture.alt)}]({picture.path.relative_to(folder).as_posix()})\n\n{plain(picture.caption)}"


def results_table(rows: Iterable[Sequence[str]], columns: Sequence[str] = COLUMNS) -> str:
    """Of ``columns``, the first two of which are condition and recipe."""
    return table(columns, [[code(cells[0]), code(cells[1]), *cells[2:]] for cells in rows])


def read_readme(path: str) -> str:
    """Raises `SsganError` unless `BEGIN` and, after it, `END` are lines of the file, once each."""
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SsganError(f"readme={path}: cannot be read as text ({error}). Name a Markdown file.") from error
    if [line for line in text.splitlines() if line in (BEGIN, END)] != [BEGIN, END]:
        raise SsganError(f"readme={path}: add the lines {BEGIN} and {END}, once each, where the table shall stand")
    return text


def fill_readme(text: str, content: str) -> str:
    """``text`` with ``content`` in place of what stands between the markers."""
    newline = "\r\n" if f"{BEGIN}\r\n" in text else "\n"
    filled = newline.join([BEGIN, *content.splitlines(), END])
    return re.sub(f"^{BEGIN}\r?$.*?^{END}(?=\r?$)", lambda _: filled, text, flags=re.MULTILINE | re.DOTALL)
