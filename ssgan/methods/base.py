"""What every method shares: views, named terms, EMA weights, seeded noise, the learning rate, validation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassAccuracy

from ssgan import losses
from ssgan.data.datamodule import Batch, SemiSupervisedData
from ssgan.data.views import LABELED, Views
from ssgan.distributed import all_gather, all_reduce_mean, average_gradients, rank
from ssgan.fields import key
from ssgan.methods.terms import Terms, on_teacher
from ssgan.nets.base import ImageClassifier
from ssgan.nets.ema import averaged
from ssgan.nets.initialization import initialize_from_data, recalibrate
from ssgan.nets.layers.batch_norm import batch_norms
from ssgan.nets.layers.noise import NoisePool, set_noise_pool
from ssgan.nets.layers.weight_norm import WeightCache, cache_weights
from ssgan.precision import AUTO, PRECISIONS
from ssgan.seeds import derive_seed

Objective = dict[str, tuple[float, Tensor]]
"""The terms of a loss by name: the weight of each, and its value without it, which is what is logged."""


class Output(NamedTuple):
    """Of the classifier in training on one view: features (N, F) and logits (N, K)."""

    features: Tensor
    logits: Tensor


Outputs = dict[str, Output]

ADAM = {
    "_target_": "torch.optim.Adam",
    "lr": 0.003,  # authors' MNIST code
    "betas": [0.5, 0.999],  # authors' code
    "eps": 1e-4,  # authors' code: 1e-8 inside the square root
    "fused": True,  # one pass over all weights
}


@dataclass
class MethodConfig:
    """Keys of every method."""

    name: str = key("", "of the method: its file in ssgan/methods")
    epochs: int = key(20, "passes over the unlabeled pool", at_least=1)
    batch_size: int = key(100, "unlabeled images per step, over all ranks; authors' code", at_least=2)
    labeled_batch_size: int | None = key(None, "labeled images per step; null: batch_size", at_least=1)
    precision: str = key(
        "32-true",
        "bf16-mixed and 16-mixed compute products in half; auto: bf16-mixed where the hardware has it, else 32-true",
        choices=(AUTO, *PRECISIONS),
    )
    classifier_optimizer: dict[str, Any] = key(ADAM, "any _target_ and its arguments; null leaves one at its default")
    schedule: dict[str, Any] = key(
        {"_target_": "ssgan.methods.schedule.linear", "constant_fraction": 0.667},
        "any _target_ that takes the fraction of training done and returns a factor of the learning rate",
    )
    warm_up_epochs: float = key(0.0, "in which the learning rate rises linearly from 0; not in the paper", at_least=0)
    ramp_up_epochs: int = key(0, "in which the weights of unlabeled images rise from 0; not in the paper", at_least=0)
    label_smoothing: float = key(0.0, "of the labeled images' targets; not in the paper", at_least=0, below=1)
    ema_decay: float = key(0.999, "of the weights that are tested and exported; authors: 0.9999", at_least=0, below=1)
    ema_every: int = key(5, "steps between two updates of the EMA, with the equivalent decay", at_least=1)
    initialization_images: int = key(500, "for data-dependent initialization; authors' code", at_least=2)
    noise_pool: int = key(4194304, "normal numbers that a CPU's noise is sliced from; 0: drawn afresh", at_least=0)
    terms: Terms = key(Terms(), "optional terms of the objective")


class Method(pl.LightningModule):
    """A classifier and its EMA, trained on the sum of named terms.

    classifier: a network of `ssgan.nets`
    config: the method's own `Config`, or None for its defaults
    seed: noise is a function of (seed, rank, step), z of (seed, step)

    A method declares its ``views``; the terms that its configuration turns on add theirs. When training starts without
    a checkpoint, weight-normed layers are initialized from unlabeled images (`initialize`), once.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    views: ClassVar[Views] = {"labeled": LABELED}
    student: ClassVar[tuple[str, ...]] = ("labeled",)
    """Views that the classifier is applied to in its step."""
    uses_labels: ClassVar[bool] = True

    def __init__(self, classifier: ImageClassifier, config: MethodConfig | None = None, seed: int = 0):
        super().__init__()
        self.automatic_optimization = False
        self.classifier = classifier
        self.config = self.Config() if config is None else config
        self.seed = seed
        self.ema_classifier = averaged(classifier, self.ema_rate)
        self.batch_norms = batch_norms(classifier)
        self.calibration_images: Tensor | None = None
        self.needs_initialization = True
        pool = self.config.noise_pool
        self.pool = NoisePool(pool) if pool else None
        self.validation_accuracy = MulticlassAccuracy(max(2, classifier.arguments["classes"]), average="micro")
        self.latent_rng = torch.Generator()
        self.elapsed_fraction: Callable[[], float] = float  # 0.0; `TimeLimit` sets it
        self.weight_cache: WeightCache = {}
        self.sums: dict[str, Tensor] = {}
        self.steps_summed = 0
        self.terms = list(self.config.terms.active("classifier"))
        self.generator_terms = list(self.config.terms.active("generator"))

    @property
    def ema_rate(self) -> float:
        """Share of the current weights in each update of the EMA."""
        return 1 - self.config.ema_decay**self.config.ema_every

    @property
    def all_views(self) -> Views:
        """The views of the method and of the terms that are on."""
        views = dict(self.views)
        for _, term in self.terms:
            views |= {name: view for name, view in term.views.items() if name not in views}
        return views

    def networks(self) -> dict[str, nn.Module]:
        """The networks that are trained, by name."""
        return {"classifier": self.classifier}

    def ema_pairs(self) -> list[tuple[Any, nn.Module]]:
        """Pairs of an EMA and the network that it follows."""
        return [(self.ema_classifier, self.classifier)]

    # Setting up

    def initialize(self, images: Tensor) -> None:
        """Initialize weight-normed layers, and what compares with real images, from ``images`` of the unlabeled pool.

        (N, C, H, W), in the classifier's pixel range. Raises `SsganError` for too few of them.
        """
        initialize_from_data(self.classifier, images)
        self.initialize_generator(images)
        self.start_from(images)

    def initialize_generator(self, images: Tensor) -> None:
        """A method with a generator does so here."""

    def start_from(self, images: Tensor) -> None:
        """Keep ``images`` for `recalibrate`, and let the EMA start anew from the networks as they are."""
        self.calibration_images = images
        self.needs_initialization = False
        for ema, network in self.ema_pairs():
            ema.module.load_state_dict(network.state_dict())
        self.recalibrate()

    def attach(self, data: SemiSupervisedData) -> None:
        """Let ``data`` draw this method's views, and initialize from its images if that was not done before."""
        if not data.batch_sizes:
            data.set_batch_sizes(self.config.batch_size, self.config.labeled_batch_size)
        data.serve(self.all_views, self.classifier.pixel_range, PRECISIONS.get(self.config.precision, torch.float32))
        if self.needs_initialization:
            self.initialize(data.initialization_images(self.config.initialization_images))

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.attach(self.trainer.datamodule)  # type: ignore[attr-defined]

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        optimizers = [
            make_optimizer(getattr(self.config, f"{name}_optimizer"), network.parameters())
            for name, network in self.networks().items()
        ]
        return optimizers, [LambdaLR(optimizer, self._lr_factor()) for optimizer in optimizers]

    def _lr_factor(self) -> Callable[[int], float]:
        self.total_steps = int(self.trainer.estimated_stepping_batches)
        warm_up = max(1.0, self.config.warm_up_epochs * int(self.trainer.num_training_batches))
        schedule: Callable[..., float] = instantiate({**self.config.schedule, "_partial_": True})

        def factor(step: int) -> float:
            return min(1.0, (step + 1) / warm_up, schedule(min(1.0, self.progress(step))))

        return factor

    def progress(self, step: int) -> float:
        """Fraction of training done: the larger of step / total_steps and elapsed / max_time."""
        return max(step / self.total_steps, self.elapsed_fraction())

    # A step

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.optimize("classifier", lambda: self.classifier_loss(batch))
        self.end_step()

    def classifier_loss(self, batch: Batch) -> Objective:
        """L_supervised and the terms that are on; gradients reach the classifier only."""
        out = self.outputs(batch, self.student_views)
        return {"supervised": (1.0, self.supervised(batch, out)), **self.optional(self.terms, batch, out)}

    @property
    def student_views(self) -> tuple[str, ...]:
        needed = [*self.student, *(name for _, term in self.terms for name in term.student)]
        return tuple(dict.fromkeys(needed))

    def supervised(self, batch: Batch, out: Outputs) -> Tensor:
        return losses.supervised(out["labeled"].logits, batch["targets"], self.config.label_smoothing)

    def optional(self, terms: Sequence[tuple[str, Any]], batch: Batch, out: Outputs) -> Objective:
        ramp_up = self.ramp_up()
        return {
            name: (term.weight * (ramp_up if term.player == "classifier" else 1.0), term(self, batch, out))
            for name, term in terms
        }

    def outputs(self, batch: Batch, names: Sequence[str]) -> Outputs:
        """The classifier in training on the views of these names, in one pass."""
        features = forward_concatenated(self.classifier.features, [batch[name] for name in names])
        logits = forward_concatenated(self.classifier.head, features)
        return {name: Output(f, y) for name, f, y in zip(names, features, logits, strict=True)}

    def teacher_logits(self, images: Tensor) -> Tensor:
        """Logits of the EMA classifier in evaluation, without gradients."""
        return on_teacher(self.ema_classifier, images)

    def ramp_up(self) -> float:
        """The share of the weights of unlabeled images that counts in this step."""
        steps = self.config.ramp_up_epochs * int(self.trainer.num_training_batches)
        return min(1.0, (self.step_number + 1) / steps) if steps else 1.0

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
        for name, (_, term) in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term.detach()

    def end_step(self) -> None:
        """Update EMA weights and learning rates, after every player's turn."""
        self.steps_summed += 1
        if (self.step_number + 1) % self.config.ema_every == 0:
            for ema, network in self.ema_pairs():
                ema.update_parameters(network)
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[union-attr]

    # Logged means of the terms

    def summed_terms(self) -> dict[str, float]:
        """The sum of every term, without its weight, since the epoch began: the mean over ranks. Collective."""
        totals = all_reduce_mean(torch.stack(list(self.sums.values())).float())
        return dict(zip(self.sums, totals.tolist(), strict=True))

    def mean_terms(self) -> dict[str, float]:
        """The mean of every term since the epoch began, over all ranks. Collective: call on every rank."""
        return {name: total / self.steps_summed for name, total in self.summed_terms().items()}

    def own_mean_terms(self) -> dict[str, float]:
        """The mean of every term since the epoch began, of this rank."""
        return {name: float(total) / self.steps_summed for name, total in self.sums.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save each rank's sums of the epoch so far, for a resume in its midst."""
        checkpoint["sums"] = {name: all_gather(total.reshape(1)) for name, total in self.sums.items()}
        checkpoint["steps_summed"] = self.steps_summed

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.sums = {name: totals[rank()] for name, totals in checkpoint["sums"].items()}
        self.steps_summed = checkpoint["steps_summed"]

    # Lightning's hooks

    def on_fit_start(self) -> None:
        on_cpu = self.device.type == "cpu"
        set_noise_pool(self.classifier, self.pool if on_cpu else None)

    def on_train_start(self) -> None:
        cache_weights(self.classifier, self.weight_cache)
        self.sums = {name: total.to(self.device) for name, total in self.sums.items()}

    def on_fit_end(self) -> None:
        cache_weights(self.classifier, None)
        self.weight_cache.clear()

    def on_train_epoch_start(self) -> None:
        self.weight_cache.clear()
        self.sums, self.steps_summed = {}, 0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        epoch = self.trainer.current_epoch
        self.step_number = epoch * int(self.trainer.num_training_batches) + batch_idx
        seeds = (self.seed, self.global_rank, self.step_number)
        # Not torch.manual_seed: where CUDA is built in but not in use, each call adds to a list that nothing empties.
        torch.default_generator.manual_seed(derive_seed("noise", *seeds))
        if self.device.type == "cuda":
            torch.cuda.manual_seed(derive_seed("noise", *seeds))
        if self.pool is not None:
            self.pool.refill("pool", self.seed, self.global_rank, epoch)
            self.pool.seek("places", *seeds)
        self.latent_rng.manual_seed(derive_seed("latent", self.seed, self.step_number))

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"train/{name}": mean for name, mean in self.mean_terms().items()}, sync_dist=True)

    def recalibrate(self) -> None:
        """Recompute the EMA classifier's batch-norm statistics and reference features, before it is used."""
        if self.calibration_images is not None:
            recalibrate(self.ema_classifier.module, self.calibration_images.to(self.device))

    def on_validation_start(self) -> None:
        self.recalibrate()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, targets = batch
        self.validation_accuracy.update(self.ema_classifier(images), targets)

    def on_validation_epoch_end(self) -> None:
        self.log("val/error", 1 - self.validation_accuracy.compute(), sync_dist=True)
        self.validation_accuracy.reset()


def make_optimizer(settings: dict[str, Any], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer of ``_target_`` with its other arguments, those that are null left at its own defaults."""
    given = {name: value for name, value in settings.items() if value is not None}
    optimizer: Optimizer = instantiate(given, params=list(parameters), _convert_="all")
    return optimizer


def forward_concatenated(
    network: Callable[[Tensor], Tensor], batches: Sequence[Tensor], separate: bool = False
) -> tuple[Tensor, ...]:
    """``network`` on each of ``batches``, in one pass, or in ``separate`` ones if its images act on each other.

    Blank images fill the pass up to a multiple of 32 and are dropped: a CPU's matrix unit works on blocks of 32 rows,
    and the weight gradient of 300 rows took 1.6 times as long as that of 320.
    """
    if separate:
        return tuple(network(batch) for batch in batches)
    sizes = [len(batch) for batch in batches]
    padding = batches[0].new_zeros(-sum(sizes) % 32, *batches[0].shape[1:])
    return network(torch.cat([*batches, padding])).split([*sizes, len(padding)])[:-1]
