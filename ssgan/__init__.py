"""Semi-supervised image classification (FixMatch, MixMatch, GANs): a few labels, many images, one classifier file."""

from typing import TYPE_CHECKING, Any

from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import load_classifier, save_classifier
from ssgan.inference.ensemble import Ensemble
from ssgan.version import __version__

if TYPE_CHECKING:
    from ssgan.training.api import TrainingResult, inspect, train

__all__ = [
    "Classifier",
    "Ensemble",
    "SsganError",
    "TrainingResult",
    "__version__",
    "inspect",
    "load_classifier",
    "save_classifier",
    "train",
]


def __getattr__(name: str) -> Any:
    """What needs Lightning and Hydra is imported when it is asked for: using a classifier needs neither."""
    if name in ("TrainingResult", "inspect", "train"):
        from ssgan.training import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
