"""The other learners on the split of a run: the supervised run beside it, and scikit-learn's on pixels."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from ssgan.errors import SsganError
from ssgan.evaluation.pixels import LEARNERS, errors_on_pixels
from ssgan.files import write_json
from ssgan.reporting.predictions import data_of
from ssgan.reporting.runs import Run


def pair(runs: Sequence[Run]) -> list[Run]:
    """``runs`` with the error of the supervised run of their split, and the command of that.

    It is the run of the same condition, seeds and labeled images named ``<name>_supervised``, which then is no run of its own any
    more, or else ``supervised`` if it has the same network; None where there is none.
    """
    named = {(run.metrics["condition"], run.metrics["name"], run.seeds): run for run in runs}
    beside: dict[Path, Run] = {}
    for (condition, name, seeds), run in named.items():
        own, shared = named.get((condition, f"{name}_supervised", seeds)), named.get((condition, "supervised", seeds))
        if own is not None and labeled_in(own) == labeled_in(run):
            beside[run.folder] = own
        elif shared is not None and shared is not run and network_and_labels(shared) == network_and_labels(run):
            beside[run.folder] = shared
    belong = {run.folder for run in beside.values() if run.metrics["name"] != "supervised"}
    paired = []
    for run in runs:
        if run.folder in belong:
            continue
        other = beside.get(run.folder)
        added = {
            "supervised_error": other.metrics["test_error"] if other else run.metrics.get("supervised_error"),
            "supervised_command": other.command if other else None,
        }
        paired.append(replace(run, metrics={**run.metrics, **added}))
    return paired


def labeled_in(run: Run) -> tuple[int, ...] | None:
    """The labeled images of a run, whatever gave it their labels; None if its split.json cannot be read."""
    try:
        return run.split().labeled
    except SsganError:
        return None


def network_and_labels(run: Run) -> tuple[object, tuple[int, ...] | None]:
    return (run.config().get("net") or {}).get("classifier"), labeled_in(run)


def add_pixels(runs: Sequence[Run], memory: Path, data_dir: str, download: bool) -> list[Run]:
    """``runs`` with the errors of `errors_on_pixels` on their split, None where data set or split.json cannot be had.

    ``memory`` is a JSON file that keeps those of each split, found before.
    """
    try:
        known: dict[str, dict[str, float]] = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    added = []
    for run in track(runs, description="label spreading, logistic regression", transient=True):
        split = f"{run.metrics['condition']} {run.metrics.get('split_digest')} {run.data_digest()}"
        if split not in known:
            with suppress(SsganError):  # tried anew by the next report
                known[split] = errors_on_pixels(data_of(run, data_dir, download), run.split())
                write_json(memory, known)
        errors = {f"{learner}_error": known.get(split, {}).get(learner) for learner in LEARNERS}
        added.append(replace(run, metrics={**run.metrics, **errors}))
    return added
