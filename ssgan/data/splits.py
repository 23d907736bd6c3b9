"""Which images carry a label: a pure function of (targets, labels, split_seed)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ssgan.errors import SsganError

Positions = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Split:
    """The labeled and the validation images, as sorted positions in the training images.

    Every other training image, and every labeled one, belongs to the unlabeled pool.
    """

    labels: int | str
    split_seed: int
    labeled: tuple[int, ...]
    validation: tuple[int, ...]
    per_class: tuple[int, ...]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that two splits share only if they hold the same images."""
        text = json.dumps([self.labeled, self.validation])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_labels(self, more: Sequence[int], targets: Positions, classes: int) -> "Split":
        """The same with the images at ``more`` labeled, too; what was for validation of them no longer is."""
        labeled, added = sorted({*self.labeled, *more}), set(more)
        return replace(
            self,
            labeled=tuple(labeled),
            validation=tuple(place for place in self.validation if place not in added),
            per_class=tuple(np.bincount(targets[labeled], minlength=classes).tolist()),
        )

    def leaving_out(self, part: int, parts: int, targets: Positions, classes: int, asked: str = "") -> "Split":
        """The same with the ``part``th (from 1) of so many ``parts`` of each class's labeled images for validation.

        A class with one label keeps it. Raises `SsganError` if that leaves a part without images, naming the key that ``asked`` for it.
        """
        labeled = np.array(self.labeled)
        members = [labeled[targets[labeled] == k] for k in range(classes)]
        out = [of_class[part - 1 :: parts] for of_class in members if len(of_class) > 1]
        if not sum(map(len, out)):
            raise SsganError(
                f"{asked or f'calibration_folds={parts}'}: more parts than labeled images of a class; use 2 to {max(map(len, members))}"
            )
        left = np.setdiff1d(labeled, np.concatenate(out))
        return replace(
            self,
            labeled=tuple(left.tolist()),
            validation=tuple(sorted({*self.validation, *np.concatenate(out).tolist()})),
            per_class=tuple(np.bincount(targets[left], minlength=classes).tolist()),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"digest": self.digest}

    @classmethod
    def from_json(cls, content: Any, source: str) -> "Split":
        """The inverse of `to_json`; raises `SsganError` when ``content`` was edited or is no split."""
        try:
            labeled = content["labelled" if "labelled" in content else "labeled"]  # as earlier versions spelled it
            lists = {key: tuple(map(int, content[key])) for key in ("validation", "per_class")}
            lists["labeled"] = tuple(map(int, labeled))
            split = cls(labels=content["labels"], split_seed=content["split_seed"], **lists)
            intact = content["digest"] == split.digest
        except (KeyError, TypeError, ValueError):
            intact = False
        if not intact:
            raise SsganError(f"{source} is damaged: its digest does not fit its indices. Start in another folder.")
        return split


@dataclass(frozen=True)
class Smallest:
    """The class with the fewest images to give, of so many ``classes``."""

    count: int
    name: str
    classes: int


def draw_split(
    targets: Sequence[int] | np.ndarray,
    classes: int,
    labels: int | str,
    split_seed: int,
    validation: int = 0,
    balanced: bool = True,
    held_out: int = 0,
    class_names: Sequence[str] | None = None,
) -> Split:
    """A labeled subset and a validation set of the training images, with equally many of each class if ``balanced``.

    The last ``held_out`` images are validation images whatever is drawn.

    ``targets`` are 0..classes-1, or -1 where the label is unknown. Every class (if not balanced: all of them together)
    is shuffled once by ``split_seed``; labeled images are taken from the front and validation images from the back, so
    that a split with more labels contains the one with fewer. ``labels="all"`` labels every image that has a label and
    is not for validation.

    Raises `SsganError` for counts that are not balanced or that the smallest class, of ``class_names``, cannot give.
    """
    every = np.asarray(targets)
    targets = every[: len(every) - held_out]
    # RandomState, and not a Generator: its stream is frozen for ever, so a split outlives every release of NumPy.
    if split_seed < 0 or split_seed >= 2**32:
        raise SsganError(f"split_seed={split_seed}: use a whole number from 0 to {2**32 - 1}")
    random = np.random.RandomState(split_seed)
    if balanced:
        names = class_names or tuple(f"class {target}" for target in range(classes))
        front, back = _balanced(targets, names, labels, validation, random)
    else:
        front, back = _at_random(targets, labels, validation, random)
    return Split(
        labels=labels,
        split_seed=split_seed,
        labeled=tuple(np.sort(front).tolist()),
        validation=(*np.sort(back).tolist(), *range(len(targets), len(every))),
        per_class=tuple(np.bincount(targets[front], minlength=classes).tolist()),
    )


def _balanced(
    targets: Positions, names: Sequence[str], labels: int | str, validation: int, random: np.random.RandomState
) -> tuple[Positions, Positions]:
    members = [random.permutation(np.flatnonzero(targets == k)) for k in range(len(names))]
    sizes = [len(of_class) for of_class in members]
    smallest = Smallest(min(sizes), names[sizes.index(min(sizes))], len(names))
    if not smallest.count:
        raise SsganError(
            f"labels={labels}: {smallest.name} has no labeled image. Label some, leave the class out, or use balanced=false, with "
            f"which nothing is learned of it"
        )
    for_validation = _per_class("validation", validation, smallest)
    room = smallest.count - for_validation
    if labels == "all":
        if room < 1:
            raise SsganError(
                f"validation={validation}: leaves no labeled image of {smallest.name}, which has {smallest.count}; use "
                f"fewer, or balanced=false"
            )
        front = [of_class[: len(of_class) - for_validation] for of_class in members]
    else:
        for_training = _per_class("labels", labels, replace(smallest, count=room), validation)
        if for_training < 1:
            raise SsganError(f"labels={labels}: use a positive multiple of the {len(names)} classes, or 'all'")
        front = [of_class[:for_training] for of_class in members]
    back = [of_class[len(of_class) - for_validation :] for of_class in members]
    return np.concatenate(front), np.concatenate(back)


def _at_random(
    targets: Positions, labels: int | str, validation: int, random: np.random.RandomState
) -> tuple[Positions, Positions]:
    known = random.permutation(np.flatnonzero(targets >= 0))
    if validation < 0 or validation >= len(known):
        raise SsganError(f"validation={validation}: use 0 to {len(known) - 1}; {len(known)} images have a label")
    room = len(known) - validation
    count = room if labels == "all" else labels
    if not isinstance(count, int) or not 1 <= count <= room:
        raise SsganError(
            f"labels={labels}: use 1 to {room}, or 'all'{f'; validation={validation} takes others' if validation else ''}"
        )
    return known[:count], known[room:]


def _per_class(key: str, count: int | str, smallest: Smallest, validation: int = 0) -> int:
    """``count`` split evenly over the classes, at most as many each as the smallest has."""
    classes, most = smallest.classes, smallest.count
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        also = ", or 'all'" if key == "labels" else ""
        raise SsganError(f"{key}={count}: use a multiple of the {classes} classes{also}")
    if count % classes:
        lower, upper = count // classes * classes, (count // classes + 1) * classes
        near = f"{lower} or {upper}" if lower else str(upper)
        raise SsganError(f"{key}={count}: not divisible by the {classes} classes; use {near}, or balanced=false")
    if count // classes > most:
        raise SsganError(
            f"{key}={count}: {count // classes} images per class, but {smallest.name} has only {most}"
            f"{f' beside those of validation={validation}' if validation else ''}; "
            f"use at most {most * classes}, or balanced=false"
        )
    return count // classes
