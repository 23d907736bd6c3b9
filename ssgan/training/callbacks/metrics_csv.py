"""Writes metrics.csv and measures the time of training."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from ssgan.data.csv_rows import csv_text
from ssgan.files import write_atomically
from ssgan.training.callbacks.health import HealthRecord


class RunRecord(pl.Callback):
    """After every epoch: a row of metrics.csv, with losses, validation error, the generator's health and seconds of training.

    Rows and seconds travel in checkpoints, so that a resumed run goes on where it was saved, without gap or repeat.
    """

    def __init__(self, folder: Path, health: HealthRecord | None = None):
        self.folder, self.health = folder, health
        self.rows: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.started: float | None = None

    def state_dict(self) -> dict[str, Any]:
        self._look_at_the_clock()
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.seconds = state_dict["rows"], state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.started = time.monotonic() - self.seconds

    def _look_at_the_clock(self) -> None:
        if self.started is not None:
            self.seconds = time.monotonic() - self.started

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._look_at_the_clock()
        row: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": pl_module.step_number + 1}
        row |= {f"train/{name}": mean for name, mean in pl_module.means.all_reduced().items()}
        if "val/error" in trainer.callback_metrics:
            row["val/error"] = trainer.callback_metrics["val/error"].item()
        if self.health is not None:
            row |= self.health.row()
        self.rows.append(row | {"seconds": round(self.seconds, 3)})
        if trainer.is_global_zero:
            names = list(self.rows[0])
            rows = [[row[name] for name in names] for row in self.rows]
            write_atomically(self.folder / "metrics.csv", csv_text([names, *rows]))
