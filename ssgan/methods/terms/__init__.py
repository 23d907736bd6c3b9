"""Optional terms of an objective that any method can take: ``method.terms.pseudo_label.weight=1``."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ssgan import losses
from ssgan.data.views import SECOND_VIEW, STRONG, UNLABELED, Views
from ssgan.distributed import local_shard, world_size
from ssgan.fields import key
from ssgan.methods.terms.pseudo_label import PseudoLabel
from ssgan.methods.terms.term import Term
from ssgan.nets.layers.batch_norm import frozen_bn_stats

if TYPE_CHECKING:
    from ssgan.data.datamodule import Batch
    from ssgan.methods.base import Method, Outputs

PROBE = 0.02
"""Root mean square of the change by which a direction of `VirtualAdversarial` is found; smaller ones drown in rounding."""


@dataclass
class Consistency(Term):
    """Mean teacher (Tarvainen and Valpola 2017): agree with the EMA classifier on another weak view; `losses.consistency`."""

    views: ClassVar[Views] = {"unlabeled": UNLABELED, "second_view": SECOND_VIEW}
    student: ClassVar[tuple[str, ...]] = ("unlabeled",)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.consistency(out["unlabeled"].logits, method.teacher_logits(batch["second_view"]))


@dataclass
class StrongConsistency(Term):
    """`Consistency` of a strong view with the EMA classifier on the weak view of the same image, FixMatch's pair of views."""

    views: ClassVar[Views] = {"unlabeled": UNLABELED, "strong": STRONG}
    student: ClassVar[tuple[str, ...]] = ("strong",)

    def __call__(self, method: "Method", batch: "Batch", out: "Outputs") -> Tensor:
        return losses.consistency(out["strong"].logits, method.teacher_logits(batch["unlabeled"]))


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

    def idle(self) -> Iterator[str]:
        """The keys that were set, "pseudo_label.threshold", of terms without a weight, where they do nothing."""
        for field in fields(self):
            term: Term = getattr(self, field.name)
            if not term.weight:
                default = type(term)()
                keys = [one.name for one in fields(term) if getattr(term, one.name) != getattr(default, one.name)]
                yield from (f"{field.name}.{name}" for name in keys if name != "weight")
