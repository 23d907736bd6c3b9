"""FixMatch (Sohn et al. 2020): confident classes of weakly augmented images teach the strongly augmented ones."""

from dataclasses import dataclass
from typing import ClassVar

from ssgan.data.views import LABELED, STRONG, UNLABELED, Views
from ssgan.fields import key
from ssgan.methods.base import Method
from ssgan.methods.config import MethodConfig
from ssgan.methods.terms import Terms
from ssgan.methods.terms.pseudo_label import PseudoLabel


@dataclass
class Config(MethodConfig):
    """The paper's threshold and weight; ``batch_size`` is its mu times ``labeled_batch_size``, 7 x 64 there."""

    terms: Terms = key(Terms(pseudo_label=PseudoLabel(weight=1.0, threshold=0.95)), "optional terms of the objective")


class FixMatch(Method):
    """L_supervised + weight mean 1[max q >= threshold] H(argmax q, p) (eq. 3 and 4).

    p are the probabilities of strong views, q those of the EMA classifier on weak views of the same images. The paper's
    teacher is the classifier itself; the EMA needs no second pass in training mode, and is what is tested.
    """

    Config = Config
    views: ClassVar[Views] = {"labeled": LABELED, "unlabeled": UNLABELED, "strong": STRONG}
