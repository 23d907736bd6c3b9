"""Semi-supervised image classification with GANs (Salimans et al. 2016): a few labels, many images, one classifier file."""

__version__ = "0.1.0"

from ssgan.checkpoint import Classifier, load_classifier
from ssgan.errors import SsganError

__all__ = ["Classifier", "SsganError", "load_classifier"]
