"""Run folders read back: which runs ended, and what their files say."""

import csv
import glob
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ssgan.data.splits import Split
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import is_fold
from ssgan.training.run_files import read_config, read_metrics, read_split


@dataclass(frozen=True)
class Run:
    """A run that ended; ``metrics`` is its metrics.json, and what a report adds to that."""

    folder: Path
    metrics: dict[str, Any]

    @property
    def seeds(self) -> tuple[int, int]:
        return self.metrics["split_seed"], self.metrics["seed"]

    @property
    def command(self) -> str:
        """The command without ``runs_dir=...``, which says where its results lie and nothing of what they are."""
        try:
            words = shlex.split(self.metrics["command"])
        except ValueError:
            return str(self.metrics["command"])
        return shlex.join(word for word in words if not word.startswith("runs_dir="))

    def config(self) -> dict[str, Any]:
        """config.yaml; raises `SsganError` if it is missing or damaged."""
        config: Any = OmegaConf.to_container(read_config(self.folder))
        return dict(config)

    def split(self) -> Split:
        """split.json; raises `SsganError` if it is missing or damaged."""
        return read_split(self.folder)[0]

    def data_digest(self) -> str | None:
        """`ImageData.digest` of what the run was trained on, from split.json; None if that does not say it."""
        try:
            return read_split(self.folder)[1]
        except SsganError:
            return None

    def starts(self) -> list[dict[str, Any]]:
        """environment.json of the first start and of later ones that differ; [] if it is missing or broken."""
        try:
            found = json.loads((self.folder / "environment.json").read_text(encoding="utf-8"))
            return [found, *found.get("resumed", [])]
        except (OSError, ValueError, TypeError, AttributeError):
            return []

    def epochs(self) -> list[dict[str, float]]:
        """The rows of metrics.csv, without what was not measured in an epoch; empty if that file is missing or broken."""
        try:
            with (self.folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
                return [
                    {name: float(value) for name, value in row.items() if value != ""} for row in csv.DictReader(file)
                ]
        except (OSError, ValueError, TypeError, csv.Error):
            return []

    def made_with(self) -> str:
        """Machine, versions and commit of every start, from environment.json, in one line."""
        broken = "environment.json is missing or broken"
        try:
            told = "; then ".join(
                f"{start['machine']}; Python {start['python']}, "
                f"{', '.join(f'{name} {version}' for name, version in start['versions'].items())}; "
                f"commit {start['git_commit']}"
                for start in self.starts()
            )
        except (KeyError, TypeError, AttributeError):
            return broken
        return told or broken


def run_in(folder: str) -> Run:
    """The run in a folder that a command's ``run=`` names, without its metrics; raises `SsganError` if there is none."""
    run = Run(Path(folder), {})
    if not (run.folder / "split.json").is_file():
        raise SsganError(f"run={folder}: not the folder of a run; name one with a split.json and a classifier")
    return run


def find_runs(pattern: str) -> tuple[list[Run], list[Path]]:
    """The runs that ended among the folders that ``pattern`` matches, and the folders of those that did not.

    A run's folder is known by the config.yaml that its start wrote, so that ``**`` does not take every folder for one. Runs inside
    of another's folder are those that give its temperature, and no results.
    Raises `SsganError` if there is none that ended, or if a metrics.json is broken.
    """
    found = sorted({path for path in map(Path, glob.glob(pattern, recursive=True)) if not is_fold(path)})
    ended = [folder for folder in found if (folder / "metrics.json").is_file()]
    unfinished = [folder for folder in found if (folder / "config.yaml").is_file() and folder not in ended]
    if not ended:
        why = f"matches {len(unfinished)} run folders, none of them finished" if unfinished else "matches no run folder"
        raise SsganError(
            f"runs={pattern}: {why} (with a metrics.json). Name folders that ssgan.fit finished, in quotes: "
            f"runs='runs/*/*/*'"
        )
    remedy = "Delete it and run the run's command again, which writes it anew, or name other folders with runs="
    return [Run(folder, read_metrics(folder, remedy)) for folder in ended], unfinished
