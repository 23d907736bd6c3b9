"""Bad GAN (Dai et al. 2017): a pull-away term for the generator, entropy minimization for the classifier."""

from dataclasses import dataclass

from ssgan.fields import key
from ssgan.methods import improved_gan
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.methods.terms import Entropy, PullAway, Terms


@dataclass
class Config(improved_gan.Config):
    """Distance and weights of the authors' SVHN code."""

    feature_norm: str = key("l1", "of the distance of mean features", choices=("l1", "l2"))
    terms: Terms = key(
        Terms(entropy=Entropy(weight=0.1), pull_away=PullAway(weight=0.8)), "optional terms of the objective"
    )


class BadGAN(ImprovedGAN):
    """`ImprovedGAN` + 0.1 H(p(y | x)) of unlabeled images for the classifier, and for the generator + 0.8 times the
    pull-away term, which stands for its entropy (sec. 5). Without the paper's term of low density, which wants a density
    model of the images.
    """

    Config = Config
