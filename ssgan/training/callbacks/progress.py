"""Progress of a whole run on the terminal."""

from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

REFRESH_STEPS = 20


class RunProgress(pl.Callback):
    """One bar over all epochs with losses, validation error and time left; without a terminal, a line per tenth."""

    def __init__(self, title: str):
        self.title = title
        self.console = Console()
        self.progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.validation = ""
        if not (trainer.is_global_zero and self.console.is_terminal):
            return
        self.progress = Progress(  # a narrow terminal wraps the last column alone
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
            TimeRemainingColumn(),
            TextColumn("left  {task.fields[losses]}", table_column=Column(no_wrap=False)),
            console=self.console,
        )
        done = trainer.current_epoch
        self.task = self.progress.add_task(self.title, total=trainer.max_epochs, completed=done, epoch=done, losses="")
        self.progress.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.progress is not None and (batch_idx + 1) % REFRESH_STEPS == 0:
            done = pl_module.progress(pl_module.step_number + 1) * (trainer.max_epochs or 1)
            self.progress.update(self.task, completed=done, losses=self._losses(pl_module.means.local()))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        epoch, total = trainer.current_epoch + 1, trainer.max_epochs or 1
        terms = pl_module.means.all_reduced()
        if "val/error" in trainer.callback_metrics:
            self.validation = f"val error {trainer.callback_metrics['val/error'].item():.2%}  "
        if self.progress is not None:
            done = pl_module.progress(pl_module.step_number + 1) * total
            self.progress.update(self.task, completed=done, epoch=epoch, losses=self._losses(terms))
        elif trainer.is_global_zero and (epoch == total or epoch % max(1, total // 10) == 0):
            print(f"{self.title}: epoch {epoch}/{total}  {self._losses(terms)}", flush=True)

    def _losses(self, terms: dict[str, float]) -> str:
        return self.validation + "  ".join(f"{name.replace('_', ' ')} {mean:.3f}" for name, mean in terms.items())

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.progress is not None:
            self.progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.on_train_end(trainer, pl_module)
