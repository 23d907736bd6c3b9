"""Grids of generated images."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from ssgan.inference.sampling import sample_grid, write_grid


class SampleGrid(pl.Callback):
    """samples/epoch_NNNN.png of the averaged generator, always from the same z: after epochs 1, every, 2 every, ..."""

    def __init__(self, folder: Path, every: int, count: int, seed: int):
        self.folder, self.every, self.count, self.seed = folder, every, count, seed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch + 1
        wanted = epoch in (1, trainer.max_epochs) or epoch % self.every == 0
        if not (wanted and trainer.is_global_zero):
            return
        per_row = max(1, round(self.count**0.5))
        generator = pl_module.ema_generator.module
        write_grid(self.folder / f"epoch_{epoch:04d}.png", sample_grid(generator, self.count, per_row, self.seed))
