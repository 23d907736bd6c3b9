"""Backbones that were trained on other images: as classifiers to fine-tune, and as makers of vectors."""

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssgan.errors import SsganError, first_line
from ssgan.nets.base import ImageClassifier, capture_init_args, channels_last
from ssgan.nets.model_zoo import make_model, own_weights, read_weights


class Backbone(nn.Module):
    """Images (N, 1 or 3, H, W) in [0, 1] -> features (N, F) of the model ``name``, before its classifier.

    ``name`` is a model of torchvision.models ("resnet18"), `ssgan.nets.model_zoo.LITE0`, or "timm:" and a model of timm.
    Images are made color, resized to ``size`` x ``size`` pixels, bilinear and antialiased, and normalized as those were that the
    model learned from. Weights are random before `load`. Raises `SsganError` for a name that is none of these, for images of a size that the model does not take,
    and where the package is missing that has it.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, name: str, size: int = 224):
        super().__init__()
        if size < 32:
            raise SsganError(f"size={size}: backbones want images of 32 pixels or more")
        self.name, self.size = name, size
        self.body, self.numbers, mean, sd = make_model(name)
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
        state = read_weights(weights) if weights else own_weights(self.name)
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
        images = images.float().expand(-1, 3, -1, -1)  # in half precision a CPU resizes nothing
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
