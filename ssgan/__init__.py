"""Semi-supervised image classification with GANs (Salimans et al. 2016): a few labels, many images, one classifier file."""

__version__ = "0.1.0"

from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier, Ensemble
from ssgan.inference.classifier_file import load_classifier

__all__ = ["Classifier", "Ensemble", "SsganError", "load_classifier"]
