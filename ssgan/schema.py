"""The schema of every command's configuration: which keys there are and of what type. Their values are in conf/."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

_CHECKOUT = Path(__file__).resolve().parents[1]
_IN_CHECKOUT = (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "conf").is_dir()

CONFIG_DIR = str(_CHECKOUT / "conf" if _IN_CHECKOUT else Path(__file__).resolve().parent / "conf")
"""The absolute path of conf/: the checkout's own, else the copy that ships in the wheel."""


@dataclass
class DatasetConfig:
    _target_: str = MISSING
    name: str = MISSING


@dataclass
class FilesDatasetConfig(DatasetConfig):
    """A data set that is read from ``data_dir``."""

    data_dir: str = MISSING
    download: bool = MISSING


@dataclass
class NpzDatasetConfig(DatasetConfig):
    """A user's own arrays."""

    path: str = MISSING


@dataclass
class FolderDatasetConfig(NpzDatasetConfig):
    """A user's own pictures."""

    size: int = MISSING
    channels: int = MISSING
    strict: bool = MISSING


@dataclass
class ClassifierConfig:
    """What every classifier has."""

    _target_: str = MISSING
    init_std: float = MISSING
    minibatch_kernels: int = MISSING
    minibatch_dims: int = MISSING


@dataclass
class GeneratorConfig:
    """What every generator has."""

    _target_: str = MISSING
    latent: int = MISSING
    norm: str = MISSING
    reference: int = MISSING


@dataclass
class NoisyClassifierConfig(ClassifierConfig):
    input_noise: float = MISSING
    hidden_noise: float = MISSING


@dataclass
class MLPClassifierConfig(NoisyClassifierConfig):
    hidden: list[int] = MISSING


@dataclass
class MLPGeneratorConfig(GeneratorConfig):
    hidden: list[int] = MISSING
    output: str = MISSING


@dataclass
class DCGANClassifierConfig(NoisyClassifierConfig):
    width: int = MISSING


@dataclass
class DCGANGeneratorConfig(GeneratorConfig):
    width: int = MISSING
    init_std: float = MISSING


@dataclass
class ConvClassifierConfig(ClassifierConfig):
    rows: list[Any] = MISSING
    output_std: float = MISSING


@dataclass
class ResNetClassifierConfig(ClassifierConfig):
    stem: int = MISSING
    stages: list[Any] = MISSING
    dropout: float = MISSING


@dataclass
class ConvGeneratorConfig(GeneratorConfig):
    channels: list[int] = MISSING
    size: int = MISSING
    init_std: float = MISSING


@dataclass
class NetConfig:
    initialization_images: int = MISSING
    start_from_mean: bool = MISSING


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
class ResNetConfig(NetConfig):
    classifier: ResNetClassifierConfig = field(default_factory=ResNetClassifierConfig)
    generator: ConvGeneratorConfig = field(default_factory=ConvGeneratorConfig)


@dataclass
class AdamConfig:
    _target_: str = MISSING
    _partial_: bool = MISSING
    lr: float = MISSING
    betas: list[float] = MISSING
    eps: float = MISSING
    fused: bool = MISSING


@dataclass
class MethodConfig:
    """What every method has: how long, in which batches and in which number format it trains, and its averages."""

    _target_: str = MISSING
    name: str = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    labeled_batch_size: int = MISSING
    precision: str = MISSING
    uses_labels: bool = MISSING
    classifier_optimizer: AdamConfig = field(default_factory=AdamConfig)
    average_rate: float = MISSING
    ema_every: int = MISSING
    warm_up_epochs: float = MISSING
    constant_fraction: float = MISSING
    noise_pool: int = MISSING


@dataclass
class HistoricalAveragingConfig:
    """The weight of the penalty for each player; 0 for none."""

    classifier: float = MISSING
    generator: float = MISSING


@dataclass
class ImprovedGANConfig(MethodConfig):
    generator_optimizer: AdamConfig = field(default_factory=AdamConfig)
    unlabeled_weight: float = MISSING
    feature_norm: str = MISSING
    reuse_features: bool = MISSING
    pull_away_weight: float = MISSING
    consistency_weight: float = MISSING
    balance_weight: float = MISSING
    generator_loss: str = MISSING
    real_target: float = MISSING
    ramp_up_epochs: int = MISSING
    historical_averaging: HistoricalAveragingConfig = field(default_factory=HistoricalAveragingConfig)


@dataclass
class AugmentationConfig:
    shift: int = MISSING
    flip: bool = MISSING
    cutout: int = MISSING
    brightness: float = MISSING
    contrast: float = MISSING
    rotation: float = MISSING
    shear: float = MISSING
    zoom: float = MISSING


@dataclass
class CollapseWatchConfig:
    window: int = MISSING
    unsupervised_below: float = MISSING
    feature_matching_above: float = MISSING


@dataclass
class TrainerConfig:
    accelerator: str = MISSING
    strategy: str = MISSING
    limit_train_batches: int | None = MISSING
    samples_every: int = MISSING
    samples_count: int = MISSING
    checkpoint_minutes: float | None = MISSING


@dataclass
class FitConfig:
    dataset: DatasetConfig = MISSING
    net: NetConfig = MISSING
    method: MethodConfig = MISSING
    supervised: MethodConfig = MISSING
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    collapse_watch: CollapseWatchConfig = field(default_factory=CollapseWatchConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: Any = None
    devices: int = MISSING
    num_nodes: int = MISSING
    labels: int | str = MISSING
    balanced: bool = MISSING
    validation: int = MISSING
    split_seed: int = MISSING
    seed: int = MISSING
    baseline: bool = MISSING
    max_time: str | None = None
    dry_run: bool = MISSING
    name: str = MISSING
    data_dir: str = MISSING
    download: bool = MISSING
    runs_dir: str = MISSING


@dataclass
class ReadsDataConfig:
    """A command that reads a data set."""

    data_dir: str = MISSING
    download: bool = MISSING


@dataclass
class EvaluateConfig(ReadsDataConfig):
    classifier: str = MISSING
    dataset: DatasetConfig = MISSING


@dataclass
class PredictConfig:
    classifier: str = MISSING
    images: str = MISSING
    output: str = MISSING


@dataclass
class SampleConfig:
    checkpoint: str = MISSING
    output: str = MISSING
    count: int = MISSING
    per_row: int = MISSING
    scale: int = MISSING
    seed: int = MISSING


@dataclass
class TuringConfig(ReadsDataConfig):
    checkpoint: str = MISSING
    dataset: DatasetConfig = MISSING
    output: str = MISSING
    count: int = MISSING
    seed: int = MISSING
    feedback: bool = MISSING


@dataclass
class ScoreConfig(ReadsDataConfig):
    checkpoint: str = MISSING
    judge: str = MISSING
    dataset: Any = None
    samples: int = MISSING
    splits: int = MISSING
    seed: int = MISSING


@dataclass
class AblationConfig(ReadsDataConfig):
    runs: str = MISSING
    judge: str = MISSING
    output: str = MISSING
    samples: int = MISSING
    splits: int = MISSING


@dataclass
class ReportConfig(ReadsDataConfig):
    runs: str = MISSING
    output: str = MISSING
    readme: str | None = None


@dataclass
class DivergencesConfig:
    output: str = MISSING
    p: float = MISSING
    draws: list[int] = MISSING
    points: int = MISSING


def trained(config: DictConfig) -> list[str]:
    """The groups of keys of what a run trains: its method and, if there is one to compare it with, the baseline."""
    compares = config.baseline and config.method.uses_labels and config.method.name != "supervised"
    return ["method", "supervised"] if compares else ["method"]


def register() -> None:
    """Store the schemas under the names by which the files in conf/ refer to them."""
    store = ConfigStore.instance().store
    commands = (
        FitConfig,
        EvaluateConfig,
        PredictConfig,
        SampleConfig,
        ScoreConfig,
        TuringConfig,
        AblationConfig,
        ReportConfig,
        DivergencesConfig,
    )
    for command in commands:
        store(name=f"{command.__name__.removesuffix('Config').lower()}_schema", node=command)
    groups: dict[str, dict[str, type]] = {
        "dataset": {
            "embedded": DatasetConfig,
            "files": FilesDatasetConfig,
            "npz": NpzDatasetConfig,
            "folder": FolderDatasetConfig,
        },
        "net": {"mlp": MLPNetConfig, "dcgan": DCGANNetConfig, "conv": ConvNetConfig, "resnet": ResNetConfig},
        "method": {"improved_gan": ImprovedGANConfig, "supervised": MethodConfig},
    }
    for group, nodes in groups.items():
        for name, node in nodes.items():
            store(group=f"schema/{name}", name=group, node=node)
