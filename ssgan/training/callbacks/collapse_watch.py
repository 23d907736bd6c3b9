"""Stops a run whose losses diverged or whose generator is dead."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ssgan.training.callbacks.health import HealthRecord

CLASSIFIER_WON = (
    "The classifier now tells generated images from real ones without effort, so the unlabeled images teach it nothing "
    "more; such runs do not recover. What helped against it, in this order: method.generator_optimizer.betas=[0.0,0.9] (a "
    "longer memory of the second moment lets a surge of the gradient through: benchmarks/stability), "
    "method.generator_optimizer.lr a third of its value, method.start_from_mean=true, net.generator.output=softplus. Another "
    "seed may pass by luck; a mean should count the runs that did not."
)
FEW_IMAGES = (
    "What it learns from them is to know those few. What pushes a generator's images apart: method.terms.pull_away.weight=0.8, "
    "or more; minibatch discrimination (net.classifier.minibatch_kernels=100, sec. 3.2). To train on all the same: "
    "collapse_watch.distinct_below=0."
)
DIVERGED = "Such runs do not recover. Try a third of the learning rate ({keys}), or method.precision=32-true."

RESUMED_STATE = "sums_before", "steps_before", "healthy_state", "healthy_step", "won_since", "was_few"
"""What a resumed run needs of the one before: its last healthy weights are not those that it resumes from."""

BOUND = 1e6
"""A mean loss beyond every useful one."""


def diverged(means: dict[str, float]) -> str | None:
    """The first of these mean losses that is not finite or has exploded, or None."""
    for name, value in means.items():
        if not isfinite(value) or abs(value) > BOUND:
            return f"the {name.replace('_', ' ')} loss is {value:.3g}"
    return None


class CollapseWatch(pl.Callback):
    """Looks at the mean losses of every ``window`` steps, and at the end of an epoch if that comes first.

    A run is dead when

    - a loss is not finite or beyond `BOUND`;
    - the classifier has won: for ``window`` steps, the first ones of the run apart, D of generated images was below
      ``d_generated_below`` in training and D of real ones as near to 1. D is a probability, so that one bound is good
      for every net; healthy runs keep it at 0.1 to 0.5 (benchmarks/README.md);
    - the generator draws few images: in two measurements of ``health`` in a row its images had less than ``distinct_below``
      times as many different nearest neighbors as real images have.

    It then stops the trainer, ``reason`` says why, and ``healthy_state`` holds the averaged weights of the last window
    without a sign.
    """

    def __init__(
        self, window: int, d_generated_below: float, distinct_below: float, health: HealthRecord | None = None
    ):
        self.window = window
        self.d_generated_below, self.distinct_below = d_generated_below, distinct_below
        self.health = health
        self.reason: str | None = None
        self.advice = DIVERGED
        self.healthy_state: dict[str, Tensor] = {}
        self.healthy_step = 0
        self.sums_before: dict[str, float] = {}
        self.steps_before = 0
        self.won_since: int | None = None
        """The step from which on the classifier seems to have won."""
        self.was_few = False
        """The generator seemed to draw few images when they were last looked at."""

    def message(self, module: Any, exports: bool) -> str:
        """What happened to the run of ``module``, what is left of it, and what to try."""
        kept = f" The averaged weights of step {self.healthy_step}, from before that, are exported." if exports else ""
        players = ["classifier", "generator"] if hasattr(module, "generator") else ["classifier"]
        keys = ", ".join(f"method.{player}_optimizer.lr" for player in players)
        return f"Training collapsed at step {self.step}: {self.reason}.{kept} {self.advice.format(keys=keys)}"

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in RESUMED_STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in RESUMED_STATE:
            setattr(self, name, state_dict[name])

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not self.healthy_state:
            self._snapshot(pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.sums_before, self.steps_before = {}, 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.step = pl_module.step_number + 1
        steps = pl_module.means.steps - self.steps_before
        last = batch_idx + 1 == trainer.num_training_batches or trainer.should_stop
        if self.reason is None and (steps >= self.window or last):
            sums = pl_module.means.all_reduced_sums()
            means = {name: (total - self.sums_before.get(name, 0)) / steps for name, total in sums.items()}
            self.sums_before, self.steps_before = sums, pl_module.means.steps
            self.reason = diverged(means) or self.classifier_won(means, steps)
            if self.reason is not None:
                trainer.should_stop = True
            elif self.won_since is None and not self.was_few:
                self._snapshot(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.reason is None and self.health is not None:
            self.reason = self.few_images(trainer.strategy.broadcast(self.health.measures))
            trainer.should_stop |= self.reason is not None

    def classifier_won(self, means: Mapping[str, float], steps: int) -> str | None:
        """How one sees in the means of the last ``steps`` steps, and of those before, that the classifier has won, or None."""
        real, generated = means.get("d_real", 0.0), means.get("d_generated", 1.0)
        if not (generated < self.d_generated_below and real > 1 - self.d_generated_below):
            self.won_since = None
            return None
        if self.won_since is None:
            self.won_since = self.step - steps
        first = max(self.won_since, self.window)  # at first there may be an excess that passes
        if self.step - first < self.window:
            return None
        self.advice = CLASSIFIER_WON
        return (
            f"D is {real:.3f} on real and {generated:.3f} on generated images, in training since step {self.won_since}"
        )

    def few_images(self, measures: Mapping[str, float]) -> str | None:
        """How one sees in these measures of health, if any, and in those before that the generator draws few images, or None."""
        if not measures:
            return None
        was_few = self.was_few
        self.was_few = measures["distinct"] < self.distinct_below * measures["distinct_real"]
        if not (was_few and self.was_few):
            return None
        self.advice = FEW_IMAGES
        return (
            f"the generator draws few images again and again (different nearest training images: {measures['distinct']:.3f} "
            f"of its images, {measures['distinct_real']:.3f} of real ones)"
        )

    def _snapshot(self, module: Any) -> None:
        self.healthy_state = {k: v.detach().clone() for k, v in module.ema_classifier.module.state_dict().items()}
        self.healthy_step = getattr(self, "step", 0)

    def restore_healthy(self, module: Any) -> None:
        """Put the averaged weights from before the collapse back."""
        with torch.no_grad():
            module.ema_classifier.module.load_state_dict(self.healthy_state)
