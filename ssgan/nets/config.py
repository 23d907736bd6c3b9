"""The keys of every network and their values; conf/net has further networks, as changes of these."""

from dataclasses import dataclass
from typing import Any

from ssgan.fields import key
from ssgan.nets.base import NORMS


@dataclass
class ClassifierConfig:
    """What the paper's classifiers have."""

    minibatch_kernels: int = key(
        0, "of minibatch discrimination, 0: none; the paper's networks for pictures have 50 to 100", at_least=0
    )
    minibatch_dims: int = key(5, "of each kernel; authors' code", at_least=1)


@dataclass
class GeneratorConfig:
    """What every generator has."""

    latent: int = key(100, "numbers in z, uniform in [0, 1]", at_least=1)
    norm: str = key(
        "batch", "of hidden layers: batch norm, weight norm, or virtual batch norm, each without gain", choices=NORMS
    )
    reference: int = key(100, "z in the reference batch of virtual batch norm", at_least=1)


@dataclass
class MLPClassifierConfig(ClassifierConfig):
    """The classifier of the authors' train_mnist_feature_matching.py."""

    _target_: str = "ssgan.nets.MLPClassifier"
    hidden: list[int] = key([1000, 500, 250, 250, 250], "units of every layer but the last")
    input_noise: float = key(0.3, "sd, in units of the pixel range [0, 1]", at_least=0)
    hidden_noise: float = key(0.5, "sd of the noise that every later layer sees", at_least=0)
    init_std: float = key(0.1, "sd of the weights before they are normalized", above=0)


@dataclass
class VectorClassifierConfig(MLPClassifierConfig):
    """For vectors: embeddings, rows of a table, spectra."""

    hidden: list[int] = key([512, 256], "units of every layer but the last")
    input_noise: float | None = key(  # type: ignore[assignment]
        None, "in standard deviations of each number; null: 0.11 times the root of their count, at most 2", at_least=0
    )
    standardized: bool = key(True, "each number to mean 0 and sd 1, by the unlabeled pool")


@dataclass
class MLPGeneratorConfig(GeneratorConfig):
    """The generator of the authors' train_mnist_feature_matching.py, but for its first bias."""

    _target_: str = "ssgan.nets.MLPGenerator"
    hidden: list[int] = key([500, 500], "units of every layer but the last")
    output: str = key(
        "sigmoid", "nonlinearity of the output; authors' code: sigmoid", choices=("sigmoid", "softplus", "standardized")
    )


@dataclass
class VectorGeneratorConfig(MLPGeneratorConfig):
    """For vectors."""

    output: str = key("standardized", "scaled to the sd and mean of the unlabeled pool")


@dataclass
class DCGANClassifierConfig(ClassifierConfig):
    """The shape of DCGAN with few channels, for images whose sides halve at least once (28, 32, 64)."""

    _target_: str = "ssgan.nets.DCGANClassifier"
    width: int = key(16, "channels after the first halving; DCGAN: 64 to 128", at_least=1)
    input_noise: float = key(0.1, "sd, in units of the pixel range [-1, 1]", at_least=0)
    hidden_noise: float = key(0.3, "sd of the noise that every later layer sees", at_least=0)
    init_std: float = key(0.05, "of initial weights; authors' CIFAR code", above=0)


@dataclass
class DCGANGeneratorConfig(GeneratorConfig):
    """The shape of DCGAN with few channels, for images whose sides halve at least once (28, 32, 64)."""

    _target_: str = "ssgan.nets.DCGANGenerator"
    width: int = key(16, "channels before the last doubling", at_least=1)
    init_std: float = key(0.05, "of initial weights; authors' CIFAR code", above=0)


@dataclass
class ConvClassifierConfig(ClassifierConfig):
    """For 32x32 pixels (or other sides that 8 divides) on CPU cores: it halves at once and has few channels at many places.

    More channels were behind after the same time: on SVHN half as many again, on CIFAR-10 twice as many
    (benchmarks/README.md).
    """

    _target_: str = "ssgan.nets.ConvClassifier"
    rows: list[Any] = key(
        [
            [32, 4, 2, 1],
            [32, 3, 1, 1],
            0.1,
            [64, 3, 2, 1],
            [64, 3, 1, 1],
            0.3,
            [128, 3, 1, 0],
            [128, 1, 1, 0],
        ],
        "channels, kernel size, stride, padding of each convolution; or a dropout",
    )
    init_std: float = key(0.05, "of initial weights; authors' code", above=0)
    output_std: float = key(0.1, "sd of initial logits; authors' code", above=0)


@dataclass
class ConvGeneratorConfig(GeneratorConfig):
    """The shape of the authors' generator for SVHN and CIFAR-10 with a quarter of its channels."""

    _target_: str = "ssgan.nets.ConvGenerator"
    channels: list[int] = key([128, 64, 32], "before each upsampling by 2; the first is what z is projected to")
    size: int = key(4, "of a kernel", at_least=1)
    init_std: float = key(0.05, "of initial weights; authors' code", above=0)


@dataclass
class ResNetClassifierConfig(ClassifierConfig):
    """WRN-28-2 (Zagoruyko and Komodakis 2016), usual in comparisons of semi-supervised methods (Oliver et al. 2018).

    For GPUs. Not run to its end here.
    """

    _target_: str = "ssgan.nets.ResNetClassifier"
    stem: int = key(16, "channels of the first convolution", at_least=1)
    stages: list[Any] = key([[32, 4, 1], [64, 4, 2], [128, 4, 2]], "channels, blocks, stride of the first")
    dropout: float = key(0.0, "between the convolutions of a block")
    init_std: float = key(0.05, "of the output layer", above=0)


@dataclass
class AirClassifierConfig:
    """The shape of airbench94, for SGD with Nesterov momentum (preset/cifar10_classifier)."""

    _target_: str = "ssgan.nets.AirClassifier"
    widths: list[int] = key([64, 128, 256], "channels of the three blocks; airbench94: 64, 256, 256")


@dataclass
class SmallClassifierConfig:
    """A small network with batch norm for gray digits of 8x8 (or, with a ``stride`` of 2, 28x28) pixels."""

    _target_: str = "ssgan.nets.SmallClassifier"
    widths: list[int] = key(
        [24, 48], "channels of the blocks of two convolutions, each of which ends by halving the sides"
    )
    stride: int = key(1, "of the first convolution", at_least=1)


@dataclass
class PretrainedClassifierConfig:
    """A backbone that was trained on other images, all of which is trained further; see `ssgan.nets.pretrained`."""

    _target_: str = "ssgan.nets.PretrainedClassifier"
    name: str = key(
        "efficientnet_lite0", "a model of torchvision.models, efficientnet_lite0, or timm: and a model of timm"
    )
    size: int = key(112, "pixels that images are resized to, both ways", at_least=32)
    weights: str | None = key(None, "the file of its weights; null: a package's, or downloaded ones")


CLASSIFIERS: dict[str, type[Any]] = {
    "lean": ConvClassifierConfig,
    "air": AirClassifierConfig,
    "dcgan": DCGANClassifierConfig,
    "mnist": MLPClassifierConfig,
    "pretrained": PretrainedClassifierConfig,
    "small": SmallClassifierConfig,
    "vectors": VectorClassifierConfig,
    "wrn_28_2": ResNetClassifierConfig,
}
"""The choices of ``net/classifier=``, beside the files of conf/net/classifier."""

GENERATORS: dict[str, type[GeneratorConfig]] = {
    "lean": ConvGeneratorConfig,
    "dcgan": DCGANGeneratorConfig,
    "mnist": MLPGeneratorConfig,
    "vectors": VectorGeneratorConfig,
}
"""The choices of ``net/generator=``, beside the files of conf/net/generator."""
