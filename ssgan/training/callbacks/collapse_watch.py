"""Stops a run whose losses diverged, whose generator is dead, or whose classifier gives all images to one class."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ssgan.training.callbacks.class_shares import shares
from ssgan.training.callbacks.collapse_advice import CLASSIFIER_WON, DIVERGED, FEW_IMAGES, ONE_CLASS
from ssgan.training.callbacks.health import HealthRecord

RESUMED_STATE = (
    "sums_before",
    "steps_before",
    "first_supervised",
    "healthy_state",
    "healthy_step",
    "since",
    "was_few",
    "most_distinct",
)
"""What a resumed run needs of the one before: its last healthy weights are not those that it resumes from."""

BOUND = 1e6
"""A mean loss beyond every useful one."""
EXPLODED = 10.0
"""Times the mean supervised loss of the first window, which is about log K: no useful classifier is so sure and so wrong."""
GROWN = 1.5
"""Times as many different images as a generator ever drew before: it is learning."""
WINDOWS, SHORTEST = 5, 50
"""A run has so many windows at least, but none of fewer steps: what has hardly begun is no collapse."""


def diverged(means: Mapping[str, float], first_supervised: float | None = None) -> str | None:
    """The first of these mean losses that is not finite or has exploded, or None.

    ``first_supervised`` is the supervised loss of the run's first window.
    """
    for name, value in means.items():
        if not isfinite(value) or abs(value) > BOUND:
            return f"the {name.replace('_', ' ')} loss is {value:.3g}"
    supervised = means.get("supervised")
    if supervised is not None and first_supervised is not None and supervised > EXPLODED * max(first_supervised, 1.0):
        return f"the supervised loss is {supervised:.3g}, and was {first_supervised:.3g} at first"
    return None


class CollapseWatch(pl.Callback):
    """Looks at the mean losses of every ``window`` steps, or of a fifth of a shorter run (`SHORTEST`), and at the end of an epoch if that
    comes first.

    A run is dead when

    - a loss is not finite, beyond `BOUND`, or `EXPLODED`;
    - the classifier has won: D of generated images was below ``d_generated_below`` in training and D of real ones as near
      to 1, or to the method's ``real_target``. D is a probability, so that one bound is good for every net; healthy runs
      keep it at 0.1 to 0.5 (benchmarks/README.md);
    - one class takes all: the averaged classifier gives it a share of ``one_class_above`` of unlabeled images, and it has less
      than two thirds of the labels;
    - the generator draws few images: in two measurements of ``health`` in a row its images had less than ``distinct_below``
      times as many different nearest neighbors as real images have, and not `GROWN` times as many as ever before: then it is young.

    The second and the third have to last for a window, the first one of the run apart. It then stops the trainer, ``reason``
    says why, and ``healthy_state`` holds the averaged weights of the last window without a sign.
    """

    def __init__(
        self,
        window: int,
        d_generated_below: float,
        distinct_below: float,
        one_class_above: float,
        health: HealthRecord | None = None,
    ):
        self.longest_window = self.window = window
        self.d_generated_below, self.distinct_below = d_generated_below, distinct_below
        self.one_class_above = one_class_above
        self.health = health
        self.reason: str | None = None
        self.advice = DIVERGED
        self.healthy_state: dict[str, Tensor] = {}
        self.healthy_step = 0
        self.sums_before: dict[str, float] = {}
        self.steps_before = 0
        self.first_supervised: float | None = None
        self.since: dict[str, int] = {}
        """The step from which on each sign is there, of those that are."""
        self.was_few = False
        """The generator seemed to draw few images when they were last looked at."""
        self.most_distinct = 0.0
        """The largest share of different nearest neighbors that was measured."""

    def message(self, module: Any) -> str:
        """What happened to the run of ``module``, what is left of it, and what to try."""
        step = self.healthy_step
        kept = f" The averaged weights of step {step}, from before that, are exported." if module.uses_labels else ""
        keys = ", ".join(f"method.{player}_optimizer.lr" for player in module.networks())
        return f"Training collapsed at step {self.step}: {self.reason}.{kept} {self.advice.format(keys=keys)}"

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in RESUMED_STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in state_dict.keys() & set(RESUMED_STATE):  # an earlier version's may have others
            setattr(self, name, state_dict[name])

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.window = min(self.longest_window, max(SHORTEST, pl_module.total_steps // WINDOWS))
        if not self.healthy_state:
            self._snapshot(pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.sums_before, self.steps_before = {}, 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.step = pl_module.step_number + 1
        steps = pl_module.means.steps - self.steps_before
        last = batch_idx + 1 == trainer.num_training_batches or trainer.should_stop
        if self.reason is None and (steps >= self.window or last):
            sums = pl_module.means.all_reduced_sums()
            means = {name: (total - self.sums_before.get(name, 0)) / steps for name, total in sums.items()}
            self.sums_before, self.steps_before = sums, pl_module.means.steps
            if self.first_supervised is None:
                self.first_supervised = means.get("supervised")
            predicted, labeled, names = trainer.strategy.broadcast(shares(pl_module, trainer.datamodule))
            self.reason = (
                diverged(means, self.first_supervised)
                or self.classifier_won(means, steps, getattr(pl_module.config, "real_target", 1.0))
                or self.one_class(predicted, labeled, names, steps)
            )
            if self.reason is not None:
                trainer.should_stop = True
            elif not self.since and not self.was_few:
                self._snapshot(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.reason is None and self.health is not None:
            self.reason = self.few_images(trainer.strategy.broadcast(self.health.measures))
            trainer.should_stop |= self.reason is not None

    def lasts(self, sign: str, seen: bool, steps: int) -> bool:
        """Whether a sign, ``seen`` in the last ``steps`` steps or not, has been there for a window, the run's first one apart."""
        if not seen:
            self.since.pop(sign, None)
            return False
        since = self.since.setdefault(sign, self.step - steps)
        return self.step - max(since, self.window) >= self.window  # at first there may be an excess that passes

    def classifier_won(self, means: Mapping[str, float], steps: int, real_target: float = 1.0) -> str | None:
        """How one sees in the means of the last ``steps`` steps, and of those before, that the classifier has won, or None."""
        real, generated = means.get("d_real", 0.0), means.get("d_generated", 1.0)
        won = generated < self.d_generated_below and real > real_target * (1 - self.d_generated_below)
        if not self.lasts("classifier won", won, steps):
            return None
        self.advice = CLASSIFIER_WON
        return (
            f"D is {real:.3f} on real and {generated:.3f} on generated images, in training since step "
            f"{self.since['classifier won']}"
        )

    def one_class(
        self, predicted: Sequence[float], labeled: Sequence[float], names: Sequence[str], steps: int
    ) -> str | None:
        """How one sees in the classes' shares of unlabeled images, as ``predicted``, and of labels that one takes all, or None."""
        top = max(range(len(predicted)), key=lambda k: predicted[k], default=-1)
        takes_all = top >= 0 and predicted[top] >= self.one_class_above < 1 and labeled[top] < 2 / 3
        if not self.lasts("one class", takes_all, steps):
            return None
        self.advice = ONE_CLASS
        return (
            f"class {names[top]} takes {predicted[top]:.0%} of the unlabeled images and has {labeled[top]:.0%} of the labels, "
            f"since step {self.since['one class']}"
        )

    def few_images(self, measures: Mapping[str, float]) -> str | None:
        """How one sees in these measures of health, if any, and in those before that the generator draws few images, or None."""
        if not measures:
            return None
        distinct = measures["distinct"]
        grown = distinct > GROWN * self.most_distinct
        self.most_distinct = max(self.most_distinct, distinct)
        if self.step < self.longest_window:  # so soon no generator draws many
            return None
        was_few = self.was_few
        self.was_few = distinct < self.distinct_below * measures["distinct_real"] and not grown
        if not (was_few and self.was_few):
            return None
        self.advice = FEW_IMAGES
        return (
            f"mode collapse: the generator repeats images (distinct nearest training images: {measures['distinct']:.3f} "
            f"of its images, {measures['distinct_real']:.3f} of real ones)"
        )

    def _snapshot(self, module: Any) -> None:
        self.healthy_state = {k: v.detach().clone() for k, v in module.ema_classifier.module.state_dict().items()}
        self.healthy_step = getattr(self, "step", 0)

    def restore_healthy(self, module: Any) -> None:
        """Put the averaged weights from before the collapse back."""
        with torch.no_grad():
            module.ema_classifier.module.load_state_dict(self.healthy_state)
