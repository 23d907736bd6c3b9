"""Classifier files: safetensors with a JSON header; and the generator of a training checkpoint. Reading executes nothing.

The header (one JSON object under the safetensors metadata key ``ssgan``) has: ``format``, ``package_version``,
``network`` ({``class``, ``arguments``}), ``class_names``, ``image_shape`` (C, H, W), ``pixel_range``, and what the
writer adds (data set, method, split digest, errors).
"""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import ssgan.nets
from ssgan.errors import SsganError
from ssgan.files import write_atomically
from ssgan.nets.contract import ImageClassifier, ImageGenerator
from ssgan.pixels import scale_pixels

FORMAT = 1
BATCH = 1000
Network = TypeVar("Network", ImageClassifier, ImageGenerator)


def save_classifier(path: str | Path, network: ImageClassifier, class_names: Sequence[str], **record: Any) -> None:
    """Write ``network``, a classifier of `ssgan.nets`, as a classifier file; ``record`` goes into the header."""
    from ssgan import __version__

    header = {
        "format": FORMAT,
        "package_version": __version__,
        "network": describe(network),
        "class_names": list(class_names),
        "image_shape": network.arguments["image_shape"],
        "pixel_range": list(network.pixel_range),
        **record,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(tensors, metadata={"ssgan": json.dumps(header)}))


def load_classifier(path: str | Path) -> "Classifier":
    """The classifier in a file that `save_classifier` wrote, on the CPU.

    Raises `SsganError` for a file that is missing, truncated, of another version, or not one of ours.
    """
    if not Path(path).is_file():
        raise SsganError(f"classifier={path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SsganError(
            f"classifier={path}: not a whole safetensors file ({error}). Copy or export it again."
        ) from error
    if "ssgan" not in metadata:
        raise SsganError(f"classifier={path}: a safetensors file, but not a classifier of ssgan")
    try:
        header = json.loads(metadata["ssgan"])
        version = header["format"]
        if version == FORMAT:
            return Classifier(rebuild(header["network"], tensors, ImageClassifier), header)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError, RecursionError) as error:
        raise SsganError(
            f"classifier={path}: its header does not describe its tensors ({error}). Export it again."
        ) from error
    raise SsganError(
        f"classifier={path}: format {version!r}, written by ssgan {header.get('package_version')}; this version reads "
        f"format {FORMAT}. Install the version that wrote it, or export it again."
    )


def load_generator(path: str | Path) -> ImageGenerator:
    """The averaged generator of a ``last.ckpt``, read without unpickling objects; raises `SsganError` if it has none."""
    if not Path(path).is_file():
        raise SsganError(f"checkpoint={path}: no such file")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        prefix = "averaged_generator.module."
        weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
        return rebuild(checkpoint["generator"], weights, ImageGenerator)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SsganError(
            f"checkpoint={path}: not a whole checkpoint with a generator ({reason}). Name the last.ckpt of a run."
        ) from error


def describe(network: ImageClassifier | ImageGenerator) -> dict[str, Any]:
    """What `rebuild` needs, beside the weights, to make ``network`` again; plain enough for JSON."""
    return {"class": type(network).__name__, "arguments": network.arguments}


def rebuild(described: dict[str, Any], tensors: dict[str, Tensor], kind: type[Network]) -> Network:
    """The network that a file describes, frozen, around the file's own tensors, if it is one of ours of that ``kind``.

    On the meta device nothing is allocated: sizes that the file's tensors do not have are refused at no cost.
    """
    name = described["class"]
    if name not in ssgan.nets.__all__ or not issubclass(getattr(ssgan.nets, name), kind):
        raise ValueError(f"{name!r} is no {kind.__name__.removeprefix('Image').lower()} of ssgan.nets")
    with torch.device("meta"):
        built: Network = getattr(ssgan.nets, name)(**described["arguments"])
    built.load_state_dict(tensors, strict=True, assign=True)
    return built.requires_grad_(False).eval()


class Classifier:
    """A trained classifier with what it needs to know about its images.

    ``network`` takes images in ``pixel_range`` and gives logits; ``header`` is the file's header.
    """

    def __init__(self, network: ImageClassifier, header: dict[str, Any]):
        self.network, self.header = network, header
        self.class_names = tuple(map(str, header["class_names"]))
        channels, height, width = map(int, header["image_shape"])
        self.image_shape = (channels, height, width)
        low, high = map(float, header["pixel_range"])
        self.pixel_range = (low, high)
        if len(self.class_names) != network.arguments["classes"]:
            raise ValueError(f"{len(self.class_names)} class names for {network.arguments['classes']} classes")
        if self.image_shape != tuple(network.arguments["image_shape"]) or self.pixel_range != network.pixel_range:
            raise ValueError("image shape or pixel range differ from the network's")

    def predict(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """Classes 0..K-1, int64 (N,), of images as `predict_proba` takes them."""
        return self.predict_proba(images).argmax(1)

    def predict_proba(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """p(y | x, y < K+1), float32 (N, K), each row summing to 1.

        ``images`` are uint8 0..255 or float in [0, 1]; (N, C, H, W), (N, H, W, C), or (N, H, W) where C is 1.
        Raises `SsganError`, a ValueError, for another type, shape or range.
        """
        return self.predict_log_proba(images).exp()

    @torch.inference_mode()
    def predict_log_proba(self, images: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """The logarithm of `predict_proba`, finite where a probability is too small for a float."""
        device = next(self.network.parameters()).device
        logits = [
            self.network(self._scaled(part.to(device))) for part in self._checked(torch.as_tensor(images)).split(BATCH)
        ]
        return torch.cat(logits).float().log_softmax(1).cpu() if logits else torch.empty(0, len(self.class_names))

    def _scaled(self, images: Tensor) -> Tensor:
        if images.dtype == torch.uint8:
            return scale_pixels(images, self.pixel_range)
        low, high = self.pixel_range
        return images.float() * (high - low) + low

    def _checked(self, images: Tensor) -> Tensor:
        channels, height, width = self.image_shape
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
