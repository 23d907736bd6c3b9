"""Networks. A classifier file may name a class that stands here and ends in Classifier, and nothing else."""

from ssgan.nets.mlp import MLPClassifier, MLPGenerator

__all__ = ["MLPClassifier", "MLPGenerator"]
