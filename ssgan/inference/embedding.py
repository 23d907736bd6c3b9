"""Vectors of images, by a backbone that was trained on others; and a classifier of vectors that takes images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.inference.classifier import Answers, Classifier, Predictor
from ssgan.nets.pretrained import Backbone
from ssgan.pixels import as_tensor, scale_pixels

BATCH_PIXELS = 1 << 20
"""Pixels of the images, as the backbone sees them, that go through it together."""


@dataclass(frozen=True)
class Embedding:
    """How vectors were made: what a file of them and a classifier of them say."""

    backbone: str
    size: int
    weights: str | None
    digest: str
    """Of the weights (`Backbone.load`)."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Embedding":
        """The inverse of `to_json`; raises KeyError or TypeError for anything else."""
        weights = content["weights"]
        return cls(
            str(content["backbone"]),
            int(content["size"]),
            None if weights is None else str(weights),
            str(content["digest"]),
        )


class Embedder:
    """Images -> vectors, by the backbone ``name`` with ``weights``; ``embedding`` describes it."""

    def __init__(self, name: str, size: int, weights: str | None = None):
        self.backbone = Backbone(name, size)
        self.embedding = Embedding(name, size, weights, self.backbone.load(weights))
        self.backbone.requires_grad_(False).eval()

    @classmethod
    def described(cls, embedding: Embedding) -> "Embedder":
        """That of ``embedding``; raises `SsganError` if the weights are others now."""
        embedder = cls(embedding.backbone, embedding.size, embedding.weights)
        if embedder.embedding.digest != embedding.digest:
            raise SsganError(
                f"backbone {embedding.backbone}: its weights are not those that the classifier's vectors were made with "
                f"({embedder.embedding.digest}, not {embedding.digest})"
            )
        return embedder

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float in [0, 1], (N, 1 or 3, H, W) -> float32 (N, F)."""
        part, device = max(1, BATCH_PIXELS // self.embedding.size**2), next(self.backbone.parameters()).device
        batches = (scale_pixels(batch.to(device), (0.0, 1.0)) for batch in images.split(part))
        return torch.cat([self.backbone(batch).cpu() for batch in batches])

    def to(self, device: torch.device | str) -> Self:
        """Itself, with its backbone on ``device`` from now on."""
        self.backbone.to(device)
        return self


class EmbeddedPredictor(Predictor):
    """A classifier of vectors that takes images (N, 3, size, size), which its backbone makes vectors of."""

    def __init__(self, predictor: Predictor, embedder: Embedder):
        self.predictor, self.embedder = predictor, embedder
        self.header, self.class_names = predictor.header, predictor.class_names
        self.image_shape = (3, embedder.embedding.size, embedder.embedding.size)
        self.reading = predictor.reading

    @property
    def members(self) -> tuple[Classifier, ...]:
        return self.predictor.members

    def to(self, device: torch.device | str) -> Self:
        self.predictor.to(device)
        self.embedder.to(device)
        return self

    def answers(self, images: Tensor | np.ndarray[Any, Any]) -> Answers:
        return self.predictor.answers(self.embedder(self.checked(as_tensor(images))))


def taking_images(predictor: Predictor) -> Predictor:
    """``predictor``, if it takes images, or with the backbone before it that its file names; `SsganError` if it names none."""
    if not predictor.takes_vectors:
        return predictor
    described = predictor.header.get("embedding")
    if described is None:
        raise SsganError(
            "classifier: takes vectors, and its file does not say which backbone makes them of pictures; it was trained on "
            "vectors that ssgan.embed has not made. In Python it takes these: load_classifier(FILE).predict(x), x float (N, F)"
        )
    return EmbeddedPredictor(predictor, Embedder.described(Embedding.from_json(described)))
