"""The files of a run folder that say what the run is and how it ended."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from ssgan.data.splits import Split
from ssgan.errors import SsganError
from ssgan.files import lock, write_atomically, write_json
from ssgan.training.environment import environment
from ssgan.training.run_files import read_config, read_metrics, read_split

IGNORED_ON_RESUME = (
    "baseline",
    "budgets",
    "calibration_folds",
    "calibration_length",
    "calibration_runs",
    "data_dir",
    "download",
    "dry_run",
    "runs_dir",
    "dataset.data_dir",
    "dataset.download",
    "dataset.path",  # of the same images: their digest is compared
    "dataset.strict",
    "labels_file",  # the data's digest and the split have its labels
    "logger",
    "trainer.samples_count",
    "trainer.checkpoint_minutes",
)
"""Keys that do not affect the result: a run may be resumed with other values of them."""

USE_ANOTHER_NAME = "Give this one a name of its own (name=...), or move that folder away."


class RunFolder:
    """One run's folder. Files are written whole or not at all; one process at a time trains in it."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.locked: int | None = None

    @classmethod
    @contextmanager
    def made(cls, path: str | Path, runs_dir: str | Path) -> Iterator[Self]:
        """The folder, which is there while it is used, and after that if anything was written to it."""
        folder = cls(path)
        folder.path.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        finally:
            folder.remove_if_empty(runs_dir)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def acquire(self, config: DictConfig, split: Split, data: str) -> None:
        """Lock the folder of a run that has not ended, until `unlock`, and write config.yaml, split.json, with the digest
        of the ``data``, and environment.json, or check that the run there is this one.

        Raises `SsganError` if it is not, or if another process trains in this folder. The system lets go of the lock of a
        process that was killed.
        """
        if self.finished() is None:
            self._lock()
        self.require_same(config)
        if not (self / "config.yaml").exists():
            write_atomically(self / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
        if not (self / "split.json").exists():
            write_json(self / "split.json", split.to_json() | {"data": data}, indent=None)
        if not (self / "metrics.json").exists():
            self._record_environment()

    def require_same(self, config: DictConfig) -> None:
        """Raise `SsganError` if the run that began here, if any, is another one than that of ``config``."""
        if not (self / "config.yaml").exists():
            return
        was, now = (
            result_config(read_config(self.path, USE_ANOTHER_NAME)),
            result_config(OmegaConf.create(OmegaConf.to_yaml(config, resolve=True))),
        )
        different = [
            f"{key} was {was.get(key)!r}, is {now.get(key)!r}"
            for key in sorted(was.keys() | now.keys())
            if was.get(key) != now.get(key)
        ]
        if different:
            start = self / "classifier.safetensors"
            ended = (
                f" To train on from what it learned: start_from={start} and another name=." if start.exists() else ""
            )
            raise SsganError(
                f"{self.path} holds a run with another configuration: {'; '.join(different)}. {USE_ANOTHER_NAME}{ended}"
            )

    def _record_environment(self) -> None:
        """Write environment.json, or add this start to its ``resumed`` if it differs from the one before."""
        path, now = self / "environment.json", environment()
        try:
            first = json.loads(path.read_text())
        except (OSError, ValueError):
            first = None
        if not isinstance(first, dict):
            write_json(path, now)
            return
        resumed = first.get("resumed", [])
        before = resumed[-1] if resumed else first
        if any(before.get(key) != value for key, value in now.items()):
            write_json(path, {**first, "resumed": [*resumed, now]})

    def previous_config(self) -> dict[str, Any]:
        """{dotted key: value} of the configuration of an earlier start of this run; {} if there was none."""
        return flatten(read_config(self.path, USE_ANOTHER_NAME)) if (self / "config.yaml").exists() else {}

    def _lock(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)  # a command that failed may have removed it, still empty
        try:
            self.locked = lock(self / ".lock", wait=False)
        except BlockingIOError:
            raise SsganError(
                f"{self.path}: another process trains in this folder. Wait for it, or give this run a name of its own "
                f"(name=...)."
            ) from None

    def unlock(self) -> None:
        if self.locked is not None:
            done = (self / "metrics.json").exists()  # nobody will train here again
            if done and os.name != "nt":
                (self / ".lock").unlink(missing_ok=True)
            os.close(self.locked)
            if done and os.name == "nt":  # where no open file can be removed
                (self / ".lock").unlink(missing_ok=True)
        self.locked = None

    def remove_if_empty(self, runs_dir: str | Path) -> None:
        """Remove the folder if nothing was written to it, and those between it and ``runs_dir`` that then are empty."""
        for path in (self.path, *self.path.parents):
            if Path(runs_dir).absolute() not in path.absolute().parents:
                return
            try:
                path.rmdir()
            except OSError:
                return

    def digest(self, config: DictConfig, split: Split) -> str:
        """Hash of every setting that affects the result."""
        keys = result_config(OmegaConf.create(OmegaConf.to_yaml(config, resolve=True)))
        return hashlib.sha256(json.dumps([dict(sorted(keys.items())), split.digest]).encode()).hexdigest()

    def split(self, data: str) -> Split | None:
        """The split that an earlier start froze in split.json, or None.

        Raises `SsganError` if that is damaged, or if its numbers are of images in another data set than the one with the
        digest ``data``.
        """
        if not (self / "split.json").exists():
            return None
        split, of = read_split(self.path)
        if of not in (None, data):
            raise SsganError(
                f"{self.path} holds a run that began with other images, labels or class names than dataset= has now. "
                f"{USE_ANOTHER_NAME}"
            )
        return split

    @property
    def has_begun(self) -> bool:
        """It has weights of its own: a checkpoint, or the classifier of a run that has ended."""
        return any((self / name).exists() for name in ("metrics.json", "last.ckpt", "previous.ckpt"))

    def finish(self, metrics: dict[str, Any]) -> None:
        write_json(self / "metrics.json", metrics)

    def finished(self) -> dict[str, Any] | None:
        """metrics.json of a run that ended, or None."""
        if not (self / "metrics.json").exists():
            return None
        return read_metrics(self.path, "Remove it; the same command tests anew.")


def result_config(config: Any) -> dict[str, Any]:
    """The keys, with dots, that enter the result of a run, and their values."""
    return {key: value for key, value in flatten(config).items() if not key.startswith(IGNORED_ON_RESUME)}


def flatten(config: Any) -> dict[str, Any]:
    """Nested configuration -> {dotted key: value}."""
    flat: dict[str, Any] = {}

    def walk(node: Any, prefix: str) -> None:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                walk(value, f"{prefix}.{key}" if prefix else str(key))
        else:
            flat[prefix] = node

    walk(OmegaConf.to_container(config, resolve=True), "")
    return flat
