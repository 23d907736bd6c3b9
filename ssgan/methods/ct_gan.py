"""CT-GAN (Wei et al. 2018): an improved GAN whose classifier agrees with itself under another dropout mask."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ssgan import losses
from ssgan.data.datamodule import Batch
from ssgan.errors import SsganError
from ssgan.fields import key
from ssgan.methods import improved_gan
from ssgan.methods.base import Objective, Output
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.nets.base import ImageClassifier, ImageGenerator
from ssgan.nets.layers.noise import is_noisy


@dataclass
class Config(improved_gan.Config):
    """The authors' CIFAR-10 code; their MNIST code has 0.05 and no features."""

    ct_weight: float = key(0.5, "of the squared distance of two passes", at_least=0)
    ct_feature_weight: float = key(0.1, "of features beside probabilities in that distance", at_least=0)
    ct_margin: float = key(0.0, "a distance that costs nothing", at_least=0)


class CTGAN(ImprovedGAN):
    """`ImprovedGAN` + ct_weight mean max(0, d - margin) over the unlabeled images that generated ones are set against, with
    d = MSE(p, p') + ct_feature_weight MSE(f, f') of two passes of the same images (eq. 4 and 5).

    Raises `SsganError` for a classifier without noise or dropout.
    """

    Config = Config

    def __init__(self, classifier: ImageClassifier, generator: ImageGenerator, config: Any = None, seed: int = 0):
        super().__init__(classifier, generator, config, seed)
        if not is_noisy(classifier):
            raise SsganError(
                f"method=ct_gan: two passes of {type(classifier).__name__} are the same, which has neither noise nor dropout; use "
                f"another net/classifier"
            )

    def classifier_loss(self, batch: Batch) -> Objective:
        terms = super().classifier_loss(batch)
        whole = "unlabeled" if "unlabeled" in self.classifier_outputs else "real"  # of which "real" is then a part
        again = self.outputs(batch, (whole,))["real"]
        distance = self.distance(self.classifier_outputs["real"], again)
        return terms | {"ct": (self.config.ct_weight * self.ramp_up(), distance)}

    def distance(self, first: Output, second: Output) -> Tensor:
        config = self.config
        p, q = (output.logits.float().softmax(1) for output in (first, second))
        d = losses.squared_distance(p, q) + config.ct_feature_weight * losses.squared_distance(
            first.features, second.features
        )
        return (d - config.ct_margin).clamp_min(0).mean()
