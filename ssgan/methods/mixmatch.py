"""MixMatch (Berthelot et al. 2019): the classifier sees mixtures of images alone, with mixtures of true and guessed labels."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan import losses
from ssgan.data.datamodule import Batch
from ssgan.data.views import LABELED, STRONG, UNLABELED, Views
from ssgan.fields import key
from ssgan.methods.base import Method, Objective, Outputs
from ssgan.methods.config import MethodConfig

DISTANCES = {"cross_entropy": losses.supervised, "squared": losses.squared_error}


@dataclass
class Config(MethodConfig):
    """The paper's temperature and alpha. Its weight of 75, of a squared distance divided by K, is 7.5 for 10 classes here."""

    guessed_weight: float = key(1.0, "of the loss on unlabeled images, which have guessed labels", at_least=0)
    guessed_loss: str = key(
        "cross_entropy", "between probabilities and guessed labels; the paper's: squared", choices=tuple(DISTANCES)
    )
    temperature: float = key(0.5, "of guessed labels q^(1/temperature); the paper's", above=0)
    align: bool = key(False, "divide q by its running mean, for classes that are about equally frequent; ReMixMatch's")
    mixup_alpha: float = key(0.75, "shares of images in mixtures are Beta(alpha, alpha); 0: no mixtures", at_least=0)


class MixMatch(Method):
    """H(y', p(x')) + guessed_weight d(q', p(u')) (eq. 2 to 5), x' and u' labeled and strong views with a share of others.

    Labels q are guessed by the EMA classifier on weak views. The paper guesses by the classifier itself, on two weak
    views, and trains on these; the EMA needs no second pass in training mode.
    """

    Config = Config
    config: Any
    views: ClassVar[Views] = {"labeled": LABELED, "unlabeled": UNLABELED, "strong": STRONG}
    student: ClassVar[tuple[str, ...]] = ()

    @property
    def uses_running_means(self) -> bool:
        return self.config.align or super().uses_running_means

    def label_terms(self, batch: Batch, out: Outputs) -> Objective:
        """The terms of mixtures, which have a pass of their own."""
        config = self.config
        log_q = self.log_guesses(self.teacher_logits(batch["unlabeled"]), config.align)
        guessed = losses.soft_targets(log_q, config.temperature)
        known = F.one_hot(batch["targets"], guessed.shape[1]).to(guessed)
        images, targets = mix(
            torch.cat([batch["labeled"], batch["strong"]]), torch.cat([known, guessed]), config.mixup_alpha
        )
        logits = self.outputs({"mixed": images}, ("mixed",))["mixed"].logits
        sizes = [len(known), len(guessed)]
        labeled, unlabeled = zip(logits.split(sizes), targets.split(sizes), strict=True)
        return {
            "supervised": (1.0, losses.supervised(*labeled, config.label_smoothing)),
            "guessed": (config.guessed_weight * self.ramp_up(), DISTANCES[config.guessed_loss](*unlabeled)),
        }


def mix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Each of ``images`` (N, C, H, W) and its ``targets`` (N, K), with those of another one (eq. 8 to 11).

    Its own share is max(s, 1 - s), s from Beta(alpha, alpha), drawn for each image as in the authors' code. Of several
    processes, each mixes its own images.
    """
    if not alpha:
        return images, targets
    drawn = torch.distributions.Beta(alpha, alpha).sample((len(images),)).to(images.device)
    share = torch.maximum(drawn, 1 - drawn)
    others = torch.randperm(len(images), device=images.device)
    pixels = share.view(-1, 1, 1, 1).to(images.dtype)
    return torch.lerp(images[others], images, pixels), torch.lerp(targets[others], targets, share[:, None])
