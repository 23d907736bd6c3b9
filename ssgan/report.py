"""python -m ssgan.report: runs as a table with figures, report.md and report.html."""

import re
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from ssgan import cli
from ssgan.files import require_writable, write_atomically
from ssgan.reporting.content import Report, Section
from ssgan.reporting.html import as_html
from ssgan.reporting.markdown import as_markdown, fill_readme, read_readme, table
from ssgan.reporting.pictures import add_curves, add_predictions, add_samples, draw_budgets
from ssgan.reporting.results import Group, group_runs
from ssgan.reporting.runs import find_runs


def report(config: DictConfig) -> int:
    """Write report.md, report.html and figures/*.png into ``output``, and the table into ``readme`` if one is named."""
    runs, unfinished = find_runs(config.runs)
    readme = read_readme(config.readme) if config.readme else None
    output = Path(config.output)
    for path in (output / "report.md", output / "report.html", *([Path(config.readme)] if config.readme else [])):
        require_writable(path)
    groups = group_runs(runs)
    sections = []
    for group, slug in track(list(zip(groups, slugs(groups), strict=True)), description="figures", transient=True):
        section = Section(group, slug)
        add_samples(section, output / "figures")
        add_curves(section, output / "figures")
        add_predictions(section, output / "figures", config.data_dir, config.download)
        sections.append(section)
    content = Report(sections, draw_budgets(groups, output / "figures"), unfinished)
    write_atomically(output / "report.md", as_markdown(content, output).encode())
    write_atomically(output / "report.html", as_html(content).encode())
    if readme is not None:
        write_atomically(config.readme, fill_readme(readme, table(content)).encode())
    print(f"{content.summary} {output / 'report.html'}  {output / 'report.md'}")
    return 0


def slugs(groups: Sequence[Group]) -> list[str]:
    """A name for the files of each group: plain characters, and no two alike."""
    names: list[str] = []
    for group in groups:
        name = wanted = re.sub(r"[^\w@.+-]+", "_", f"{group.condition}-{group.recipe}", flags=re.ASCII)
        number = 1
        while name.lower() in names:  # some file systems take A and a for one
            number += 1
            name = f"{wanted}-{number}"
        names.append(name.lower())
    return names


def main() -> None:
    cli.run("report", report)


if __name__ == "__main__":
    main()
