"""Mean teacher (Tarvainen and Valpola 2017): the classifier agrees with its EMA on another view of unlabeled images."""

from dataclasses import dataclass
from typing import ClassVar

from ssgan.data.views import LABELED, UNLABELED, Views
from ssgan.fields import key
from ssgan.methods.base import Method
from ssgan.methods.config import MethodConfig
from ssgan.methods.terms import Consistency, Terms


@dataclass
class Config(MethodConfig):
    """The authors' ramp-up is 80 epochs and their weight 100 of a squared distance that is divided by K: 10 for 10 classes."""

    ramp_up_epochs: int = key(5, "in which the weight of consistency rises linearly from 0", at_least=0)
    terms: Terms = key(Terms(consistency=Consistency(weight=10.0)), "optional terms of the objective")


class MeanTeacher(Method):
    """L_supervised + weight sum_k (p_k - q_k)^2, p of the classifier, q of its EMA (sec. 2), each on a weak view of its own.

    With ``terms.strong_consistency`` in place of ``terms.consistency``, p is that of a strong view.
    """

    Config = Config
    views: ClassVar[Views] = {"labeled": LABELED, "unlabeled": UNLABELED}
