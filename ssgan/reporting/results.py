"""What the runs of one condition and recipe say together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ssgan.errors import SsganError
from ssgan.reporting.runs import Run
from ssgan.training.run_dir import IGNORED_ON_RESUME, flatten

PUBLISHED = {
    "mnist": {20: "16.77 ± 4.52", 50: "2.21 ± 1.36", 100: "0.93 ± 0.065", 200: "0.90 ± 0.042"},
    "cifar10": {1000: "21.83 ± 2.01", 2000: "19.61 ± 2.09", 4000: "18.63 ± 2.32", 8000: "17.72 ± 1.82"},
    "svhn": {500: "18.44 ± 4.8", 1000: "8.11 ± 1.3", 2000: "6.16 ± 0.58"},
}
"""Test error in % by labels of a single model, Salimans et al. 2016, tables 1 and 2, figure 5 (table 1 counts errors of 10,000)."""


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation, which is NaN for n = 1."""

    mean: float
    sd: float
    n: int

    @property
    def standard_error(self) -> float:
        return self.sd / math.sqrt(self.n)

    def text(self, digits: int, spread: float | None = None, scale: float = 1, remark: str = "") -> str:
        """``0.93 ± 0.07 (10)``: mean ± ``spread``, by default the sd and left out if NaN, times ``scale``."""
        spread = self.sd if spread is None else spread
        shown = "" if math.isnan(spread) else f" ± {scale * spread:.{digits}f}"
        return f"{scale * self.mean:.{digits}f}{shown} ({self.n}{remark})"


def summarize(values: Sequence[float]) -> Summary | None:
    """None of no values."""
    if not values:
        return None
    return Summary(mean(values), stdev(values) if len(values) > 1 else math.nan, len(values))


@dataclass(frozen=True)
class Results:
    """What is known of the runs of one condition and recipe: entries of metrics.json, and the errors of other learners."""

    condition: str
    recipe: str
    entries: tuple[dict[str, Any], ...]

    @property
    def dataset(self) -> str:
        return self.condition.rpartition("@")[0]

    @property
    def label_budget(self) -> int | None:
        """The number of labels, those of a ``labels_file`` included; None for ``all``, and where runs have different ones."""
        if self.asked_for is None:
            return None
        counts = self.label_counts() or {self.asked_for}
        return counts.pop() if len(counts) == 1 else None

    @property
    def asked_for(self) -> int | None:
        """The ``labels`` that the condition names; None for ``all``."""
        named = self.condition.rpartition("@")[2]
        return int(named) if named.isdecimal() else None

    def label_counts(self) -> set[int]:
        """How many labels the runs had that tell it."""
        return {entry["labels"] for entry in self.entries if entry.get("labels") is not None}

    @property
    def has_classes(self) -> bool:
        """A run of it made a classifier."""
        return any(entry.get("has_classes", True) for entry in self.entries)

    def summary(self, key: str) -> Summary | None:
        """Of the runs in which ``key`` is there and not null."""
        return summarize([entry[key] for entry in self.entries if entry.get(key) is not None])

    def gain(self) -> Summary | None:
        """Supervised-only error minus test error, split by split, means over the seeds of each: the luck of a split cancels."""
        pairs = [(entry["split_seed"], entry.get("supervised_error"), entry["test_error"]) for entry in self.entries]
        known = [(split, without - error) for split, without, error in pairs if None not in (without, error)]
        return summarize(list(means(known).values()))

    def below(self, other: "Results") -> Summary | None:
        """Test error of ``other`` minus one's own, split by split, means over the seeds of each; of the splits that both have."""
        mine, its = self.by_split(), other.by_split()
        return summarize([its[split] - mine[split] for split in sorted(mine.keys() & its.keys())])

    def by_split(self) -> dict[int, float]:
        """Mean test error of the runs on each split."""
        errors = [(entry["split_seed"], entry["test_error"]) for entry in self.entries]
        return means([(split, error) for split, error in errors if error is not None])

    def collapsed(self) -> int:
        return sum(entry.get("status") == "collapsed" for entry in self.entries)

    def published(self) -> str | None:
        return PUBLISHED.get(self.dataset, {}).get(self.label_budget or 0)


def means(values: Sequence[tuple[int, float]]) -> dict[int, float]:
    """The mean value of each split."""
    splits: dict[int, list[float]] = {}
    for split, value in values:
        splits.setdefault(split, []).append(value)
    return {split: mean(found) for split, found in splits.items()}


@dataclass(frozen=True)
class Group(Results):
    """Runs with their folders, by split seed and seed."""

    runs: tuple[Run, ...]

    def warnings(self) -> list[str]:
        """What a reader of the mean should know of the runs in it."""
        said = []
        if self.asked_for is not None and self.label_counts() - {self.asked_for}:
            counts = ", ".join(map(str, sorted(self.label_counts())))
            said.append(f"With labels_file= these runs have {counts} labels.")
        seeds, splits = {run.seeds for run in self.runs}, {run.seeds[0] for run in self.runs}
        if len(seeds) < len(self.runs):
            said.append("Some runs have the same split seed and the same seed: the same run may be in here twice.")
        if len(splits) < len(seeds):
            said.append(
                f"Splits among these {len(self.runs)} runs: {len(splits)}. Runs on the same split are not independent."
            )
        if different := self.differences():
            said.append(f"These runs differ in more than their seeds: {', '.join(different)}.")
        return said

    def differences(self) -> list[str]:
        """Keys, but for seeds and places, that do not have one value in all configurations that can be read and have them.

        An older version had fewer keys; another network or method differs in its ``_target_`` too.
        """
        configs = []
        for run in self.runs:
            try:
                configs.append(flatten(OmegaConf.create(run.config())))
            except (SsganError, OmegaConfBaseException):
                continue
        keys = sorted(set().union(*configs) - {"split_seed", "seed"})
        values = {key: [c[key] for c in configs if key in c] for key in keys if not key.startswith(IGNORED_ON_RESUME)}
        return [key for key, given in values.items() if any(value != given[0] for value in given)]


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """By data set, number of labels (``all`` last) and recipe."""
    members: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.seeds, run.folder)):
        members.setdefault((run.metrics["condition"], run.metrics["name"]), []).append(run)
    return in_order(Group(*key, tuple(map(entry_of, runs)), tuple(runs)) for key, runs in members.items())


def entry_of(run: Run) -> dict[str, Any]:
    """The run's metrics, how many labels it had, and whether it made a classifier."""
    counts = run.metrics.get("labels_per_class")
    labels = sum(counts.values()) if isinstance(counts, dict) else None
    return {**run.metrics, "labels": labels, "has_classes": (run.folder / "classifier.safetensors").exists()}


R = TypeVar("R", bound=Results)


def in_order(groups: Iterable[R]) -> list[R]:
    """By data set, number of labels (``all`` last) and recipe."""
    return sorted(
        groups, key=lambda g: (g.dataset, math.inf if g.label_budget is None else g.label_budget, g.condition, g.recipe)
    )
