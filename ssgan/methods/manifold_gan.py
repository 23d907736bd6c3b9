"""Manifold-regularized GAN (Lecouat et al. 2018): the classifier's output is smooth along the generator's images."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.data.datamodule import Batch
from ssgan.distributed import local_shard, world_size
from ssgan.errors import SsganError
from ssgan.fields import key
from ssgan.methods import improved_gan
from ssgan.methods.base import Objective
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.nets.base import ImageClassifier, ImageGenerator
from ssgan.nets.layers.batch_norm import batch_norms, frozen_bn_stats
from ssgan.nets.layers.noise import is_noisy

LEAST_STEP = 0.001
"""A shorter step changes logits by rounding alone."""


@dataclass
class Config(improved_gan.Config):
    """The authors' code."""

    feature_norm: str = key("l1", "of the distance of mean features", choices=("l1", "l2"))
    manifold_weight: float = key(0.001, "of the squared change of logits", at_least=0)
    manifold_step: float = key(1e-5, "length of the step in z that changes them", above=0)


class ManifoldGAN(ImprovedGAN):
    """`ImprovedGAN` + manifold_weight mean |l(G(z)) - l(G(z + manifold_step d))|^2, d a random direction of length 1.

    As in the authors' code, the two passes of the classifier have noise of their own. Beside it a step of 1e-5 is nothing
    (logits of digits: 1e-12 of 18): what the term asks for in a network with noise is the same logits under any noise.
    Raises `SsganError` for a classifier without noise and a step below `LEAST_STEP`.
    """

    Config = Config

    def __init__(self, classifier: ImageClassifier, generator: ImageGenerator, config: Any = None, seed: int = 0):
        super().__init__(classifier, generator, config, seed)
        step = self.config.manifold_step
        if step < LEAST_STEP and not is_noisy(classifier):
            raise SsganError(
                f"method.manifold_step={step:g}: {type(classifier).__name__} has neither noise nor dropout, and such a step "
                f"changes its logits by rounding alone; use 0.1, or another net/classifier"
            )

    def classifier_loss(self, batch: Batch) -> Objective:
        terms = super().classifier_loss(batch)
        moved = self.outputs({"generated": self.moved_images()}, ("generated",))["generated"]
        change = self.classifier_outputs["generated"].logits.float() - moved.logits.float()
        return terms | {"manifold": (self.config.manifold_weight * self.ramp_up(), change.square().sum(1).mean())}

    @torch.no_grad()
    def moved_images(self) -> Tensor:
        """The images of this step, of z that have moved a step in random directions."""
        shape = (len(self.z) * world_size(), self.z.shape[1])
        direction = F.normalize(local_shard(torch.randn(shape, generator=self.latent_rng)).to(self.z), dim=1)
        with frozen_bn_stats(batch_norms(self.generator)):
            images = self.images_of(self.z + self.config.manifold_step * direction)
        return images
