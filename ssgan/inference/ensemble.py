"""Several trained classifiers as one."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.inference.classifier import Answers, Classifier, Predictor, embedding_id


class Ensemble(Predictor):
    """Several classifiers whose probabilities are averaged, as in the paper's ensembles of ten (sec. 6, tables 1 and 2).

    Its ``header`` and its log Z are those of the first. Raises `SsganError` for no classifiers, and for some that differ in classes,
    images, the backbone of their vectors or how they read pictures.
    """

    def __init__(self, members: Sequence[Classifier]):
        if not members:
            raise SsganError("classifier=[]: an ensemble needs one file or more")
        first = members[0]
        for member in members:
            if (member.class_names, member.image_shape) != (first.class_names, first.image_shape):
                raise SsganError(
                    f"classifiers of {len(first.class_names)} classes of {first.image_shape} images "
                    f"({', '.join(first.class_names)}) and of {len(member.class_names)} classes of "
                    f"{member.image_shape} images ({', '.join(member.class_names)}) make no ensemble"
                )
            ours, theirs = (embedding_id(one.header.get("embedding")) for one in (first, member))
            if ours != theirs:
                raise SsganError(f"classifiers of vectors that {ours} and {theirs} made make no ensemble")
            if member.reading != first.reading:
                raise SsganError(
                    f"classifiers that read pictures as {first.reading} and {member.reading} make no ensemble"
                )
        self.classifiers, self.header = tuple(members), first.header
        self.class_names, self.image_shape, self.reading = first.class_names, first.image_shape, first.reading
        self.takes_vectors = first.takes_vectors

    @property
    def members(self) -> tuple[Classifier, ...]:
        return self.classifiers

    def to(self, device: torch.device | str) -> Self:
        for member in self.members:
            member.to(device)
        return self

    def answers(self, images: Tensor | np.ndarray[Any, Any]) -> Answers:
        return mean_answers([member.answers(images) for member in self.members])


def mean_answers(each: Sequence[Answers]) -> Answers:
    """The mean probability, computed from logarithms, and the log Z of the first: that of a mean has less spread than the training
    images' that a file knows.
    """
    log_probabilities = torch.stack([answers.log_probabilities for answers in each])
    return Answers(log_probabilities.logsumexp(0) - math.log(len(each)), each[0].log_z)
