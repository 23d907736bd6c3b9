"""What a report holds, and how its numbers are written: the same in Markdown and in HTML."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from ssgan.evaluation.curves import LABELS
from ssgan.evaluation.pixels import LEARNERS
from ssgan.reporting.results import Group, Results, Summary, summarize
from ssgan.training.model_card import Part
from ssgan.training.result_table import by_class, is_uneven

COLUMNS = (
    "condition",
    "recipe",
    "test error (%)",
    "supervised only (%)",
    "difference (%)",
    "label spreading (%)",
    "logistic regression (%)",
    "paper (%)",
    "ECE",
    "minutes a run",
)
COMPARED = "condition", "recipe", "test error (%)", "more than the first (%)", "minutes a run"
"""Of the recipes of one condition beside each other."""
BESIDE = (
    "The recipes of a condition, the best one first, and how much more the others have on the splits that both ran, ± the standard error of "
    "the mean. They say what a method is worth where the minutes are about the same."
)
EXPLANATION = (
    "Condition: the data set and its number of labels. Recipe: the name of the runs, which is that of the method unless name= says otherwise.",
    "Errors on the test images as mean ± sample standard deviation (number of runs); a collapsed run counts.",
    "Supervised only: the same network, taught by the same labeled images alone.",
    "Difference: supervised only minus test error, split by split; ± is the standard error of its mean.",
    "Label spreading and logistic regression: scikit-learn's on pixels, with the same labels; the first sees unlabeled images too.",
    "Paper: a single model, as published (Salimans et al. 2016, tables 1 and 2, figure 5).",
    "ECE: expected calibration error, from 0 (the classifier's probabilities can be trusted) to 1; with a temperature where a run had validation images.",
)


@dataclass(frozen=True)
class Picture:
    """A PNG file, and what it shows."""

    path: Path
    alt: str
    caption: str
    pixels: bool = False
    """A picture made of images, which a dark page shows as it is."""
    wide: bool = False
    """Too much in it for half of the page's width."""

    @property
    def data_uri(self) -> str:
        return f"data:image/png;base64,{base64.b64encode(self.path.read_bytes()).decode()}"


@dataclass
class Section:
    """What there is beyond the table's row; ``missing`` says what could not be made, and why."""

    group: Group
    slug: str
    pictures: list[Picture] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    card: Sequence[Part] = ()
    """Of the first run's classifier."""

    @property
    def first(self) -> str:
        return "split seed {}, seed {}".format(*self.group.runs[0].seeds)

    @property
    def health(self) -> str | None:
        """The generator's at the end of training, mean over the runs that measured it."""
        measured = [run.metrics["health"] for run in self.group.runs if isinstance(run.metrics.get("health"), dict)]
        values = {
            label: [one[name] for one in measured if isinstance(one.get(name), float)] for name, label in LABELS.items()
        }
        told = [f"{label} {fmean(found):.2f}" for label, found in values.items() if found]
        return f"Generator, mean of {plural(len(measured), 'run')}: {', '.join(told)}." if told else None

    @property
    def uneven(self) -> str | None:
        """Balanced error and error by class, means over the runs, where one class has many more labels than another."""
        runs = [run.metrics for run in self.group.runs if is_uneven(run.metrics)]
        if not runs:
            return None
        names = list(runs[0]["labels_per_class"])
        runs = [one for one in runs if list(one["labels_per_class"]) == names]  # the group warns of others
        errors = [
            [one["per_class_error"][k] for one in runs if one["per_class_error"][k] is not None]
            for k in range(len(names))
        ]
        merged = {
            "labels_per_class": {name: round(fmean(one["labels_per_class"][name] for one in runs)) for name in names},
            "per_class_error": [fmean(found) if found else None for found in errors],
        }
        balanced = summarize([one["balanced_error"] for one in runs])
        assert balanced is not None
        return f"Labels are uneven: balanced error {percent(balanced)} %, by class {by_class(merged)}."

    @property
    def told(self) -> list[str]:
        """What else there is to say of the runs."""
        return [text for text in (self.health, self.uneven) if text]

    @property
    def commands(self) -> list[str]:
        return list(dict.fromkeys(run.command for run in self.group.runs))

    @property
    def made_with(self) -> list[str]:
        return list(dict.fromkeys(run.made_with() for run in self.group.runs))


@dataclass(frozen=True)
class Report:
    sections: Sequence[Section]
    by_labels: Sequence[Picture]
    unfinished: Sequence[Path]

    @property
    def rows(self) -> list[list[str]]:
        return [row(section.group) for section in self.sections]

    @property
    def compared(self) -> list[list[str]]:
        return compare([section.group for section in self.sections])

    @property
    def summary(self) -> str:
        runs = sum(len(section.group.runs) for section in self.sections)
        text = f"{plural(runs, 'finished run')} of {plural(len(self.sections), 'condition and recipe', 'conditions and recipes')}."
        if self.unfinished:
            text += f" {plural(len(self.unfinished), 'unfinished run was', 'unfinished runs were')} left out."
        return text


def plural(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def row(group: Results) -> list[str]:
    """The cells under `COLUMNS`."""
    error, supervised = group.summary("test_error"), group.summary("supervised_error")
    ece, seconds = group.summary("ece"), group.summary("seconds")
    gain = group.gain()
    return [
        group.condition,
        group.recipe,
        percent(error, group.collapsed()) if error else "no test images" if group.has_classes else "no classes",
        percent(supervised) if supervised else "not run",
        gain.text(2, gain.standard_error, scale=100) if gain else "-",
        *(percent(found) if (found := group.summary(f"{name}_error")) else "-" for name in LEARNERS),
        group.published() or "-",
        f"{ece.mean:.3f}" if ece else "-",
        f"{seconds.mean / 60:.1f}" if seconds else "-",
    ]


def compare(groups: Sequence[Results]) -> list[list[str]]:
    """The cells under `COMPARED`: the recipes of each condition that has several, the best one first.

    They are ranked on the splits that all of them ran, if there are any. The difference is that of the same splits, ± the standard
    error of its mean.
    """
    rows = []
    for key in dict.fromkeys((group.condition, group.label_budget) for group in groups):
        tested = [
            (group, errors)
            for group in groups
            if (group.condition, group.label_budget) == key and (errors := group.by_split())
        ]
        if len(tested) < 2:
            continue
        shared = set.intersection(*(set(errors) for _, errors in tested))
        ranked = [
            group
            for group, errors in sorted(tested, key=lambda one: fmean(one[1][split] for split in shared or one[1]))
        ]
        best = ranked[0]
        for group in ranked:
            gap = best.below(group) if group is not best else None
            more = gap.text(2, gap.standard_error, scale=100) if gap else "-"
            cells = dict(zip(COLUMNS, row(group), strict=True)) | {"more than the first (%)": more}
            rows.append([cells[column] for column in COMPARED])
    return rows


def percent(summary: Summary, collapsed: int = 0) -> str:
    return summary.text(2, scale=100, remark=f", {collapsed} collapsed" if collapsed else "")
