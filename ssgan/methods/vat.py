"""VAT (Miyato et al. 2018): the classifier's prediction stays where a small change of the image would alter it most."""

from dataclasses import dataclass
from typing import ClassVar

from ssgan.data.views import LABELED, UNLABELED, Views
from ssgan.fields import key
from ssgan.methods.base import Method
from ssgan.methods.config import MethodConfig
from ssgan.methods.terms import Entropy, Terms, VirtualAdversarial

TERMS = Terms(virtual_adversarial=VirtualAdversarial(weight=1.0), entropy=Entropy(weight=1.0))


@dataclass
class Config(MethodConfig):
    """The paper's weights; its best results are those with the entropy (VAT+EntMin)."""

    terms: Terms = key(TERMS, "optional terms of the objective")


class VAT(Method):
    """L_supervised + weight KL(p(x) || p(x + r)) + weight H(p(x)), x unlabeled images and r small changes of them."""

    Config = Config
    views: ClassVar[Views] = {"labeled": LABELED, "unlabeled": UNLABELED}
