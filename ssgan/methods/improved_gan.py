"""Improved GAN (Salimans et al. 2016): a classifier with K+1 classes against a generator that matches its features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ssgan import losses
from ssgan.data.datamodule import Batch
from ssgan.data.views import LABELED, UNLABELED, Views
from ssgan.distributed import local_shard, world_size
from ssgan.errors import SsganError
from ssgan.fields import key
from ssgan.inference.classifier_file import to_spec
from ssgan.methods.base import Method, Objective, Output, Outputs
from ssgan.methods.config import MethodConfig
from ssgan.methods.historical_averaging import HistoricalAveraging, Histories
from ssgan.nets.base import ImageClassifier, ImageGenerator
from ssgan.nets.ema import ema_of
from ssgan.nets.initialization import LEAST
from ssgan.nets.layers.batch_norm import frozen_bn_stats
from ssgan.pixels import between_ranges, in_parts

GENERATOR_LOSSES = ("feature_matching", "preference", *losses.ADVERSARIAL)

GENERATOR_ADAM = {
    "_target_": "torch.optim.Adam",
    "lr": 0.001,  # authors' code: 3e-3
    "betas": [0.0, 0.9],  # authors' code: 0.5, 0.999, with which a run can collapse (benchmarks/stability)
    "eps": 1e-4,  # authors' code: 1e-8 inside the square root
    "fused": True,
}


@dataclass
class Config(MethodConfig):
    """The paper's terms; what is not in the paper is off."""

    generator_optimizer: dict[str, Any] = key(GENERATOR_ADAM, "any _target_ and its arguments")
    unlabeled_weight: float = key(1.0, "of the loss on unlabeled and generated images; authors' code", at_least=0)
    generated_batch_size: int | None = key(
        None,
        "generated images per step, against so many of the unlabeled ones; null: batch_size, as in the paper",
        at_least=2,
    )
    feature_norm: str = key("l2", "of the distance of mean features; paper and MNIST code l2", choices=("l1", "l2"))
    reuse_features: bool = key(False, "match the features from the classifier's step; saves a pass; not in the paper")
    generator_loss: str = key("feature_matching", "sec. 3.1, or another loss", choices=GENERATOR_LOSSES)
    real_target: float = key(1.0, "0.9 is one-sided label smoothing (sec. 3.4)", at_least=0, at_most=1)
    fake_logit: str = key(
        "zero",
        "of class K+1; log_classes: log K, so that D starts at 1/2 where logits start near 0 (with batch norm)",
        choices=("zero", "log_classes"),
    )
    start_from_mean: bool = key(True, "the first generated images vary about the mean image; authors: about gray")
    historical_averaging: HistoricalAveraging = key(HistoricalAveraging(), "penalty of sec. 3.3")


class ImprovedGAN(Method):
    """The two-player step of sec. 3.1 and 5: one step of the classifier, then one of the generator, per batch.

    The view "real", which is set against generated images, is the first part of the unlabeled batch, as many as there are of
    those. Both players see the same generated images (authors' code: z is drawn anew for each). The generator matches the features of
    a batch of its own, with noise on in both passes, or with ``reuse_features`` those of the classifier's step. A loss of
    "preference" plays its game on both sides.
    """

    Config = Config
    config: Any
    has_generator: ClassVar[bool] = True
    views: ClassVar[Views] = {"labeled": LABELED, "unlabeled": UNLABELED}
    student: ClassVar[tuple[str, ...]] = ("labeled", "real")

    def __init__(self, classifier: ImageClassifier, generator: ImageGenerator, config: Any = None, seed: int = 0):
        super().__init__(classifier, config, seed)
        generated, batch_size = self.config.generated_batch_size, self.config.batch_size
        if generated and generated > batch_size:
            raise SsganError(
                f"method.generated_batch_size={generated}: at most method.batch_size, {batch_size}: each generated image is "
                f"set against a real one"
            )
        compares = self.config.generator_loss == "preference"
        if compares and self.config.real_target != 1:
            raise SsganError(
                f"method.real_target={self.config.real_target:g}: the game of generator_loss=preference has no target; leave it out"
            )
        if compares and self.config.fake_logit != "zero":
            raise SsganError(
                f"method.fake_logit={self.config.fake_logit}: generator_loss=preference compares images, and has no class K+1; leave it out"
            )
        self.generator = generator
        self.ema_generator = ema_of(generator, self.ema_rate)
        self.histories = Histories(self.networks(), self.config.historical_averaging)
        self.classifier_outputs: Outputs = {}
        """What the classifier's step computed of its views and of "generated" ones, until the generator's step ends."""
        classes = classifier.arguments["classes"]
        if not compares:
            self.fake_logit = math.log(classes) if self.config.fake_logit == "log_classes" else 0.0

    @property
    def all_views(self) -> Views:
        own_batch = self.config.generator_loss == "preference" or (
            self.config.generator_loss == "feature_matching" and not self.config.reuse_features
        )
        return super().all_views | ({"generator_unlabeled": UNLABELED} if own_batch else {})

    def networks(self) -> dict[str, nn.Module]:
        return {"classifier": self.classifier, "generator": self.generator}

    def ema_pairs(self) -> list[tuple[Any, nn.Module]]:
        return [*super().ema_pairs(), (self.ema_generator, self.generator)]

    def initialize_generator(self, images: Tensor) -> None:
        self.generator.initialize(max(LEAST, len(in_parts(images)[0])))
        if self.config.start_from_mean or self.generator.pixel_range is None:  # vectors have a scale of their own
            self.generator.start_from_mean(
                between_ranges(images, self.classifier.pixel_range, self.generator.pixel_range)
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Describe the generator, so that it can be sampled from the checkpoint alone."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["generator"] = to_spec(self.generator)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        total = self.config.generated_batch_size
        real = batch["unlabeled"][: -(-total // world_size()) if total else None]
        batch = batch | {"real": real}
        generated = self.generate(len(real)).to(real.dtype)
        self.optimize("classifier", lambda: self.classifier_loss(batch | {"generated": generated.detach()}))
        self.means.add(self.probabilities(self.classifier_outputs))  # beside the terms, for logs
        with frozen_bn_stats(self.batch_norms):
            self.optimize("generator", lambda: self.generator_loss(batch | {"generated": generated}))
        self.classifier_outputs = {}
        self.end_step()

    def classifier_loss(self, batch: Batch) -> Objective:
        """L_supervised + unlabeled_weight L_unsupervised + the terms that are on; gradients reach the classifier only."""
        out = self.outputs(batch, (*self.student_views, "generated"))
        self.classifier_outputs = out
        return {
            **self.label_terms(batch, out),
            "unsupervised": (self.config.unlabeled_weight * self.ramp_up(), self.unsupervised(out)),
            **self.historical("classifier"),
            **self.optional(self.terms, batch, out),
        }

    def outputs(self, batch: Batch, names: Sequence[str]) -> Outputs:
        """In one pass; a classifier whose images act on each other gets real and generated ones in passes of their own, and
        generated ones move no running statistics. If a term needs all unlabeled images, "real" is a part of them.
        """
        real = "unlabeled" if "unlabeled" in names else "real"
        names = [name for name in names if name != "real" or real == "real"]
        alone = [name for name in names if name in (real, "generated")] if self.classifier.batch_dependent else []
        out: Outputs = {}
        for together in ([name for name in names if name not in alone], *([name] for name in alone)):
            with frozen_bn_stats(self.batch_norms if together == ["generated"] else []):
                out |= super().outputs(batch, together)
        if real in out:
            count = len(batch["real"])
            out["real"] = Output(*(values[:count] for values in out[real]))
        return out

    def against_generated(self, logits: Tensor) -> Tensor:
        """Scores of the K classes less that of class K+1, which is nothing where images are compared."""
        return logits - (self.fake_logit or 0.0)

    def unsupervised(self, out: Outputs) -> Tensor:
        """L_unsupervised (sec. 5), or the preference loss, from the log-odds of real against generated."""
        real, fake = (self.against_generated(out[name].logits) for name in ("real", "generated"))
        if self.config.generator_loss == "preference":
            return losses.preference(real, fake)
        return losses.real_loss(real, self.config.real_target) + losses.fake_loss(fake)

    def probabilities(self, out: Outputs) -> dict[str, Tensor]:
        """Mean D of real and of generated images; of the game of "preference", whose D has no zero, that either is preferred."""
        real, fake = (self.against_generated(out[name].logits) for name in ("real", "generated"))
        if self.config.generator_loss == "preference":
            preferred = losses.probability_preferred(real, fake)
            return {"d_real": preferred, "d_generated": 1 - preferred}
        return {"d_real": losses.probability_real(real), "d_generated": losses.probability_real(fake)}

    def generator_loss(self, batch: Batch) -> Objective:
        """The objective of the generator; gradients reach the generator only."""
        features = self.classifier.features(batch["generated"])
        name = self.config.generator_loss
        if name == "feature_matching":
            if self.config.reuse_features:
                real = self.classifier_outputs["real"].features
            else:
                real = self.classifier.features(batch["generator_unlabeled"][: len(features)])
            loss = losses.feature_matching(real, features, self.config.feature_norm)
        elif name == "preference":
            real = self.classifier(batch["generator_unlabeled"][: len(features)])
            loss = losses.preference(self.classifier.head(features), real)
        else:
            loss = losses.ADVERSARIAL[name](self.against_generated(self.classifier.head(features)))
        out = {"generated": Output(features, self.classifier.head(features))} if self.generator_terms else {}
        return {name: (1.0, loss), **self.historical("generator"), **self.optional(self.generator_terms, batch, out)}

    def historical(self, player: str) -> Objective:
        """The penalty on a player's distance from the mean of its past, its weights before this step among them."""
        if player not in self.histories:
            return {}
        weight = getattr(self.config.historical_averaging, player)
        return {f"historical_{player}": (weight, self.histories.penalty(player, self.networks()[player]))}

    def generate(self, count: int) -> Tensor:
        """``count`` images from z of this step's own stream, which is the same on all ranks; leaves this rank's in ``z``."""
        self.z = local_shard(self.generator.draw_latent(count * world_size(), self.latent_rng)).to(self.device)
        return self.images_of(self.z)

    def images_of(self, z: Tensor) -> Tensor:
        """What the generator makes of ``z``, as the classifier takes images."""
        return between_ranges(self.generator(z), self.generator.pixel_range, self.classifier.pixel_range)
