"""Settings of Sphinx: sphinx-build -W -b html docs docs/_build/html."""

import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import generate_keys  # noqa: E402

from ssgan.version import __version__  # noqa: E402

project = "ssgan"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"ssgan {__version__}"
html_show_copyright = False
html_copy_source = False
default_role = "code"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
linkcheck_timeout = 10
linkcheck_retries = 2


def arguments_as_list(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Make a list of a docstring's paragraph of ``name: meaning`` lines, whose continuations are indented."""
    argument = re.compile(r"([a-z_]+(?:, [a-z_]+)*): (.+)")
    paragraphs = [paragraph.split("\n") for paragraph in "\n".join(lines).split("\n\n")]
    for number, paragraph in enumerate(paragraphs):
        if all(argument.fullmatch(line) or line.startswith("    ") for line in paragraph):
            paragraphs[number] = [argument.sub(r"- ``\1``: \2", line) if line[0] != " " else line for line in paragraph]
            paragraphs[number] = [re.sub("^    +", "  ", line) for line in paragraphs[number]]
    lines[:] = [line for paragraph in paragraphs for line in (*paragraph, "")]


def write_keys(app: Any) -> None:
    """Write the reference of keys before Sphinx looks for pages."""
    generate_keys.write(DOCS / "reference" / "keys.md")


def setup(app: Any) -> None:
    app.connect("builder-inited", write_keys)
    app.connect("autodoc-process-docstring", arguments_as_list)
