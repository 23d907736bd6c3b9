"""A classifier's word on several views of an image, averaged."""

from itertools import product
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.inference.classifier import Answers, Classifier, Predictor
from ssgan.inference.ensemble import mean_answers
from ssgan.pixels import as_tensor, in_parts, reflect_indices

MOVES = (0, -1, 1)
"""Pixels, along both axes, of views of a classifier that was trained on moved images; airbench94's (Jordan 2024)."""


class AveragedViews(Predictor):
    """Answers with the mean probability of ``predictor`` over an image's views, and log Z of the image as it is.

    Views are shifts and flips that training used, too, by ``views`` of their header: with ``shift`` the image
    moved by a pixel along its diagonal, either way, by reflection; with ``flip`` each of these mirrored, too. Raises
    `SsganError` for a classifier whose file does not say it, and for one that was trained on images as they are.
    """

    def __init__(self, predictor: Predictor):
        self.predictor, self.header = predictor, predictor.header
        self.class_names, self.image_shape = predictor.class_names, predictor.image_shape
        self.reading = predictor.reading
        known = [member.header["views"] for member in self.members if "views" in member.header]
        if len(known) < len(self.members):
            raise SsganError(
                "views: the classifier's file does not say how training shifted and flipped images; an "
                "earlier version wrote it. Leave views=true, or rule=views, out."
            )
        if predictor.takes_vectors:
            raise SsganError("views: vectors have none; leave views=true, or rule=views, out")
        self.moves = MOVES if all(views["shift"] for views in known) else MOVES[:1]
        self.flips = (False, True) if all(views["flip"] for views in known) else (False,)
        if len(self.moves) * len(self.flips) == 1:
            raise SsganError(
                "views: the classifier was trained on images neither moved nor flipped; leave views=true, or rule=views, out"
            )

    @property
    def members(self) -> tuple[Classifier, ...]:
        return self.predictor.members

    def to(self, device: torch.device | str) -> Self:
        self.predictor.to(device)
        return self

    def answers(self, images: Tensor | np.ndarray[Any, Any]) -> Answers:
        return mean_answers(self.each(images))

    def each(self, images: Tensor | np.ndarray[Any, Any]) -> list[Answers]:
        """What the predictor says of each view, that of the image as it is first."""
        parts = in_parts(self.checked(as_tensor(images)))  # a view of all of them would be a copy
        found = []
        for move, flip in product(self.moves, self.flips):
            of_parts = [self.predictor.answers(moved(part, move, flip)) for part in parts]
            found.append(Answers(*map(torch.cat, zip(*of_parts, strict=True))))
        return found


def moved(images: Tensor, pixels: int, flip: bool) -> Tensor:
    """``images`` (N, C, H, W) moved by so many pixels down and to the right, what is left open filled by reflection."""
    rows, columns = (reflect_indices(torch.arange(side) - pixels, side) for side in images.shape[2:])
    return images[:, :, rows][:, :, :, columns.flip(0) if flip else columns]
