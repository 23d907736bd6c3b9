"""What the optional terms of an objective have in common.

A term is its own configuration: a dataclass whose fields are its keys. It names the views that it draws and those that
the classifier has to be applied to, and computes its loss from what came of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from ssgan.data.views import Views
from ssgan.fields import key

if TYPE_CHECKING:
    from ssgan.data.datamodule import Batch
    from ssgan.methods.base import Method, Outputs


@dataclass
class Term:
    """A loss with a ``weight``; the classifier's rise from 0 in the first ``method.ramp_up_epochs``."""

    weight: float = key(0.0, "of this term; 0: off", at_least=0)

    player: ClassVar[str] = "classifier"
    views: ClassVar[Views] = {}
    student: ClassVar[tuple[str, ...]] = ()
    """Views whose features and logits of the classifier in training it needs."""

    @property
    def uses_running_means(self) -> bool:
        """It needs `RunningMeans` of the teacher's predictions."""
        return False

    def prepare(self, method: "Method") -> None:
        """Give ``method``, which is being made, what it has to hold for this term; raises `SsganError` where keys contradict."""

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        raise NotImplementedError
