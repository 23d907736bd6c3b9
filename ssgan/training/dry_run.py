"""What a run would be: its configuration, images, networks and cost, measured on its first steps."""

from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from ssgan.data.datamodule import SemiSupervisedData
from ssgan.training.build import Built
from ssgan.training.callbacks.time_limit import TIMED, WARM_UP, TimeEstimate, time_left
from ssgan.training.trainer import make_trainer


class FirstSteps(pl.Callback):
    """Ends training after as many steps as `TimeEstimate` needs.

    ``flops`` are those of the first one, both players' turns, forward and backward: matrix products and convolutions.
    """

    flops = steps = 0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.steps == 0:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps += 1
        if self.steps == 1:
            self.counter.__exit__(None, None, None)
            self.flops = self.counter.get_total_flops()
        if self.steps == WARM_UP + TIMED:
            trainer.should_stop = True


def dry_run(config: DictConfig, built: Built, limit: float | None, images: str) -> None:
    """Print what `fit` would do with so many ``images``, after `WARM_UP` + `TIMED` steps of it; ``limit`` is its `TimeLimit` in seconds."""
    module, datamodule = built
    first = FirstSteps()
    told: list[str] = []
    estimate = TimeEstimate(lambda seconds, module: told.append(time_left(seconds, module, limit)))
    trainer = make_trainer(config, [estimate, first])
    trainer.limit_val_batches = 0
    trainer.fit(module, datamodule=datamodule)
    if not trainer.is_global_zero:
        return
    print(OmegaConf.to_yaml(config, resolve=True))
    print(images)
    for name in ("classifier", "generator"):
        if hasattr(module, name):
            print(f"{name}: {sum(p.numel() for p in getattr(module, name).parameters()):,} parameters")
    print(f"{first.flops * trainer.world_size / 1e9:.2f} GFLOP a step in matrix products and convolutions")
    print(told[0] if told else f"too short to tell how long it takes: fewer than {WARM_UP + TIMED} steps")


def count_images(source: SemiSupervisedData) -> str:
    """How many images a run has of each kind, and how many labeled ones of each class if these differ."""
    data, split = source.data, source.split
    text = f"{len(split.labeled)} labeled images"
    if len(set(split.per_class)) > 1:
        text += f" ({', '.join(f'{name}: {n}' for name, n in zip(data.class_names, split.per_class, strict=True))})"
    again = f" ({source.passes} times in an epoch)" if source.passes > 1 else ""
    kinds = [
        f"{len(source.pool)} in the unlabeled pool{again}",
        f"{len(split.validation)} for validation",
        f"{len(data.test_images)} to test",
    ]
    return ", ".join([text, *kinds])
