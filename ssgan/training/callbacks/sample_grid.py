"""Grids of generated images."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from ssgan.inference.sampling import sample_grid, write_grid


def is_due(trainer: pl.Trainer, every: int) -> bool:
    """Whether what is done after epochs 1, every, 2 every, ... and the last is to be done now; with a time limit the last is when it is over."""
    epoch = trainer.current_epoch + 1
    module: Any = trainer.lightning_module
    time_is_over = module.elapsed_fraction() >= 1
    return time_is_over or epoch in (1, trainer.max_epochs) or epoch % every == 0


class SampleGrid(pl.Callback):
    """samples/epoch_NNNN.png of the averaged generator, always from the same z: after epochs 1, every, 2 every, ..."""

    def __init__(self, folder: Path, every: int, count: int, seed: int):
        self.folder, self.every, self.count, self.seed = folder, every, count, seed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not (is_due(trainer, self.every) and trainer.is_global_zero):
            return
        epoch = trainer.current_epoch + 1
        per_row = max(1, round(self.count**0.5))
        generator = pl_module.ema_generator.module
        write_grid(self.folder / f"epoch_{epoch:04d}.png", sample_grid(generator, self.count, per_row, self.seed))
