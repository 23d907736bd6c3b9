"""The generator's health over the epochs of a run."""

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from ssgan.evaluation.curves import LABELS
from ssgan.evaluation.health import generator_health
from ssgan.training.callbacks.sample_grid import is_due


class HealthRecord(pl.Callback):
    """`generator_health` of the averaged networks at the end of every epoch that writes a grid of samples.

    ``measures`` is what was measured at the end of this epoch, on the first process, or empty.
    """

    def __init__(self, every: int, seed: int):
        self.every, self.seed = every, seed
        self.measures: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        due = is_due(trainer, self.every) and trainer.is_global_zero
        self.measures = measured(pl_module, self.seed) if due else {}

    def row(self) -> dict[str, float | str]:
        """What metrics.csv has of the epoch, with empty columns where nothing was measured."""
        rounded = rounded_measures(self.measures)
        return {f"health/{name}": "" if (value := rounded.get(name)) is None else value for name in LABELS}


def rounded_measures(measures: Mapping[str, float]) -> dict[str, float | None]:
    """For files; None for what is not finite."""
    return {name: round(value, 4) if math.isfinite(value) else None for name, value in measures.items()}


def measured(module: Any, seed: int) -> dict[str, float]:
    """`generator_health` of the averaged networks of a method that trains, on the pool that it draws from."""
    data = module.trainer.datamodule
    return generator_health(
        module.ema_classifier.module,
        module.ema_generator.module,
        data.data.train_images,
        data.pool,
        seed,
        module.fake_logit,
        module.calibration_images,
    )
