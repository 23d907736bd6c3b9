"""Trained classifiers as their users meet them: images in, classes and probabilities out."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import ImageClassifier
from ssgan.pixels import as_tensor, in_parts, levels_to_uint8, scale_pixels
from ssgan.reading import AS_IS, PictureReading

OUTLIER_SHARE = 0.01
"""Of the training pool, below whose log Z an image is an outlier, where nobody says otherwise."""

QUANTILES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Those of log Z over the training pool that a classifier file holds."""


class Answers(NamedTuple):
    """What a classifier says of N images."""

    log_probabilities: Tensor
    """log p(y | x, y < K+1), (N, K)."""
    log_z: Tensor
    """log Z(x), (N,): of a K+1 net, less the ``fake_logit`` of its file, the log-odds that an image is real (sec. 5); of any net lower for images unlike those of training."""


class Predictor:
    """What a trained classifier and an ensemble of them have in common."""

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    header: dict[str, Any]
    reading: PictureReading
    """How picture files become the pixels that it knows."""
    takes_vectors = False
    """It takes (N, F) floats in place of images."""

    @property
    def members(self) -> "tuple[Classifier, ...]":
        """The classifiers that answer together."""
        raise NotImplementedError

    def predict(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """Classes 0..K-1, int64 (N,), of images as `predict_proba` takes them."""
        return self.predict_proba(images).argmax(1)

    def predict_proba(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """p(y | x, y < K+1), float32 (N, K), each row summing to 1.

        ``images`` are uint8 0..255 or float in [0, 1]; (N, C, H, W), (N, H, W, C), or (N, H, W) where C is 1. A classifier
        of vectors takes float (N, F).
        Raises `SsganError`, a ValueError, for another type, shape or range.
        """
        return self.predict_log_proba(images).exp()

    def predict_log_proba(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """The logarithm of `predict_proba`, finite where a probability is too small for a float."""
        return self.answers(images).log_probabilities

    def log_z(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """log Z(x), float32 (N,), of images as `predict_proba` takes them: see `Answers`."""
        return self.answers(images).log_z

    def answers(self, images: Tensor | np.ndarray[Any, Any]) -> Answers:
        """Both at once, of images as `predict_proba` takes them."""
        raise NotImplementedError

    def to(self, device: torch.device | str) -> Self:
        """Itself, with its networks on ``device`` from now on; what it says comes back to the CPU."""
        raise NotImplementedError

    def outlier_threshold(self, share: float = OUTLIER_SHARE) -> float:
        """The log Z below which this ``share`` of the training pool lies; raises `SsganError` for a file that does not say it."""
        known = self.header.get("log_z_quantiles", {})
        if not known:
            raise SsganError(
                "classifier: its file has no log Z quantiles of the training images: an earlier version wrote it, or "
                "ssgan.save_classifier without them. Use outliers=0."
            )
        shares, values = zip(*sorted((float(at), float(value)) for at, value in known.items()), strict=True)
        if not shares[0] <= share <= shares[-1]:
            raise SsganError(f"outliers={share}: use {shares[0]} to {shares[-1]}, or 0 for none")
        return float(np.interp(share, shares, values))

    @property
    def module(self) -> nn.Module:
        """uint8 (N, C, H, W) -> p(y | x), as one module to trace, compile or export (`ssgan.inference.graphs`)."""
        from ssgan.inference.graphs import ImagesToProbabilities, members_of

        return ImagesToProbabilities(members_of(self))

    def checked(self, images: Tensor) -> Tensor:
        """``images`` as `predict_proba` takes them, as (N, C, H, W); raises `SsganError` for others."""
        channels, height, width = self.image_shape
        if self.takes_vectors:
            return checked_vectors(images, channels)
        if images.shape[1:] == (height, width, channels) != self.image_shape:
            images = images.permute(0, 3, 1, 2)
        elif channels == 1 and images.shape[1:] == (height, width):
            images = images.unsqueeze(1)
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            also = f", (N, {height}, {width})" if channels == 1 else ""
            raise SsganError(
                f"images have the shape {tuple(images.shape)}; this classifier takes (N, {channels}, {height}, {width}), "
                f"(N, {height}, {width}, {channels}){also}"
            )
        if images.dtype == torch.uint8:
            return images
        if not images.is_floating_point() and self.reading.levels:  # it learned from such ones
            parts = [levels_to_uint8(part.cpu().numpy(), self.reading.levels) for part in in_parts(images)]
            return torch.from_numpy(np.concatenate(parts))
        if not images.is_floating_point():
            raise SsganError(f"images are {images.dtype}; use uint8 in 0..255 or float in [0, 1]")
        if len(images) and not (images.min() >= 0 and images.max() <= 1):  # also false for NaN
            raise SsganError("float images must lie in [0, 1]; divide by 255, or pass uint8")
        return images


class Classifier(Predictor):
    """A trained classifier with what it needs to know about its images.

    ``network`` takes images in ``pixel_range`` and gives logits; ``header`` is the file's header, whose ``temperature``, 1 if there is
    none, divides them (`fit_temperature`). Raises KeyError, TypeError or ValueError for a header that is not of this network.
    """

    def __init__(self, network: ImageClassifier, header: dict[str, Any]):
        self.network, self.header = network, header
        self.takes_vectors = network.standardized
        self.class_names = tuple(map(str, header["class_names"]))
        channels, height, width = map(int, header["image_shape"])
        self.image_shape = (channels, height, width)
        low, high = map(float, header["pixel_range"])
        self.pixel_range = (low, high)
        self.reading = PictureReading.from_json(header["reading"]) if "reading" in header else AS_IS
        self.temperature = float(header.get("temperature", 1.0))
        if not self.temperature > 0:
            raise ValueError(f"a temperature of {self.temperature}")
        if len(self.class_names) != network.arguments["classes"]:
            raise ValueError(f"{len(self.class_names)} class names for {network.arguments['classes']} classes")
        if self.image_shape != tuple(network.arguments["image_shape"]) or self.pixel_range != network.pixel_range:
            raise ValueError("image shape or pixel range differ from the network's")

    @property
    def members(self) -> "tuple[Classifier, ...]":
        return (self,)

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    @torch.inference_mode()
    def answers(self, images: Tensor | np.ndarray[Any, Any]) -> Answers:
        device = next(self.network.parameters()).device
        checked = self.checked(as_tensor(images))
        if not len(checked):  # not every network takes none
            return Answers(torch.empty(0, len(self.class_names)), torch.empty(0))
        parts = in_parts(checked)
        logits = torch.cat([self.network(self.to_network_range(part.to(device))) for part in parts]).float()
        return Answers((logits / self.temperature).log_softmax(1).cpu(), logits.logsumexp(1).cpu())

    def to_network_range(self, images: Tensor) -> Tensor:
        """Images as `checked` returns them in the network's pixel range, float32."""
        if images.dtype == torch.uint8:
            return scale_pixels(images, self.pixel_range)
        low, high = self.pixel_range
        return images.float() if self.takes_vectors else images.float() * (high - low) + low


def checked_vectors(vectors: Tensor, numbers: int) -> Tensor:
    """Float (N, F) or (N, F, 1, 1) as (N, F, 1, 1) float32."""
    if vectors.ndim not in (2, 4) or vectors.shape[1:].numel() != numbers or not vectors.is_floating_point():
        raise SsganError(
            f"vectors have the shape {tuple(vectors.shape)} of {vectors.dtype}; this classifier takes floats, (N, {numbers})"
        )
    if not vectors.isfinite().all():
        raise SsganError("vectors hold NaN or infinite values")
    return vectors.float().view(-1, numbers, 1, 1)


def embedding_id(embedding: Mapping[str, Any] | None) -> str:
    """Backbone, pixels a side and digest of the weights that made vectors of images; '' for others."""
    described = embedding or {}
    return " ".join(str(described[key]) for key in ("backbone", "size", "digest") if key in described)
