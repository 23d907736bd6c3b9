"""The baseline: the same classifier, taught by the labeled images alone."""

from typing import Any

from ssgan import losses
from ssgan.data.datamodule import Batch
from ssgan.methods.base import MakeOptimizer, Method, Terms
from ssgan.nets.base import ImageClassifier


class Supervised(Method):
    """Cross-entropy on the labeled stream; noise, averages and schedule as in the semi-supervised methods."""

    def __init__(self, classifier: ImageClassifier, *, classifier_optimizer: MakeOptimizer, **shared: Any):
        super().__init__(classifier, **shared)
        self.make_classifier_optimizer = classifier_optimizer

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        return self.with_schedule(self.make_classifier_optimizer(self.classifier.parameters()))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.descend(0, lambda: self.classifier_loss(batch))
        self.end_step()

    def classifier_loss(self, batch: Batch) -> Terms:
        return {"supervised": (1.0, losses.supervised(self.classifier(batch["labeled"]), batch["targets"]))}
