"""MixMatch with class K+1: the classifier of mixtures tells real images, as they are, from those of a generator."""

from dataclasses import dataclass
from typing import ClassVar

from ssgan.methods import improved_gan, mixmatch
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.methods.mixmatch import MixMatch


@dataclass
class Config(mixmatch.Config, improved_gan.Config):
    """The keys of both."""


class MixMatchGAN(MixMatch, ImprovedGAN):
    """The loss of `MixMatch` in place of the labeled images' in `ImprovedGAN`; nobody has published it.

    FixMatch with class K+1 needs no method of its own: ``method=improved_gan method.terms.pseudo_label.weight=1``.
    """

    Config: ClassVar[type[Config]] = Config  # of both bases, which mypy takes for too narrow
    student: ClassVar[tuple[str, ...]] = ("real",)
