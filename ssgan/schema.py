"""The schema of every command's configuration: which keys there are and of what type. Their values are in conf/."""

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
class CollapseWatchConfig:
    window: int = key(300, "steps; half an epoch of MNIST", at_least=1)
    unsupervised_below: float = key(0.05, "healthy runs: 0.30-0.40; dead ones fall through it in two epochs")
    feature_matching_above: float = key(5.0, "healthy runs: below 4; dead ones 6-100 (benchmarks/stability)")


@dataclass
class TrainerConfig:
    accelerator: str = key(MISSING, "auto, cpu or gpu")
    strategy: str = key(MISSING, "one process, or ddp", choices=("auto", "ddp"))
    limit_train_batches: int | None = key(MISSING, "steps per epoch, to cut epochs short", at_least=1)
    samples_every: int = key(MISSING, "epochs between two grids of generated images", at_least=1)
    samples_count: int = key(MISSING, "images in a grid", at_least=1)
    checkpoint_minutes: float | None = key(MISSING, "between two checkpoints; null: only after every epoch")


@dataclass
class FitConfig:
    dataset: DatasetConfig = MISSING
    net: Any = MISSING
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
    validation: int = key(MISSING, "training images held out", at_least=0)
    split_seed: int = MISSING
    seed: int = key(MISSING, "of everything but the split", at_least=0)
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
    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    dataset: DatasetConfig = MISSING


@dataclass
class PredictConfig:
    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    images: str = key(MISSING, "a picture, or a folder of pictures")
    output: str = key(MISSING, "the .csv file: path, class, probability")


@dataclass
class SampleConfig:
    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    output: str = key(MISSING, "the .png file")
    count: int = MISSING
    per_row: int = key(MISSING, "images in a row of the picture")
    scale: int = MISSING
    seed: int = key(MISSING, "of z")


@dataclass
class TuringConfig(ReadsDataConfig):
    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    dataset: DatasetConfig = MISSING
    output: str = key(MISSING, "the .html file")
    count: int = MISSING
    seed: int = MISSING
    feedback: bool = MISSING


@dataclass
class ScoreConfig(ReadsDataConfig):
    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    judge: str = key(MISSING, "a classifier file, or inception")
    dataset: Any = None
    samples: int = MISSING
    splits: int = MISSING
    seed: int = key(MISSING, "of z and of the order in splits")


@dataclass
class AblationConfig(ReadsDataConfig):
    runs: str = key(MISSING, "a pattern of run folders, in quotes")
    judge: str = key(MISSING, "a classifier file")
    output: str = key(MISSING, "the folder of table and picture")
    samples: int = MISSING
    splits: int = MISSING


@dataclass
class ReportConfig(ReadsDataConfig):
    runs: str | None = key(None, "a pattern of run folders, in quotes")
    output: str | None = key(None, "the folder of report.html, report.md and figures, with runs=")
    results: str | None = key(
        None, "a folder of JSON files, one for each condition and recipe, to which the runs are added"
    )
    readme: str | None = key(
        None, "a Markdown file between whose report markers the table is written: of results=, else of runs="
    )
    pixels: bool = key(True, "label spreading and logistic regression on each run's split")


@dataclass
class DivergencesConfig:
    output: str = key(MISSING, "the folder of figures and numbers")
    p: float = MISSING
    draws: list[int] = MISSING
    points: int = MISSING
