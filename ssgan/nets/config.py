"""The keys of every network; their values are in conf/net."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ssgan.fields import key
from ssgan.nets.base import NORMS


@dataclass
class ClassifierConfig:
    """What every classifier has."""

    _target_: str = MISSING
    init_std: float = key(MISSING, "of initial weights", above=0)
    minibatch_kernels: int = key(MISSING, "of minibatch discrimination", at_least=0)
    minibatch_dims: int = key(MISSING, "of each kernel", at_least=1)


@dataclass
class GeneratorConfig:
    """What every generator has."""

    _target_: str = MISSING
    latent: int = key(MISSING, "numbers in z", at_least=1)
    norm: str = key(MISSING, "of hidden layers", choices=NORMS)
    reference: int = key(MISSING, "z in the reference batch of virtual batch norm", at_least=1)


@dataclass
class NoisyClassifierConfig(ClassifierConfig):
    input_noise: float = key(MISSING, "sd, in units of the pixel range", at_least=0)
    hidden_noise: float = key(MISSING, "sd of the noise of later layers", at_least=0)


@dataclass
class MLPClassifierConfig(NoisyClassifierConfig):
    hidden: list[int] = MISSING


@dataclass
class MLPGeneratorConfig(GeneratorConfig):
    hidden: list[int] = MISSING
    output: str = key(MISSING, "nonlinearity of the output", choices=("sigmoid", "softplus"))


@dataclass
class DCGANClassifierConfig(NoisyClassifierConfig):
    width: int = key(MISSING, "channels after the first halving", at_least=1)


@dataclass
class DCGANGeneratorConfig(GeneratorConfig):
    width: int = key(MISSING, "channels before the last doubling", at_least=1)
    init_std: float = key(MISSING, "of initial weights", above=0)


@dataclass
class ConvClassifierConfig(ClassifierConfig):
    rows: list[Any] = MISSING
    output_std: float = key(MISSING, "sd of initial logits", above=0)


@dataclass
class ResNetClassifierConfig(ClassifierConfig):
    stem: int = key(MISSING, "channels of the first convolution", at_least=1)
    stages: list[Any] = MISSING
    dropout: float = MISSING


@dataclass
class AirClassifierConfig:
    _target_: str = MISSING
    widths: list[int] = MISSING


@dataclass
class ConvGeneratorConfig(GeneratorConfig):
    channels: list[int] = key(
        MISSING, "before each doubling of the sides, the first of which is of what z is mapped to"
    )
    size: int = key(MISSING, "of a kernel", at_least=1)
    init_std: float = key(MISSING, "of initial weights", above=0)


@dataclass
class NetConfig:
    """A classifier and the generator that goes with it."""


@dataclass
class MLPNetConfig(NetConfig):
    classifier: MLPClassifierConfig = field(default_factory=MLPClassifierConfig)
    generator: MLPGeneratorConfig = field(default_factory=MLPGeneratorConfig)


@dataclass
class DCGANNetConfig(NetConfig):
    classifier: DCGANClassifierConfig = field(default_factory=DCGANClassifierConfig)
    generator: DCGANGeneratorConfig = field(default_factory=DCGANGeneratorConfig)


@dataclass
class ConvNetConfig(NetConfig):
    classifier: ConvClassifierConfig = field(default_factory=ConvClassifierConfig)
    generator: ConvGeneratorConfig = field(default_factory=ConvGeneratorConfig)


@dataclass
class AirNetConfig(NetConfig):
    classifier: AirClassifierConfig = field(default_factory=AirClassifierConfig)
    generator: ConvGeneratorConfig = field(default_factory=ConvGeneratorConfig)


@dataclass
class ResNetConfig(NetConfig):
    classifier: ResNetClassifierConfig = field(default_factory=ResNetClassifierConfig)
    generator: ConvGeneratorConfig = field(default_factory=ConvGeneratorConfig)
