"""Improved GAN (Salimans et al. 2016): a classifier with K+1 classes against a generator that matches its features."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ssgan import losses
from ssgan.checkpoint import describe
from ssgan.data.datamodule import Batch
from ssgan.methods.classification import ClassifierTraining, MakeOptimizer, Terms
from ssgan.nets.averaging import averaged
from ssgan.nets.contract import ImageClassifier, ImageGenerator


class ImprovedGAN(ClassifierTraining):
    """The two-player step of sec. 3.1 and 5: one step of the classifier, then one of the generator, per batch.

    ``unlabeled_weight`` scales L_unsupervised. ``feature_norm`` is "l1" or "l2" (see `losses.feature_matching`).
    The generator matches features of a batch of its own (``generator_unlabelled``), with noise on in both passes.
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
        **shared: Any,
    ):
        super().__init__(classifier, **shared)
        self.generator = generator
        self.averaged_generator = averaged(generator, self.average_rate)
        self.make_optimizers = classifier_optimizer, generator_optimizer
        self.unlabeled_weight, self.feature_norm = unlabeled_weight, feature_norm

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        make_for_classifier, make_for_generator = self.make_optimizers
        return self.with_schedule(
            make_for_classifier(self.classifier.parameters()), make_for_generator(self.generator.parameters())
        )

    def averages(self) -> list[tuple[Any, nn.Module]]:
        return [*super().averages(), (self.averaged_generator, self.generator)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say which generator the weights belong to, so that it can be sampled from the checkpoint alone."""
        checkpoint["generator"] = describe(self.generator)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.descend(0, self.classifier_loss, batch)
        self.descend(1, self.generator_loss, batch)
        self.end_step()

    def classifier_loss(self, batch: Batch) -> Terms:
        """L_supervised + unlabeled_weight L_unsupervised; gradients reach the classifier only."""
        with torch.no_grad():
            generated = self.generate(len(batch["unlabelled"])).to(batch["unlabelled"].dtype)
        images = [batch["labelled"], batch["unlabelled"], generated]
        on_labelled, on_unlabelled, on_generated = together(self.classifier, images)
        unsupervised = losses.real_images(on_unlabelled) + losses.generated_images(on_generated)
        return {
            "supervised": losses.supervised(on_labelled, batch["targets"]),
            "unsupervised": self.unlabeled_weight * unsupervised,
        }

    def generator_loss(self, batch: Batch) -> Terms:
        """Feature matching; gradients reach the generator only."""
        real = batch["generator_unlabelled"]
        images = [real, self.generate(len(real)).to(real.dtype)]
        on_real, on_generated = together(self.classifier.features, images)
        return {"feature_matching": losses.feature_matching(on_real, on_generated, self.feature_norm)}

    def generate(self, count: int) -> Tensor:
        """``count`` images from z of this step's own stream."""
        z = self.generator.draw_latent(count, self.latent_rng)
        images: Tensor = self.generator(z.to(self.device))
        return images


def together(network: Callable[[Tensor], Tensor], batches: list[Tensor]) -> tuple[Tensor, ...]:
    """``network`` on each of ``batches``, in one pass: for networks that treat each image by itself (no batch norm).

    Blank images fill the pass up to a multiple of 32 and are dropped: a CPU's matrix unit works on blocks of 32 rows,
    and the weight gradient of 300 rows took 1.6 times as long as that of 320.
    """
    sizes = [len(batch) for batch in batches]
    filling = batches[0].new_zeros(-sum(sizes) % 32, *batches[0].shape[1:])
    return network(torch.cat([*batches, filling])).split([*sizes, len(filling)])[:-1]
