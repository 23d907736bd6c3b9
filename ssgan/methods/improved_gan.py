"""Improved GAN (Salimans et al. 2016): a classifier with K+1 classes against a generator that matches its features."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ssgan import losses
from ssgan.data.datamodule import Batch
from ssgan.distributed import local_shard, world_size
from ssgan.inference.classifier_file import describe
from ssgan.methods.base import MakeOptimizer, Method, Terms
from ssgan.nets.base import ImageClassifier, ImageGenerator
from ssgan.nets.ema import averaged
from ssgan.nets.initialization import recalibrate
from ssgan.nets.layers.batch_norm import batch_norms, frozen_bn_stats

ADVERSARIAL_LOSSES = {
    "minimax": losses.minimax,
    "non_saturating": losses.non_saturating,
    "blended": losses.blended,
}
"""Losses of a generator that look at the classifier's logits on its own images and at nothing else."""

GENERATOR_LOSSES = ("feature_matching", "preference", *ADVERSARIAL_LOSSES)


class ImprovedGAN(Method):
    """The two-player step of sec. 3.1 and 5: one step of the classifier, then one of the generator, per batch.

    Both see the same generated images (authors' code: z is drawn anew for each).

    ``unlabeled_weight`` scales L_unsupervised, ``real_target`` is the target of real images in it (0.9: one-sided label
    smoothing); in the first ``ramp_up_epochs`` the weight rises linearly from 0. ``consistency_weight``, which rises
    with it, scales the distance from what the averaged classifier says of the unlabeled images changed anew
    (``second_view``), without noise: a mean teacher (Tarvainen and Valpola 2017); ``balance_weight``, which rises too,
    how far the classes are from equal shares of these images (`losses.class_balance`). ``generator_loss`` is one of
    `GENERATOR_LOSSES`; "preference" plays its game on both sides. ``pull_away_weight`` scales what spreads the features
    of generated images beside it (`losses.pull_away`). ``feature_norm`` is "l1" or "l2" (`losses.feature_matching`).
    The generator matches features of a batch of its own (``generator_unlabeled``), with noise on in both passes; or,
    with ``reuse_features``, those that the classifier had of ``unlabeled`` in its turn, before it stepped, which saves
    a pass. ``historical_averaging`` maps "classifier" and "generator" to the weight of that penalty, 0 for none.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        generator: ImageGenerator,
        *,
        classifier_optimizer: MakeOptimizer,
        generator_optimizer: MakeOptimizer,
        unlabeled_weight: float,
        feature_norm: str,
        reuse_features: bool,
        pull_away_weight: float,
        consistency_weight: float,
        balance_weight: float,
        generator_loss: str,
        real_target: float,
        ramp_up_epochs: int,
        historical_averaging: Mapping[str, float],
        **shared: Any,
    ):
        super().__init__(classifier, **shared)
        self.generator = generator
        self.ema_generator = averaged(generator, self.average_rate)
        self.batch_norms = batch_norms(classifier)
        self.make_optimizers = classifier_optimizer, generator_optimizer
        self.unlabeled_weight, self.ramp_up_epochs, self.feature_norm = unlabeled_weight, ramp_up_epochs, feature_norm
        self.pull_away_weight, self.consistency_weight = pull_away_weight, consistency_weight
        self.balance_weight = balance_weight
        self.objective, self.real_target, self.reuse_features = generator_loss, real_target, reuse_features
        self.historical_weights = {name: weight for name, weight in historical_averaging.items() if weight}
        self.histories = nn.ModuleDict(
            {name: AveragedModel(getattr(self, name)).requires_grad_(False) for name in self.historical_weights}
        )

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        make_for_classifier, make_for_generator = self.make_optimizers
        return self.with_schedule(
            make_for_classifier(self.classifier.parameters()), make_for_generator(self.generator.parameters())
        )

    def averages(self) -> list[tuple[Any, nn.Module]]:
        return [*super().averages(), (self.ema_generator, self.generator)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say which generator the weights belong to, so that it can be sampled from the checkpoint alone."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["generator"] = describe(self.generator)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        if self.consistency_weight and self.real_images is not None:
            recalibrate(
                self.classifier, self.real_images.to(self.device)
            )  # the average, the teacher, copies what it keeps

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        generated = self.generate(len(batch["unlabeled"])).to(batch["unlabeled"].dtype)
        self.descend(0, lambda: self.classifier_loss(batch, generated.detach()))
        with frozen_bn_stats(self.batch_norms):
            self.descend(1, lambda: self.generator_loss(batch, generated))
        self.end_step()

    def classifier_loss(self, batch: Batch, generated: Tensor) -> Terms:
        """L_supervised + unlabeled_weight L_unsupervised + what is beside them; gradients reach the classifier only."""
        on_labeled, on_unlabeled, on_generated = self.logits(batch["labeled"], batch["unlabeled"], generated)
        ramp_up = self.ramp_up()
        terms = {
            "supervised": (1.0, losses.supervised(on_labeled, batch["targets"])),
            "unsupervised": (self.unlabeled_weight * ramp_up, self.unsupervised(on_unlabeled, on_generated)),
            **self.historical("classifier"),
        }
        if self.consistency_weight:
            with torch.no_grad():
                taught = self.ema_classifier(batch["second_view"])
            terms["consistency"] = self.consistency_weight * ramp_up, losses.consistency(on_unlabeled, taught)
        if self.balance_weight:
            terms["balance"] = self.balance_weight * ramp_up, losses.class_balance(on_unlabeled)
        return terms

    def ramp_up(self) -> float:
        """The share of the weights of unlabeled images that counts in this step."""
        steps = self.ramp_up_epochs * int(self.trainer.num_training_batches)
        return min(1.0, (self.step_number + 1) / steps) if steps else 1.0

    def logits(self, *batches: Tensor) -> tuple[Tensor, ...]:
        """Those of the classifier on every batch of images; the last two are unlabeled and generated ones.

        The features of the unlabeled ones are kept for the generator's turn. No other batch moves the running
        statistics of batch norms: in evaluation, as the teacher of consistency too, these are to be those of real images.
        """
        apart = self.classifier.batch_dependent

        def features_of(images: Tensor) -> Tensor:
            with frozen_bn_stats([] if images is batches[-2] else self.batch_norms):
                return self.classifier.features(images)

        features = together(features_of, batches, apart)
        self.unlabeled_features = features[-2].detach()
        return together(self.classifier.head, features, apart)

    def unsupervised(self, on_real: Tensor, on_generated: Tensor) -> Tensor:
        """What the classifier minimizes over real and generated images, from its logits on both."""
        if self.objective == "preference":
            return losses.preference(on_real, on_generated)
        return losses.real_images(on_real, self.real_target) + losses.generated_images(on_generated)

    def generator_loss(self, batch: Batch, generated: Tensor) -> Terms:
        """The objective of the generator; gradients reach the generator only."""
        features = self.classifier.features(generated)
        if self.objective in ADVERSARIAL_LOSSES:
            loss = ADVERSARIAL_LOSSES[self.objective](self.classifier.head(features))
        elif self.objective == "preference":
            on_real = self.classifier(batch["generator_unlabeled"])
            loss = losses.preference(self.classifier.head(features), on_real)
        else:
            real = batch["generator_unlabeled"]
            on_real = self.unlabeled_features if self.reuse_features else self.classifier.features(real)
            loss = losses.feature_matching(on_real, features, self.feature_norm)
        terms = {self.objective: (1.0, loss), **self.historical("generator")}
        if self.pull_away_weight:
            terms["pull_away"] = self.pull_away_weight, losses.pull_away(features)
        return terms

    def historical(self, player: str) -> Terms:
        """The penalty on a player's distance from the mean of its past, its weights before this step among them."""
        if player not in self.historical_weights:
            return {}
        history: Any = self.histories[player]
        network = getattr(self, player)
        history.update_parameters(network)
        penalty = losses.historical_averaging(network.parameters(), history.module.parameters())
        return {f"historical_{player}": (self.historical_weights[player], penalty)}

    def generate(self, count: int) -> Tensor:
        """``count`` images from z of this step's own stream, which all processes share."""
        z = local_shard(self.generator.draw_latent(count * world_size(), self.latent_rng))
        images: Tensor = self.generator(z.to(self.device))
        return images


def together(network: Callable[[Tensor], Tensor], batches: Sequence[Tensor], apart: bool = False) -> tuple[Tensor, ...]:
    """``network`` on each of ``batches``, in one pass, or ``apart`` if images of one batch act on each other in it.

    Blank images fill the pass up to a multiple of 32 and are dropped: a CPU's matrix unit works on blocks of 32 rows,
    and the weight gradient of 300 rows took 1.6 times as long as that of 320.
    """
    if apart:
        return tuple(network(batch) for batch in batches)
    sizes = [len(batch) for batch in batches]
    filling = batches[0].new_zeros(-sum(sizes) % 32, *batches[0].shape[1:])
    return network(torch.cat([*batches, filling])).split([*sizes, len(filling)])[:-1]
