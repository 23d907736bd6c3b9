"""What every method shares: views, named terms, EMA weights, seeded noise, the learning rate, validation."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassAccuracy

from ssgan import losses
from ssgan.data.datamodule import Batch
from ssgan.data.views import LABELED, Views
from ssgan.distributed import average_gradients
from ssgan.fields import check_ranges
from ssgan.methods.config import MethodConfig
from ssgan.methods.lifecycle import Lifecycle
from ssgan.methods.neighbors import NeighborMemory
from ssgan.methods.optimizers import make_optimizer
from ssgan.methods.running_means import RunningMeans
from ssgan.methods.schedule import lr_factor
from ssgan.methods.term_means import TermMeans
from ssgan.nets.base import ImageClassifier, forward_concatenated
from ssgan.nets.ema import ema_of
from ssgan.nets.layers.batch_norm import batch_norms, batch_statistics
from ssgan.nets.layers.noise import NoisePool
from ssgan.nets.layers.weight_norm import WeightCache

Objective = dict[str, tuple[float, Tensor]]
"""The terms of a loss by name: the weight of each, and its value without it, which is what is logged."""


class Output(NamedTuple):
    """Of the classifier in training on one view: features (N, F) and logits (N, K)."""

    features: Tensor
    logits: Tensor


Outputs = dict[str, Output]


class Method(Lifecycle):
    """A classifier and its EMA, trained on the sum of named terms.

    classifier: a network of `ssgan.nets`
    config: the method's own `Config`, or None for its defaults
    seed: noise is a function of (seed, rank, step), z of (seed, step)

    A method declares its ``views``; the terms that its configuration turns on add theirs. The first `attach` initializes
    weight-normed layers from unlabeled images; a checkpoint is loaded after that.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    views: ClassVar[Views] = {"labeled": LABELED}
    student: ClassVar[tuple[str, ...]] = ("labeled",)
    """Views that the classifier is applied to in its step."""
    has_generator: ClassVar[bool] = False
    """A generator is trained, too; selects the preset of the data set, and decides what else a run measures."""
    fake_logit: float | None = None
    """The score of class K+1, of a method that has one."""
    uses_labels: ClassVar[bool] = True
    neighbors: NeighborMemory

    def __init__(self, classifier: ImageClassifier, config: MethodConfig | None = None, seed: int = 0):
        super().__init__()
        self.automatic_optimization = False
        self.classifier = classifier
        self.config = self.Config() if config is None else config
        check_ranges(self.config, "method.")
        self.seed = seed
        self.ema_classifier = ema_of(classifier, self.ema_rate)
        self.batch_norms = batch_norms(classifier)
        self.teacher_batch_norms = batch_norms(self.ema_classifier)
        self.calibration_images: Tensor | None = None
        self.needs_initialization = True
        pool = self.config.noise_pool
        self.pool = NoisePool(pool) if pool else None
        self.validation_accuracy = MulticlassAccuracy(max(2, classifier.arguments["classes"]), average="micro")
        self.latent_rng = torch.Generator()
        self.elapsed_fraction: Callable[[], float] = float  # 0.0; `TimeLimit` sets it
        self.weight_cache: WeightCache = {}
        self.means = TermMeans()
        self.terms = list(self.config.terms.active("classifier"))
        self.generator_terms = list(self.config.terms.active("generator"))
        if self.uses_running_means:
            self.running_means = RunningMeans(classifier.arguments["classes"], self.config.running_decay)
        for _, term in self.terms:
            term.prepare(self)

    @property
    def ema_rate(self) -> float:
        """Share of the current weights in each update of the EMA."""
        return 1 - self.config.ema_decay**self.config.ema_every

    @property
    def uses_running_means(self) -> bool:
        """It, or a term that is on, needs `RunningMeans` of the teacher's predictions."""
        return any(term.uses_running_means for _, term in self.terms)

    @property
    def all_views(self) -> Views:
        """The views of the method and of the terms that are on."""
        views = dict(self.views)
        if self.config.strong_labels and "labeled" in views:
            views["labeled"] = replace(views["labeled"], strength="strong")
        for _, term in self.terms:
            views |= {name: view for name, view in term.views.items() if name not in views}
        return views

    @property
    def learns_from_pool(self) -> bool:
        """Unlabeled images reach it, and not labeled ones alone."""
        return any(view.source == "unlabeled" for view in self.all_views.values())

    def networks(self) -> dict[str, nn.Module]:
        """The networks that are trained, by name."""
        return {"classifier": self.classifier}

    def ema_pairs(self) -> list[tuple[Any, nn.Module]]:
        """Pairs of an EMA and the network that it follows."""
        return [(self.ema_classifier, self.classifier)]

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        optimizers = [
            make_optimizer(getattr(self.config, f"{name}_optimizer"), network.parameters())
            for name, network in self.networks().items()
        ]
        self.total_steps = int(self.trainer.estimated_stepping_batches)
        factor = lr_factor(
            self.config.schedule, self.progress, lambda step: self.risen(self.config.warm_up_epochs, step)
        )
        return optimizers, [LambdaLR(optimizer, factor) for optimizer in optimizers]

    def progress(self, step: int) -> float:
        """Fraction of training done: the larger of step / total_steps and elapsed / max_time."""
        return max(step / self.total_steps, self.elapsed_fraction())

    def risen(self, epochs: float, step: int) -> float:
        """A linear ramp, 0 to 1, over ``epochs``, at ``step``; under a time limit over that share of it if sooner."""
        steps = epochs * int(self.trainer.num_training_batches)
        return min(1.0, max(step + 1, self.elapsed_fraction() * self.total_steps) / steps) if steps else 1.0

    # A step

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.optimize("classifier", lambda: self.classifier_loss(batch))
        self.end_step()

    def classifier_loss(self, batch: Batch) -> Objective:
        """L_supervised and the terms that are on; gradients reach the classifier only."""
        out = self.outputs(batch, self.student_views)
        return {**self.label_terms(batch, out), **self.optional(self.terms, batch, out)}

    @property
    def student_views(self) -> tuple[str, ...]:
        needed = [*self.student, *(name for _, term in self.terms for name in term.student)]
        return tuple(dict.fromkeys(needed))

    def label_terms(self, batch: Batch, out: Outputs) -> Objective:
        """The terms of labels: cross-entropy of the labeled images."""
        loss = losses.supervised(out["labeled"].logits, batch["targets"], self.config.label_smoothing)
        return {"supervised": (1.0, loss)}

    def optional(self, terms: Sequence[tuple[str, Any]], batch: Batch, out: Outputs) -> Objective:
        ramp_up = self.ramp_up()
        return {
            name: (term.weight * (ramp_up if term.player == "classifier" else 1.0), term(self, batch, out))
            for name, term in terms
        }

    def outputs(self, batch: Batch, names: Sequence[str]) -> Outputs:
        """The classifier in training on the views of these names, in one pass."""
        if not names:
            return {}
        multiple = self.classifier.pass_multiple
        features = forward_concatenated(self.classifier.features, [batch[name] for name in names], multiple)
        logits = forward_concatenated(self.classifier.head, features, multiple)
        return {name: Output(f, y) for name, f, y in zip(names, features, logits, strict=True)}

    def teacher_logits(self, images: Tensor) -> Tensor:
        """Logits of the EMA classifier in evaluation, without gradients; batch norms take the statistics of ``images``.

        Its running ones are copies of the classifier's, whose weights and images are others.
        """
        with torch.no_grad(), batch_statistics(self.teacher_batch_norms):
            logits: Tensor = self.ema_classifier(images)
        return logits

    def log_guesses(self, logits: Tensor, align: bool = False) -> Tensor:
        """log q (N, K) of teacher ``logits``; updates the running means, if any, by which ``align`` divides q."""
        log_q = logits.float().log_softmax(1)
        if self.uses_running_means:
            self.running_means.update(log_q, self.step_number)
        return self.running_means.aligned(log_q) if align else log_q

    def ramp_up(self) -> float:
        """The share of the weights of unlabeled images that counts in this step."""
        return self.risen(self.config.ramp_up_epochs, self.step_number)

    def optimize(self, player: str, closure: Callable[[], Objective]) -> None:
        """One step of the optimizer of network ``player`` on the weighted sum of the terms of ``closure()``.

        Inside, the parameters of the other player need no gradient, so none is computed or left behind.
        """
        optimizers = self.optimizers()
        optimizer = optimizers[list(self.networks()).index(player)] if isinstance(optimizers, list) else optimizers
        with self.toggled_optimizer(optimizer):
            terms = closure()
            optimizer.zero_grad()
            self.manual_backward(torch.stack([weight * term for weight, term in terms.values()]).sum())
            average_gradients(p for group in optimizer.param_groups for p in group["params"])
            optimizer.step()
        torch.clear_autocast_cache()  # it holds half-precision copies of the weights as they were before the step
        if player == "classifier":
            self.weight_cache.clear()
        self.means.add({name: term for name, (_, term) in terms.items()})

    def end_step(self) -> None:
        """Update EMA weights and learning rates, after every player's turn."""
        self.means.steps += 1
        if (self.step_number + 1) % min(self.config.ema_every, self.total_steps) == 0:  # at least once
            for ema, network in self.ema_pairs():
                ema.update_parameters(network)
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[union-attr]
