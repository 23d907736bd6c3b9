"""Stops a run whose generator is dead."""

from math import isfinite
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

CLASSIFIER_WON = (
    "The classifier now tells generated images from real ones without effort, so the unlabeled images teach it nothing "
    "more; such runs do not recover. What helped against it, in this order: method.generator_optimizer.betas=[0.0,0.9] (a "
    "longer memory of the second moment lets a surge of the gradient through: benchmarks/stability), "
    "method.generator_optimizer.lr a third of its value, method.start_from_mean=true, net.generator.output=softplus. Another "
    "seed may pass by luck; a mean should count the runs that did not."
)
DIVERGED = "Such runs do not recover. Try a third of the learning rate ({keys}), or method.precision=32-true."

RESUMED_STATE = "sums_before", "steps_before", "healthy_state", "healthy_step"
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

    A run is dead when a loss is not finite or beyond `BOUND`, or when the unsupervised loss is below
    ``unsupervised_below`` while the feature-matching loss is above ``feature_matching_above`` (a healthy run on MNIST
    keeps the first at 0.3 to 0.4 and the second below 4). It then stops the trainer, ``reason`` says why, and ``healthy_state``
    holds the averaged weights of the last healthy window.
    """

    def __init__(self, window: int, unsupervised_below: float, feature_matching_above: float):
        self.window = window
        self.unsupervised_below, self.feature_matching_above = unsupervised_below, feature_matching_above
        self.reason: str | None = None
        self.classifier_won = False  # the reason is a classifier that won
        self.healthy_state: dict[str, Tensor] = {}
        self.healthy_step = 0
        self.sums_before: dict[str, float] = {}
        self.steps_before = 0

    def message(self, module: Any, exports: bool) -> str:
        """What happened to the run of ``module``, what is left of it, and what to try."""
        kept = f" The averaged weights of step {self.healthy_step}, from before that, are exported." if exports else ""
        players = ["classifier", "generator"] if hasattr(module, "generator") else ["classifier"]
        keys = ", ".join(f"method.{player}_optimizer.lr" for player in players)
        advice = CLASSIFIER_WON if self.classifier_won else DIVERGED.format(keys=keys)
        return f"Training collapsed at step {self.step}: {self.reason}.{kept} {advice}"

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
            self.reason = diverged(means)
            if self.reason is None and self.step >= self.window:  # at first there may be an excess that passes
                self.reason = self.one_sided(means)
                self.classifier_won = self.reason is not None
            if self.reason is None:
                self._snapshot(pl_module)
            else:
                trainer.should_stop = True

    def one_sided(self, means: dict[str, float]) -> str | None:
        """How one sees in these mean losses that the classifier has won, or None."""
        unsupervised, matching = means.get("unsupervised"), means.get("feature_matching")
        if unsupervised is None or matching is None:
            return None
        if unsupervised < self.unsupervised_below and matching > self.feature_matching_above:
            return (
                f"the unsupervised loss fell to {unsupervised:.3g} and the feature-matching loss rose to {matching:.3g}"
            )
        return None

    def _snapshot(self, module: Any) -> None:
        self.healthy_state = {k: v.detach().clone() for k, v in module.ema_classifier.module.state_dict().items()}
        self.healthy_step = getattr(self, "step", 0)

    def restore_healthy(self, module: Any) -> None:
        """Put the averaged weights from before the collapse back."""
        with torch.no_grad():
            module.ema_classifier.module.load_state_dict(self.healthy_state)
