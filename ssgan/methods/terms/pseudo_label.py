"""The term with pseudo-labels: ``method.terms.pseudo_label.weight=1``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ssgan import losses
from ssgan.data.views import STRONG, UNLABELED, Views
from ssgan.distributed import all_gather, world_size
from ssgan.errors import SsganError
from ssgan.fields import key
from ssgan.methods.neighbors import NEIGHBORS, NeighborMemory
from ssgan.methods.terms.term import Term

if TYPE_CHECKING:
    from ssgan.data.datamodule import Batch
    from ssgan.methods.base import Method, Outputs


@dataclass
class PseudoLabel(Term):
    """FixMatch (Sohn et al. 2020, eq. 4): confident classes of weak views teach strong ones; `losses.pseudo_label`."""

    threshold: float = key(0.95, "least probability of a pseudo-label; the paper's", at_least=0, at_most=1)
    temperature: float = key(
        0.0, "of soft targets q^(1/temperature), MixMatch's: 0.5; 0: the most probable class", at_least=0
    )
    align: bool = key(False, "divide q by its running mean, for classes that are about equally frequent; ReMixMatch's")
    adaptive: bool = key(
        False, "a threshold for each class from running means, between least_threshold and threshold; FreeMatch's"
    )
    ood_quantile: float = key(
        0.0,
        "exclude out-of-distribution images: log Z below this quantile of the labeled ones'; 0: off",
        at_least=0,
        below=1,
    )
    least_threshold: float = key(0.0, "of adaptive ones; FreeMatch's on SVHN: 0.9", at_least=0, at_most=1)
    neighbors: float = key(
        0.0,
        "weight in q of the nearest images' predictions, in pixel space; falls to 0 over ramp_up_epochs; 0: off",
        at_least=0,
        at_most=1,
    )
    memory: int = key(
        8192,
        "the number of last images that neighbors are looked for among, at most those of a pass",
        at_least=NEIGHBORS,
    )

    views: ClassVar[Views] = {"unlabeled": UNLABELED, "strong": STRONG}
    student: ClassVar[tuple[str, ...]] = ("strong",)

    @property
    def uses_running_means(self) -> bool:
        return self.align or self.adaptive

    def prepare(self, method: "Method") -> None:
        if self.adaptive and self.least_threshold >= self.threshold:
            raise SsganError(
                f"method.terms.pseudo_label.adaptive=true: between least_threshold={self.least_threshold:g} and "
                f"threshold={self.threshold:g} there is no room; use method.terms.pseudo_label.threshold=0.95"
            )
        if self.least_threshold and not self.adaptive:
            raise SsganError(
                f"method.terms.pseudo_label.least_threshold={self.least_threshold:g}: is of adaptive thresholds; use "
                f"method.terms.pseudo_label.adaptive=true, or 0"
            )
        if self.ood_quantile and method.config.strong_labels:
            raise SsganError(
                "method.terms.pseudo_label.ood_quantile: compares weak views of unlabeled images with those of labeled ones, which "
                "method.strong_labels=true leaves out; use false"
            )
        if not self.neighbors:
            return
        if not method.config.ramp_up_epochs:
            raise SsganError(
                "method.ramp_up_epochs=0: neighbors have a share until it ends; use 1 or more, or "
                "method.terms.pseudo_label.neighbors=0"
            )
        shape, classes = (method.classifier.arguments[name] for name in ("image_shape", "classes"))
        method.neighbors = NeighborMemory(shape, classes, self.memory)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        logits = method.teacher_logits(batch["unlabeled"])
        log_q = method.log_guesses(logits, self.align)
        share = self.neighbors * (1 - method.ramp_up())
        if share:
            images = batch["unlabeled"]
            epoch = int(method.trainer.num_training_batches) * len(images) * world_size()
            passes: int = method.trainer.datamodule.passes  # type: ignore[attr-defined]
            log_q = method.neighbors.smoothed(images, log_q, share, recent=epoch // passes)
        threshold: float | Tensor = self.threshold
        if self.adaptive:
            adapted = method.running_means.thresholds(log_q.argmax(1))
            threshold = adapted.clamp(self.least_threshold, self.threshold)
        if self.ood_quantile:
            of_known = losses.log_partition(method.teacher_logits(batch["labeled"]))
            is_known = losses.log_partition(logits) >= all_gather(of_known).quantile(self.ood_quantile)
            threshold = torch.where(is_known, threshold, torch.inf)
        return losses.pseudo_label(out["strong"].logits, log_q, threshold, self.temperature)
