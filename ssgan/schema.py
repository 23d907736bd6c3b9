"""The keys of every command: their types, and their values but for those of ``fit``, which are in conf/."""

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
class NetConfig:
    """A classifier and the generator that goes with it, of `ssgan.nets.config`."""

    classifier: Any = MISSING
    generator: Any = MISSING


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
class CommandConfig:
    """A command beside ``fit``: conf/ has no file of it, and it writes no folder of its own."""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", "quiet"])  # Hydra's list, no key


@dataclass
class DataCommandConfig(CommandConfig):
    """A command that reads a data set."""

    data_dir: str = key("${oc.env:SSGAN_DATA,data}", "where data sets are looked for, and downloaded to")
    download: bool = key(True, "false: a data set that is not there is an error")


@dataclass
class EvaluateConfig(DataCommandConfig):
    """``python -m ssgan.evaluate classifier=FILE dataset=NAME``"""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"dataset": MISSING}, "quiet"])
    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    dataset: DatasetConfig = MISSING


@dataclass
class PredictConfig(CommandConfig):
    """``python -m ssgan.predict classifier=FILE images=FOLDER_OR_FILE output=FILE.csv``"""

    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    images: str = key(MISSING, "a picture, or a folder of pictures")
    output: str = key(MISSING, "the .csv file: path, class, probability")


@dataclass
class SampleConfig(CommandConfig):
    """``python -m ssgan.sample checkpoint=FILE output=FILE.png``"""

    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    output: str = key(MISSING, "the .png file")
    count: int = key(100, "images")
    per_row: int = key(10, "images in a row of the picture")
    scale: int = key(2, "pixels of the picture per pixel of an image")
    seed: int = key(0, "of z")


@dataclass
class TuringConfig(DataCommandConfig):
    """``python -m ssgan.turing checkpoint=FILE dataset=NAME output=FILE.html``"""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"dataset": MISSING}, "quiet"])
    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    dataset: DatasetConfig = MISSING
    output: str = key(MISSING, "the .html file")
    count: int = key(50, "images of each kind")
    seed: int = key(0, "which images, and in which order")
    feedback: bool = key(True, "the page's checkbox at the start: tell after each verdict whether it was right")


@dataclass
class ScoreConfig(DataCommandConfig):
    """``python -m ssgan.score checkpoint=FILE judge=FILE``"""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"dataset": None}, "quiet"])
    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    judge: str = key(MISSING, "a classifier file, or inception")
    dataset: Any = key(None, "of the real images, its test images; by default the one that the judge was trained on")
    samples: int = key(50_000, "generated images; the paper's number")
    splits: int = key(10, "of the generated images, for the score's deviation; the paper's number")
    seed: int = key(0, "of z and of the order in splits")


@dataclass
class AblationConfig(DataCommandConfig):
    """``python -m ssgan.ablation runs='runs/mnist@100/ablation_*/*' judge=FILE output=FOLDER``"""

    runs: str = key(MISSING, "a pattern of run folders, in quotes")
    judge: str = key(MISSING, "a classifier file")
    output: str = key(MISSING, "the folder of table and picture")
    samples: int = key(10_000, "generated images of each run")
    splits: int = key(10, "of the generated images, for the score's deviation; the paper's number")


@dataclass
class ReportConfig(DataCommandConfig):
    """``python -m ssgan.report runs='runs/*/*/*' output=FOLDER``; of results that are kept: ``results=FOLDER readme=FILE``"""

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
class DivergencesConfig(CommandConfig):
    """``python -m ssgan.divergences output=FOLDER``"""

    output: str = key(MISSING, "the folder of figures and numbers")
    p: float = key(0.2, 'as in Huszar, "Understanding minibatch discrimination in GANs"')
    draws: list[int] = key([1, 2, 3, 8], "sizes of minibatches, as in the study's figure")
    points: int = key(199, "values of q")


COMMANDS: dict[str, type[CommandConfig]] = {
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "sample": SampleConfig,
    "score": ScoreConfig,
    "turing": TuringConfig,
    "report": ReportConfig,
    "ablation": AblationConfig,
    "divergences": DivergencesConfig,
}
"""The modules of ssgan, but for ``fit``, that ``python -m`` runs, and their keys."""

DATASETS: dict[str, type[DatasetConfig]] = {
    "embedded": DatasetConfig,
    "torchvision": TorchvisionDatasetConfig,
    "npz": NpzDatasetConfig,
    "folder": FolderDatasetConfig,
}
"""The keys of each kind of data set; conf/dataset has their values."""
