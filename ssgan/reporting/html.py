"""A report as one HTML file that refers to no other."""

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from ssgan.page import FOLDER, style_of
from ssgan.reporting.content import BESIDE, COLUMNS, COMPARED, EXPLANATION, Report

TEMPLATE = FOLDER / "report.html"


def as_html(report: Report) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["breakable"] = breakable
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    words = {"columns": COLUMNS, "explanation": EXPLANATION, "compared": COMPARED, "beside": BESIDE}
    return template.render(report=report, colors=Markup(style_of("colors")), **words)


def breakable(text: str) -> Markup:
    """``text``, escaped, in which a narrow column may break the line after ``_`` and before ``@``."""
    return Markup(str(escape(text)).replace("_", "_<wbr>").replace("@", "<wbr>@"))
