"""What every method shares: descent on named terms, averaged weights, seeded noise, the learning rate, validation."""

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassAccuracy

from ssgan.data.datamodule import Batch
from ssgan.distributed import all_gather, all_reduce_mean, average_gradients, rank
from ssgan.nets.base import ImageClassifier
from ssgan.nets.ema import averaged
from ssgan.nets.initialization import recalibrate
from ssgan.nets.layers.noise import NoisePool, set_noise_pool
from ssgan.nets.layers.weight_norm import WeightCache, cache_weights
from ssgan.seeds import derive_seed

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
Terms = dict[str, tuple[float, Tensor]]
"""The terms of an objective by name: the weight of each, and its value without it, which is what is logged."""


class Method(pl.LightningModule):
    """A classifier, its averaged weights, and the floor on which a method's ``training_step`` stands.

    ``average_rate``: share of the current weights in each update of the average. It is updated every
    ``ema_every`` steps with the rate that comes to the same, 1 - (1 - average_rate)^ema_every.
    The learning rate rises linearly in the first ``warm_up_epochs``, stays constant for ``constant_fraction`` of the run
    (the warm-up included), and then falls linearly to 0.
    ``noise_pool``: size of the pool from which noise layers draw on a CPU; 0 draws every number afresh.
    ``real_images``, in the classifier's pixel range, are what minibatch discrimination compares with in evaluation.
    Noise is a function of (seed, rank, step), z of (seed, step): neither depends on what was drawn before.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        *,
        seed: int,
        average_rate: float,
        ema_every: int,
        warm_up_epochs: float,
        constant_fraction: float,
        noise_pool: int,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.classifier = classifier
        self.average_rate = 1 - (1 - average_rate) ** ema_every
        self.ema_classifier = averaged(classifier, self.average_rate)
        self.seed, self.ema_every = seed, ema_every
        self.warm_up_epochs, self.constant_fraction = warm_up_epochs, constant_fraction
        self.real_images: Tensor | None = None
        self.pool = NoisePool(noise_pool) if noise_pool else None
        self.validation_accuracy = MulticlassAccuracy(max(2, classifier.arguments["classes"]), average="micro")
        self.latent_rng = torch.Generator()
        self.elapsed_fraction: Callable[[], float] = float  # 0.0; `TimeLimit` knows better
        self.kept: WeightCache = {}
        self.sums: dict[str, Tensor] = {}
        self.steps_summed = 0

    def averages(self) -> list[tuple[Any, nn.Module]]:
        """Pairs of an averaged network and the network that it follows."""
        return [(self.ema_classifier, self.classifier)]

    def with_schedule(self, *optimizers: Optimizer) -> tuple[list[Optimizer], list[LambdaLR]]:
        self.total_steps = int(self.trainer.estimated_stepping_batches)
        warm_up = max(1.0, self.warm_up_epochs * int(self.trainer.num_training_batches))

        def factor(step: int) -> float:
            left = max(0.0, 1 - self.progress(step)) / max(1 - self.constant_fraction, 1 / self.total_steps)
            return min(1.0, (step + 1) / warm_up, left)

        return list(optimizers), [LambdaLR(optimizer, factor) for optimizer in optimizers]

    def progress(self, step: int) -> float:
        """The part of the run that lies behind after ``step`` steps: of its steps, or of its time if more of that does."""
        return max(step / self.total_steps, self.elapsed_fraction())

    def descend(self, player: int, objective: Callable[[], Terms]) -> None:
        """One step of optimizer ``player`` on the weighted sum of the terms of ``objective()``.

        Inside, the parameters of the other player need no gradient, so none is computed or left behind.
        """
        optimizers = self.optimizers()
        optimizer = optimizers[player] if isinstance(optimizers, list) else optimizers
        with self.toggled_optimizer(optimizer):
            terms = objective()
            optimizer.zero_grad()
            self.manual_backward(torch.stack([weight * term for weight, term in terms.values()]).sum())
            average_gradients(p for group in optimizer.param_groups for p in group["params"])
            optimizer.step()
        torch.clear_autocast_cache()  # it holds half-precision copies of the weights as they were before the step
        if player == 0:
            self.kept.clear()
        for name, (_, term) in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term.detach()

    def end_step(self) -> None:
        """What follows both players' turns: averages and learning rate."""
        self.steps_summed += 1
        if (self.step_number + 1) % self.ema_every == 0:
            for average, network in self.averages():
                average.update_parameters(network)
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[union-attr]

    def summed_terms(self) -> dict[str, float]:
        """The sum of every term, without its weight, since the epoch began: the mean of those of all processes.

        All processes have to ask.
        """
        totals = all_reduce_mean(torch.stack(list(self.sums.values())).float())
        return dict(zip(self.sums, totals.tolist(), strict=True))

    def mean_terms(self) -> dict[str, float]:
        """The mean of every term since the epoch began, over all processes, which all have to ask."""
        return {name: total / self.steps_summed for name, total in self.summed_terms().items()}

    def own_mean_terms(self) -> dict[str, float]:
        """The mean of every term since the epoch began, of this process alone."""
        return {name: float(total) / self.steps_summed for name, total in self.sums.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what each process has summed up in the epoch so far, for one that goes on in its midst."""
        checkpoint["sums"] = {name: all_gather(total.reshape(1)) for name, total in self.sums.items()}
        checkpoint["steps_summed"] = self.steps_summed

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.sums = {name: totals[rank()] for name, totals in checkpoint["sums"].items()}
        self.steps_summed = checkpoint["steps_summed"]

    def on_train_start(self) -> None:
        cache_weights(self.classifier, self.kept)
        self.sums = {name: total.to(self.device) for name, total in self.sums.items()}

    def on_fit_start(self) -> None:
        on_cpu = self.device.type == "cpu"
        set_noise_pool(self.classifier, self.pool if on_cpu else None)

    def on_fit_end(self) -> None:
        cache_weights(self.classifier, None)
        self.kept.clear()

    def on_train_epoch_start(self) -> None:
        self.kept.clear()
        self.sums, self.steps_summed = {}, 0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        epoch = self.trainer.current_epoch
        self.step_number = epoch * int(self.trainer.num_training_batches) + batch_idx
        key = (self.seed, self.global_rank, self.step_number)
        # Not torch.manual_seed: where CUDA is built in but not in use, each call adds to a list that nothing empties.
        torch.default_generator.manual_seed(derive_seed("noise", *key))
        if self.device.type == "cuda":
            torch.cuda.manual_seed(derive_seed("noise", *key))
        if self.pool is not None:
            self.pool.refill("pool", self.seed, self.global_rank, epoch)
            self.pool.seek("places", *key)
        self.latent_rng.manual_seed(derive_seed("latent", self.seed, self.step_number))

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"train/{name}": mean for name, mean in self.mean_terms().items()}, sync_dist=True)

    def recalibrate(self) -> None:
        """Bring what the averaged classifier keeps beside its weights up to date with them, before it is used."""
        if self.real_images is not None:
            recalibrate(self.ema_classifier.module, self.real_images.to(self.device))

    def on_validation_start(self) -> None:
        self.recalibrate()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, targets = batch
        self.validation_accuracy.update(self.ema_classifier(images), targets)

    def on_validation_epoch_end(self) -> None:
        self.log("val/error", 1 - self.validation_accuracy.compute(), sync_dist=True)
        self.validation_accuracy.reset()
