"""Who looks at images for a score: any classifier file, or Inception where its weights can be had."""

from typing import Protocol

import torch
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import load_classifier
from ssgan.pixels import scale_pixels


class Judge(Protocol):
    """uint8 images (N, C, H, W) -> features (N, F) and log p(y | x) (N, K), both float32."""

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]: ...


class ClassifierJudge:
    """A classifier's own features and probabilities."""

    def __init__(self, classifier: Classifier):
        self.classifier, self.network = classifier, classifier.network

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(scale_pixels(images, self.network.pixel_range))
        logits = self.network.head(features).float() / self.classifier.temperature
        return features.float(), logits.log_softmax(1)


class InceptionJudge:
    """The Inception of the literature (torch-fidelity's port of the TensorFlow weights): 2048 features, 1008 logits."""

    def __init__(self) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise SsganError("judge=inception: needs torch-fidelity; pip install -e '.[fid]'") from error
        try:
            self.network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"]).eval()
        except OSError as error:
            raise SsganError(
                f"judge=inception: its weights cannot be loaded ({error}). Download them where there is a network, "
                f"or name a classifier file."
            ) from error

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.network(images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1))
        return features.float(), logits.float().log_softmax(1)


def load_judge(name: str, image_shape: tuple[int, ...]) -> Judge:
    """``name`` is "inception" or a classifier file for images of ``image_shape`` (else `SsganError`)."""
    if name == "inception":
        return InceptionJudge()
    classifier = load_classifier(name, "judge")
    if classifier.image_shape != tuple(image_shape):
        raise SsganError(
            f"judge={name}: judges images of {classifier.image_shape}, but these are {tuple(image_shape)}; "
            f"name a classifier of the generator's own data set"
        )
    return ClassifierJudge(classifier)
