"""Networks. A file may name a class that stands here, of the kind that is asked for, and nothing else."""

from ssgan.nets.air import AirClassifier
from ssgan.nets.conv import ConvClassifier, ConvGenerator
from ssgan.nets.dcgan import DCGANClassifier, DCGANGenerator
from ssgan.nets.mlp import MLPClassifier, MLPGenerator
from ssgan.nets.pretrained import PretrainedClassifier
from ssgan.nets.resnet import ResNetClassifier
from ssgan.nets.small import SmallClassifier

__all__ = [
    "AirClassifier",
    "ConvClassifier",
    "ConvGenerator",
    "DCGANClassifier",
    "DCGANGenerator",
    "MLPClassifier",
    "MLPGenerator",
    "PretrainedClassifier",
    "ResNetClassifier",
    "SmallClassifier",
]
