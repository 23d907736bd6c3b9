"""The game without labels (Goodfellow et al. 2014), to compare the paper's techniques by their samples alone."""

from dataclasses import dataclass
from typing import ClassVar

from ssgan.data.datamodule import Batch
from ssgan.data.views import UNLABELED, Views
from ssgan.fields import key
from ssgan.methods import improved_gan
from ssgan.methods.base import Objective, Outputs
from ssgan.methods.improved_gan import GENERATOR_LOSSES, ImprovedGAN


@dataclass
class Config(improved_gan.Config):
    """As in Goodfellow et al."""

    generator_loss: str = key("non_saturating", "of the generator", choices=GENERATOR_LOSSES)


class GAN(ImprovedGAN):
    """`ImprovedGAN` less its supervised term, for a classifier with one logit: log Z is that logit, D its sigmoid."""

    Config = Config
    uses_labels = False
    views: ClassVar[Views] = {"unlabeled": UNLABELED}
    student: ClassVar[tuple[str, ...]] = ("unlabeled",)

    def label_terms(self, batch: Batch, out: Outputs) -> Objective:
        """No term: there are no classes."""
        return {}
