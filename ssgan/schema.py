"""The keys of a run and of data sets, and their types; their values are in conf/."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from ssgan.fields import key

_CHECKOUT = Path(__file__).resolve().parents[1]
_IN_CHECKOUT = (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "conf").is_dir()

CONFIG_DIR = str(_CHECKOUT / "conf" if _IN_CHECKOUT else Path(__file__).resolve().parent / "conf")
"""The absolute path of conf/: the checkout's own, else the copy that ships in the wheel."""


@dataclass
class DatasetConfig:
    _target_: str = MISSING
    name: str = key(MISSING, "names the run's folder and the data set in files")


@dataclass
class TorchvisionDatasetConfig(DatasetConfig):
    """A data set of torchvision's, from <data_dir>/<kind>.npz (in lower case) or torchvision's own files there."""

    kind: str = key(MISSING, "the class of torchvision.datasets")
    image_shape: list[int] = key(MISSING, "channels, height, width")
    class_names: list[str] = key(MISSING, "in the order of the targets")
    data_dir: str = MISSING
    download: bool = MISSING


@dataclass
class OwnDatasetConfig(DatasetConfig):
    """A user's own images."""

    path: str = MISSING
    strict: bool = MISSING


@dataclass
class NpzDatasetConfig(OwnDatasetConfig):
    """A user's own arrays."""

    class_names: list[str] | None = MISSING
    no_label: int | str | None = MISSING


@dataclass
class FolderDatasetConfig(OwnDatasetConfig):
    """A user's own pictures."""

    size: int = MISSING
    channels: int = MISSING
    background: int = key(MISSING, "gray level behind transparent pictures; 255: white", at_least=0, at_most=255)


@dataclass
class TableDatasetConfig(FolderDatasetConfig):
    """A user's own pictures, named in a table."""

    path_column: str = MISSING
    label_column: str = MISSING
    split_column: str = MISSING
    class_names: list[str] | None = MISSING
    no_label: int | str | None = MISSING


@dataclass
class CollapseWatchConfig:
    window: int = key(300, "steps between two looks; a sign has to last as long", at_least=1)
    d_generated_below: float = key(
        0.05, "mean D of generated images in training; healthy runs: 0.1-0.5", at_least=0, at_most=1
    )
    distinct_below: float = key(
        0.05, "different nearest training images, as a share of those of real images; 0: any", at_least=0, at_most=1
    )
    one_class_above: float = key(0.98, "share of unlabeled images that one class takes; 1: any", at_least=0, at_most=1)


@dataclass
class TrainerConfig:
    accelerator: str = key(MISSING, "auto, cpu or gpu")
    strategy: str = key(MISSING, "one process, or ddp", choices=("auto", "ddp"))
    limit_train_batches: int | None = key(MISSING, "steps per epoch, to cut epochs short", at_least=1)
    samples_every: int = key(MISSING, "epochs between two grids of generated images", at_least=1)
    samples_count: int = key(MISSING, "images in a grid", at_least=1)
    checkpoint_minutes: float | None = key(MISSING, "between two checkpoints; null: only after every epoch", at_least=0)


@dataclass
class NetConfig:
    """A classifier and the generator that goes with it, of `ssgan.nets.config`."""

    classifier: Any = MISSING
    generator: Any = MISSING


@dataclass
class BudgetConfig:
    """What ``budget=`` changes of the preset."""

    epochs: int | None = key(None, "of method.epochs; null: there is no such budget", at_least=1)
    ramp_up_epochs: int | None = key(
        None, "of method.ramp_up_epochs; null: the method's own, or half of the epochs", at_least=0
    )
    warm_up_epochs: float = key(0.0, "of method.warm_up_epochs", at_least=0)


@dataclass
class BudgetsConfig:
    """Training times beside the preset's own, which is ``budget=standard``."""

    quick: BudgetConfig = field(default_factory=BudgetConfig)
    long: BudgetConfig = field(default_factory=BudgetConfig)


@dataclass
class FitConfig:
    dataset: DatasetConfig = MISSING
    net: NetConfig = field(default_factory=NetConfig)
    method: Any = MISSING
    augmentation: Any = MISSING
    strong_augmentation: Any = MISSING
    collapse_watch: CollapseWatchConfig = field(default_factory=CollapseWatchConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: Any = None
    devices: int = key(MISSING, "processes on each machine", at_least=1)
    num_nodes: int = key(MISSING, "machines", at_least=1)
    labels: int | str = key(
        MISSING, "training images that carry a label, as many of each class; all: every one that has a label"
    )
    balanced: bool = MISSING
    balance: float = key(
        MISSING, "of labeled images in batches: 0: each as often; 1: each class as often", at_least=0, at_most=1
    )
    validation: int = key(MISSING, "training images held out", at_least=0)
    split_seed: int = MISSING
    seed: int = key(MISSING, "of everything but the split", at_least=0)
    calibration_folds: int = key(
        MISSING, "folds of the labels, to fit the temperature by cross-validation; 0: none", at_least=0
    )
    calibration_runs: int | None = key(
        MISSING, "of these trainings, the first ones, that are done; null: all", at_least=1
    )
    calibration_length: float = key(MISSING, "of such a training, as a share of the run's epochs", above=0, at_most=1)
    fold: str | None = None
    baseline: bool = MISSING
    max_time: str | None = None
    start_from: str | None = None
    labels_file: str | None = None
    budgets: BudgetsConfig = field(default_factory=BudgetsConfig)
    dry_run: bool = MISSING
    name: str = MISSING
    data_dir: str = MISSING
    download: bool = MISSING
    runs_dir: str = MISSING


DATASETS: dict[str, type[DatasetConfig]] = {
    "embedded": DatasetConfig,
    "torchvision": TorchvisionDatasetConfig,
    "npz": NpzDatasetConfig,
    "folder": FolderDatasetConfig,
    "table": TableDatasetConfig,
}
"""The keys of each kind of data set; conf/dataset has their values."""
