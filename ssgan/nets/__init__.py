"""Networks. A file may name a class that stands here, of the kind that is asked for, and nothing else."""

from ssgan.nets.dcgan import DCGANClassifier, DCGANGenerator
from ssgan.nets.mlp import MLPClassifier, MLPGenerator

__all__ = ["DCGANClassifier", "DCGANGenerator", "MLPClassifier", "MLPGenerator"]
