"""What Lightning calls around a method's steps: set-up from data, seeds of every step, checkpoints, validation."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torchmetrics import Metric

from ssgan.allocator import keep_freed_memory
from ssgan.data.datamodule import Batch, SemiSupervisedData
from ssgan.data.views import Views
from ssgan.errors import SsganError
from ssgan.methods.config import MethodConfig
from ssgan.methods.term_means import TermMeans
from ssgan.nets.base import ImageClassifier
from ssgan.nets.initialization import discriminations, initialize_from_data, recalibrate
from ssgan.nets.layers.noise import NoisePool, set_noise_pool
from ssgan.nets.layers.weight_norm import WeightCache, cache_weights
from ssgan.precision import PRECISIONS
from ssgan.seeds import derive_seed


class Lifecycle(pl.LightningModule):
    """The base of `Method`, which makes all that is declared here."""

    classifier: ImageClassifier
    config: MethodConfig
    seed: int
    ema_classifier: Any
    needs_initialization: bool
    calibration_images: Tensor | None
    pool: NoisePool | None
    latent_rng: torch.Generator
    weight_cache: WeightCache
    validation_accuracy: Metric
    means: TermMeans
    terms: list[tuple[str, Any]]
    step_number: int = 0

    @property
    def all_views(self) -> Views:
        """The views of the method and of the terms that are on."""
        raise NotImplementedError

    def ema_pairs(self) -> list[tuple[Any, nn.Module]]:
        """Pairs of an EMA and the network that it follows."""
        raise NotImplementedError

    # Setting up

    def initialize(self, images: Tensor) -> None:
        """Initialize weight-normed layers, and what compares with real images, from ``images`` of the unlabeled pool.

        (N, C, H, W), in the classifier's pixel range. Raises `SsganError` for too few of them.
        """
        self.classifier.initialize(images)
        initialize_from_data(self.classifier, images)
        self.initialize_generator(images)
        self.calibration_images, self.needs_initialization = images, False
        for ema, network in self.ema_pairs():  # it starts from the networks as they are now
            ema.module.load_state_dict(network.state_dict())
        self.recalibrate()

    def initialize_generator(self, images: Tensor) -> None:
        """A method with a generator does so here."""

    def start_from(self, trained: ImageClassifier) -> None:
        """Go on from the weights of a network like the classifier; a generator, and the optimizers, start as they always do."""
        for network in (self.classifier, self.ema_classifier.module):
            network.load_state_dict(trained.state_dict())
        self.recalibrate()

    def attach(self, data: SemiSupervisedData) -> None:
        """Let ``data`` draw this method's views, and initialize from its images if that was not done before."""
        if not data.batch_sizes:
            data.set_batch_sizes(self.config.batch_size, self.config.labeled_batch_size, self.config.least_steps)
        data.serve(self.all_views, self.classifier.pixel_range, PRECISIONS.get(self.config.precision, torch.float32))
        if self.needs_initialization:
            self.initialize(data.initialization_images(self.config.initialization_images))

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.attach(self.trainer.datamodule)  # type: ignore[attr-defined]

    # Training

    def on_fit_start(self) -> None:
        if isinstance(self.trainer.strategy.model, DistributedDataParallel):
            raise SsganError(
                "Trainer: DistributedDataParallel reduces the gradients of all players in the turn of each; use devices=1, or "
                "strategy=ssgan.training.launch.ManualDDPStrategy()"
            )
        if self.device.type == "cpu":
            keep_freed_memory()
        else:
            self.pool = None  # other devices draw noise at no cost
        set_noise_pool(self.classifier, self.pool)

    def on_train_start(self) -> None:
        cache_weights(self.classifier, self.weight_cache)
        self.means.to(self.device)

    def on_fit_end(self) -> None:
        cache_weights(self.classifier, None)
        self.weight_cache.clear()

    def on_train_epoch_start(self) -> None:
        self.weight_cache.clear()
        self.means = TermMeans()
        if self.calibration_images is not None and discriminations(self.classifier):
            recalibrate(self.classifier, self.calibration_images)  # the EMA copies what is set here

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        epoch = self.trainer.current_epoch
        self.step_number = epoch * int(self.trainer.num_training_batches) + batch_idx
        if self.pool is not None:
            self.pool.refill("pool", self.seed, self.global_rank, epoch)
        self.seed_noise()
        self.latent_rng.manual_seed(derive_seed("latent", self.seed, self.step_number))

    def seed_noise(self, *key: str) -> None:
        """Let the noise of networks from here on be a function of the step and ``key``: passes after the same one share it."""
        seeds: tuple[int | str, ...] = (self.seed, self.global_rank, self.step_number, *key)
        # Not torch.manual_seed: where CUDA is built in but not in use, each call adds to a list that nothing empties.
        torch.default_generator.manual_seed(derive_seed("noise", *seeds))
        if self.device.type != "cpu":
            getattr(torch, self.device.type).manual_seed(derive_seed("noise", *seeds))
        if self.pool is not None:
            self.pool.seek("places", *seeds)

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"train/{name}": mean for name, mean in self.means.all_reduced().items()}, sync_dist=True)

    def recalibrate(self) -> None:
        """Recompute the EMA classifier's batch-norm statistics and reference features, before it is used."""
        if self.calibration_images is not None:
            recalibrate(self.ema_classifier.module, self.calibration_images)

    def on_validation_start(self) -> None:
        self.recalibrate()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, targets = batch
        self.validation_accuracy.update(self.ema_classifier(images), targets)

    def on_validation_epoch_end(self) -> None:
        self.log("val/error", 1 - self.validation_accuracy.compute(), sync_dist=True)
        self.validation_accuracy.reset()

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save each rank's means of the epoch so far, for a resume in its midst."""
        checkpoint["means"] = self.means.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.means.load_state_dict(checkpoint["means"])
