"""metrics.csv, last.ckpt and the clock: what a run leaves on disk while it goes on."""

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from ssgan.files import write_atomically


class RunRecord(pl.Callback):
    """After every epoch: a row of metrics.csv (losses, validation error, seconds) and the checkpoint last.ckpt.

    No checkpoint is written when ``healthy`` says no. Rows and seconds travel in the checkpoint, so that a resumed run
    goes on where it was saved, without gap or repeat.
    """

    def __init__(self, folder: Path, healthy: Callable[[], bool]):
        self.folder, self.healthy = folder, healthy
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.seconds = state_dict["rows"], state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.started = time.monotonic() - self.seconds

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.seconds = time.monotonic() - self.started
        row: dict[str, float] = {"epoch": trainer.current_epoch + 1, "step": pl_module.step_number + 1}
        row |= {f"train/{name}": mean for name, mean in pl_module.mean_terms().items()}
        if "val/error" in trainer.callback_metrics:
            row["val/error"] = trainer.callback_metrics["val/error"].item()
        self.rows.append(row | {"seconds": round(self.seconds, 3)})
        if trainer.is_global_zero:
            write_atomically(self.folder / "metrics.csv", self._table().encode())
        if self.healthy():  # a collapsed epoch is not what a run should go on from
            self.seconds = time.monotonic() - self.started
            trainer.save_checkpoint(self.folder / ".last.ckpt.partial")
            (self.folder / ".last.ckpt.partial").replace(self.folder / "last.ckpt")

    def _table(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()
