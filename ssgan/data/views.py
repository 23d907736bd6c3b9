"""Views: what a method draws in every step, of which images and how strongly augmented."""

from dataclasses import dataclass
from typing import Literal

Source = Literal["labeled", "unlabeled"]
Strength = Literal["weak", "strong"]


@dataclass(frozen=True)
class View:
    """A batch of ``source`` in every step, each image augmented in its own way with ``strength``.

    Views of one source draw independent permutations of it. With ``same_as``, the name of another view, the images are
    those of that view in the same order, augmented anew.
    """

    source: Source
    strength: Strength = "weak"
    same_as: str | None = None


LABELED = View("labeled")
UNLABELED = View("unlabeled")
SECOND_VIEW = View("unlabeled", same_as="unlabeled")
STRONG = View("unlabeled", "strong", same_as="unlabeled")

Views = dict[str, View]
