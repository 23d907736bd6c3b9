"""Trained classifiers as their users meet them: images in, classes and probabilities out."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssgan.errors import SsganError
from ssgan.nets.base import ImageClassifier
from ssgan.pixels import in_parts, scale_pixels
from ssgan.reading import AS_IS, PictureReading


class Predictor:
    """What a trained classifier and an ensemble of them have in common."""

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    header: dict[str, Any]
    reading: PictureReading
    """How picture files become the pixels that it knows."""
    takes_vectors = False
    """It takes (N, F) floats in place of images."""
    size = 1
    """How many classifiers answer together."""

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
        raise NotImplementedError

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
        if not images.is_floating_point():
            raise SsganError(f"images are {images.dtype}; use uint8 in 0..255 or float in [0, 1]")
        if len(images) and not (images.min() >= 0 and images.max() <= 1):  # also false for NaN
            raise SsganError("float images must lie in [0, 1]; divide by 255, or pass uint8")
        return images


class Classifier(Predictor):
    """A trained classifier with what it needs to know about its images.

    ``network`` takes images in ``pixel_range`` and gives logits; ``header`` is the file's header.
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
        if len(self.class_names) != network.arguments["classes"]:
            raise ValueError(f"{len(self.class_names)} class names for {network.arguments['classes']} classes")
        if self.image_shape != tuple(network.arguments["image_shape"]) or self.pixel_range != network.pixel_range:
            raise ValueError("image shape or pixel range differ from the network's")

    @torch.inference_mode()
    def predict_log_proba(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        device = next(self.network.parameters()).device
        parts = in_parts(self.checked(torch.as_tensor(images)))
        logits = torch.cat([self.network(self._scaled(part.to(device))) for part in parts])
        return logits.float().log_softmax(1).cpu()

    def _scaled(self, images: Tensor) -> Tensor:
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


class Ensemble(Predictor):
    """Several classifiers whose probabilities are averaged, as in the paper's ensembles of ten (sec. 6, tables 1 and 2).

    Its ``header`` is that of the first.
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
            if member.reading != first.reading:
                raise SsganError(
                    f"classifiers that read pictures as {first.reading} and {member.reading} make no ensemble"
                )
        self.members, self.size, self.header = tuple(members), len(members), first.header
        self.class_names, self.image_shape, self.reading = first.class_names, first.image_shape, first.reading
        self.takes_vectors = first.takes_vectors

    def predict_log_proba(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        return log_mean([member.predict_log_proba(images) for member in self.members])


def log_mean(each: Sequence[Tensor]) -> Tensor:
    """log of the mean probability, of log-probabilities (N, K) and computed from them."""
    return torch.stack(list(each)).logsumexp(0) - math.log(len(each))
