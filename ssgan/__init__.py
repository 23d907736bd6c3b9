"""Semi-supervised image classification with GANs (Salimans et al. 2016): a few labels, many images, one classifier file."""

__version__ = "0.1.0"

from ssgan.checkpoint import load_classifier
from ssgan.classifier import Classifier, Ensemble
from ssgan.errors import SsganError

__all__ = ["Classifier", "Ensemble", "SsganError", "load_classifier"]
