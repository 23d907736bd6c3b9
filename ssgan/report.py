"""python -m ssgan.report: runs as a table with figures, report.md and report.html."""

import re
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from ssgan import cli
from ssgan.errors import SsganError
from ssgan.files import require_writable, write_atomically
from ssgan.reporting.cards import add_card
from ssgan.reporting.content import Report, Section, row
from ssgan.reporting.html import as_html
from ssgan.reporting.learners import add_pixels, pair
from ssgan.reporting.markdown import as_markdown, fill_readme, read_readme, results_table
from ssgan.reporting.pictures import add_curves, add_predictions, add_samples, draw_label_budgets
from ssgan.reporting.results import Group, group_runs
from ssgan.reporting.results_file import add_runs, kept, path_of, read_results
from ssgan.reporting.runs import find_runs


def report(config: DictConfig) -> int:
    """Write report.md, report.html and figures/*.png of ``runs`` into ``output``, and add them to the files in ``results``;
    and write the table of these files, or else of the runs, into ``readme``.
    """
    for key, wants in (("runs", config.results and config.readme), ("output", not config.runs)):
        if config[key] is None and not wants:
            raise SsganError(
                f"missing: {key}=...; or name results= and readme= alone, for the table of results that are kept"
            )
    readme = read_readme(config.readme) if config.readme else None
    if readme is not None:
        require_writable(Path(config.readme))
    rows: list[list[str]] = []
    if config.runs:
        content = report_runs(config)
        rows = content.rows
    if config.results and readme is not None:
        rows = [row(results) for results in read_results(Path(config.results))]
    if readme is not None:
        write_atomically(config.readme, fill_readme(readme, results_table(rows)))
    return 0


def report_runs(config: DictConfig) -> Report:
    found, unfinished = find_runs(config.runs)
    output = Path(config.output)
    for path in (output / "report.md", output / "report.html"):
        require_writable(path)
    runs = pair(found)
    if config.results:
        for group in group_runs(runs):  # before hours of pixels and figures
            kept(path_of(Path(config.results), group), group)
    if config.pixels:
        runs = add_pixels(runs, output / "on_pixels.json", config.data_dir, config.download)
    groups = group_runs(runs)
    sections = []
    for group, slug in track(list(zip(groups, slugs(groups), strict=True)), description="figures", transient=True):
        section = Section(group, slug)
        add_samples(section, output / "figures")
        add_curves(section, output / "figures")
        add_predictions(section, output / "figures", config.data_dir, config.download)
        add_card(section)
        sections.append(section)
    content = Report(sections, draw_label_budgets(groups, output / "figures"), unfinished)
    write_atomically(output / "report.md", as_markdown(content, output))
    write_atomically(output / "report.html", as_html(content))
    print(f"{content.summary} {output / 'report.html'}  {output / 'report.md'}")
    if config.results:
        for group in groups:
            print(add_runs(Path(config.results), group))
    return content


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
