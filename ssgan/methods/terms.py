"""Optional terms of an objective that any method can take: ``method.terms.pseudo_label.weight=1``.

A term is its own configuration: a dataclass whose fields are its keys. It names the views that it draws and those that
the classifier has to be applied to, and computes its loss from what came of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ssgan import losses
from ssgan.data.views import SECOND_VIEW, STRONG, UNLABELED, Views
from ssgan.distributed import all_gather, local_shard, world_size
from ssgan.errors import SsganError
from ssgan.fields import key
from ssgan.methods.neighbors import NEIGHBORS, NeighborMemory
from ssgan.nets.layers.batch_norm import frozen_bn_stats

if TYPE_CHECKING:
    from ssgan.data.datamodule import Batch
    from ssgan.methods.base import Method, Outputs

PROBE = 0.02
"""Root mean square of the change by which a direction of `VirtualAdversarial` is found; smaller ones drown in rounding."""


@dataclass
class Term:
    """A loss with a ``weight``, which rises from 0 in the first ``method.ramp_up_epochs``."""

    weight: float = key(0.0, "of this term; 0: off", at_least=0)

    player: ClassVar[str] = "classifier"
    views: ClassVar[Views] = {}
    student: ClassVar[tuple[str, ...]] = ()
    """Views whose features and logits of the classifier in training it needs."""
    uses_teacher: ClassVar[bool] = False

    @property
    def uses_running_means(self) -> bool:
        """It needs `RunningMeans` of the teacher's predictions."""
        return False

    def prepare(self, method: "Method") -> None:
        """Give ``method``, which is being made, what it has to hold for this term; raises `SsganError` where keys contradict."""

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        raise NotImplementedError


@dataclass
class Consistency(Term):
    """Mean teacher (Tarvainen and Valpola 2017): agree with the EMA classifier on another weak view; `losses.consistency`."""

    uses_teacher: ClassVar[bool] = True
    views: ClassVar[Views] = {"unlabeled": UNLABELED, "second_view": SECOND_VIEW}
    student: ClassVar[tuple[str, ...]] = ("unlabeled",)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.consistency(out["unlabeled"].logits, method.teacher_logits(batch["second_view"]))


@dataclass
class StrongConsistency(Term):
    """`Consistency` of a strong view with the EMA classifier on the weak view of the same image, FixMatch's pair of views."""

    uses_teacher: ClassVar[bool] = True
    views: ClassVar[Views] = {"unlabeled": UNLABELED, "strong": STRONG}
    student: ClassVar[tuple[str, ...]] = ("strong",)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.consistency(out["strong"].logits, method.teacher_logits(batch["unlabeled"]))


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
    strangers: float = key(
        0.0,
        "leave out images whose log Z is below this quantile of the labeled ones', as of no known class; 0: none",
        at_least=0,
        below=1,
    )
    least_threshold: float = key(0.0, "of adaptive ones; FreeMatch's on SVHN: 0.9", at_least=0, at_most=1)
    neighbors: float = key(
        0.0,
        "share in q of what the nearest images, by pixels, were taken for, which falls to 0 in ramp_up_epochs; 0: none",
        at_least=0,
        at_most=1,
    )
    memory: int = key(
        8192,
        "the number of last images that neighbors are looked for among, at most those of a pass",
        at_least=NEIGHBORS,
    )

    uses_teacher: ClassVar[bool] = True
    views: ClassVar[Views] = {"unlabeled": UNLABELED, "strong": STRONG}
    student: ClassVar[tuple[str, ...]] = ("strong",)

    @property
    def uses_running_means(self) -> bool:
        return self.align or self.adaptive

    def prepare(self, method: "Method") -> None:
        if self.adaptive and self.least_threshold > self.threshold:
            raise SsganError(
                f"method.terms.pseudo_label.least_threshold={self.least_threshold:g}: above threshold={self.threshold:g}, which is the "
                f"greatest; lower it"
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
        if self.strangers:
            of_known = losses.log_partition(method.teacher_logits(batch["labeled"]))
            is_known = losses.log_partition(logits) >= all_gather(of_known).quantile(self.strangers)
            threshold = torch.where(is_known, threshold, torch.inf)
        return losses.pseudo_label(out["strong"].logits, log_q, threshold, self.temperature)


@dataclass
class ClassBalance(Term):
    """Equal shares of all classes among unlabeled images (Tanaka et al. 2018); `losses.class_balance`."""

    views: ClassVar[Views] = {"unlabeled": UNLABELED}
    student: ClassVar[tuple[str, ...]] = ("unlabeled",)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.class_balance(out["unlabeled"].logits)


@dataclass
class Entropy(Term):
    """Confident predictions on unlabeled images (Grandvalet and Bengio 2005; Bad GAN's weight: 0.1); `losses.entropy`."""

    views: ClassVar[Views] = {"unlabeled": UNLABELED}
    student: ClassVar[tuple[str, ...]] = ("unlabeled",)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.entropy(out["unlabeled"].logits)


@dataclass
class VirtualAdversarial(Term):
    """The same prediction where a small change of the image alters it most (Miyato et al. 2018); `losses.virtual_adversarial`."""

    radius: float = key(0.07, "root mean square of the change, of pixels in [0, 1]; 2 for an MNIST image", above=0)

    views: ClassVar[Views] = {"unlabeled": UNLABELED}

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        def network(images: Tensor) -> Tensor:
            method.seed_noise("virtual_adversarial")  # the prediction is to change by the change of the image alone
            logits: Tensor = method.classifier(images)
            return logits

        images, (low, high) = batch["unlabeled"], method.classifier.pixel_range
        norm = (high - low) * images[0].numel() ** 0.5  # of a change by the whole range everywhere
        shape = (len(images) * world_size(), *images.shape[1:])
        start = local_shard(torch.randn(shape, generator=method.latent_rng)).to(images.device)
        with frozen_bn_stats(method.batch_norms):
            return losses.virtual_adversarial(network, images, network(images), start, self.radius * norm, PROBE * norm)


@dataclass
class PullAway(Term):
    """Different generated images have different features (Zhao et al. 2017; Dai et al. 2017: 0.8 on SVHN); `losses.pull_away`."""

    player: ClassVar[str] = "generator"

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.pull_away(out["generated"].features)


@dataclass
class Terms:
    """All optional terms, off unless a method or a preset gives them a weight. None of them is in the paper."""

    consistency: Consistency = key(Consistency(), "mean teacher's loss")
    strong_consistency: StrongConsistency = key(StrongConsistency(), "mean teacher's loss on strong views")
    pseudo_label: PseudoLabel = key(PseudoLabel(), "FixMatch's loss")
    class_balance: ClassBalance = key(ClassBalance(), "for classes that are about equally frequent")
    entropy: Entropy = key(Entropy(), "of predictions on unlabeled images")
    virtual_adversarial: VirtualAdversarial = key(VirtualAdversarial(), "VAT's loss")
    pull_away: PullAway = key(PullAway(), "of generated images")

    def active(self, player: str) -> Iterator[tuple[str, Term]]:
        """Name and term of those of ``player`` with a weight."""
        for field in fields(self):
            term: Term = getattr(self, field.name)
            if term.weight and term.player == player:
                yield field.name, term
