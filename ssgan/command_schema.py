"""The keys of the commands beside ``fit``, and their values."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ssgan.fields import key
from ssgan.schema import DatasetConfig

NO_METHOD = ({"optional family": "none"}, {"optional method": "none"})
"""A data set may choose the method of ``fit``. Other commands have none to choose: what is optional and not there is left out."""

DEVICE = "cpu, cuda, cuda:1, mps or xpu; auto: the first CUDA device, or else the CPU"
VIEWS = "test-time augmentation: average over shifted and flipped copies, where training used these"


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

    defaults: list[Any] = field(default_factory=lambda: ["_self_", *NO_METHOD, {"dataset": MISSING}, "quiet"])
    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    views: bool = key(False, VIEWS)
    device: str = key("auto", DEVICE)
    dataset: DatasetConfig = MISSING


@dataclass
class InspectConfig(DataCommandConfig):
    """``python -m ssgan.inspect dataset=NAME``"""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", *NO_METHOD, {"dataset": MISSING}, "quiet"])
    json: bool = key(False, "true: one JSON object in place of lines for people")
    dataset: DatasetConfig = MISSING


@dataclass
class EmbedConfig(DataCommandConfig):
    """``python -m ssgan.embed images=NAME_FOLDER_OR_FILE output=FILE.npz``"""

    images: str = key(MISSING, "a data set's name, a folder of pictures, a table of them (.csv), or arrays (.npz)")
    output: str = key(MISSING, "the .npz file of vectors, labels and class names")
    backbone: str = key(
        "efficientnet_lite0", "a model of torchvision.models, efficientnet_lite0, or timm: and a model of timm"
    )
    size: int = key(112, "pixels that images are resized to, both ways")
    weights: str | None = key(None, "the file of the backbone's weights; null: a package's, or downloaded ones")
    settings: list[str] = key([], 'keys of the data set: ["dataset.label_column=class"]')
    device: str = key("auto", DEVICE)


@dataclass
class PredictConfig(CommandConfig):
    """``python -m ssgan.predict classifier=FILE images=FOLDER_OR_FILE output=FILE.csv``"""

    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    images: str = key(MISSING, "a picture, or a folder of pictures")
    output: str = key(MISSING, "the .csv file: path, class, probability, log_z, outlier")
    min_probability: float = key(0.0, "below it no class is named", at_least=0, at_most=1)
    outliers: float = key(
        0.01, "share of the training pool to call outliers, by log Z; 0: column left empty", at_least=0, at_most=0.5
    )
    views: bool = key(False, VIEWS)
    device: str = key("auto", DEVICE)


@dataclass
class ExportConfig(CommandConfig):
    """``python -m ssgan.export classifier=FILE output=FILE.onnx``"""

    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    output: str = key(MISSING, "the file of the graph")
    format: str = key("onnx", "onnx (with the extra export), torch_export or torchscript")


@dataclass
class SuggestConfig(DataCommandConfig):
    """``python -m ssgan.suggest run=FOLDER output=FILE.html``"""

    run: str = key(MISSING, "the folder of a finished run")
    output: str = key(MISSING, "the page (.html), or a table to fill in (.csv)")
    count: int = key(50, "images to label", at_least=1)
    rule: str = key("mix", "mix, margin, views, coverage or random")
    pool: int = key(20_000, "unlabeled images to choose from, at most", at_least=1)
    hints: bool = key(False, "the page's checkbox at the start: say what the classifier takes an image for")
    seed: int = key(0, "of what is drawn at random", at_least=0)


@dataclass
class DemoConfig(DataCommandConfig):
    """``python -m ssgan.demo classifier=FILE``"""

    classifier: str = key(MISSING, "a classifier file, or a pattern with * that matches several: their mean")
    run: str | None = key(None, "the folder of its run: the page then shows the nearest labeled images")
    views: bool = key(False, VIEWS)
    host: str = key("127.0.0.1", "where it is served: this machine alone; 0.0.0.0: whoever can reach it")
    port: int = key(7860, "of the page", at_least=1, at_most=65535)
    megabytes: int = key(10, "of a file that is dropped, at most", at_least=1)


@dataclass
class SampleConfig(CommandConfig):
    """``python -m ssgan.sample checkpoint=FILE output=FILE.png``"""

    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    output: str = key(MISSING, "the .png file")
    count: int = key(100, "images", at_least=1)
    per_row: int = key(10, "images in a row of the picture", at_least=1)
    scale: int = key(2, "pixels of the picture per pixel of an image", at_least=1)
    seed: int = key(0, "of z")


@dataclass
class TuringConfig(DataCommandConfig):
    """``python -m ssgan.turing checkpoint=FILE dataset=NAME output=FILE.html``"""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", *NO_METHOD, {"dataset": MISSING}, "quiet"])
    checkpoint: str = key(MISSING, "last.ckpt of a run folder")
    dataset: DatasetConfig = MISSING
    output: str = key(MISSING, "the .html file")
    count: int = key(50, "images of each kind")
    seed: int = key(0, "which images, and in which order")
    feedback: bool = key(True, "the page's checkbox at the start: tell after each verdict whether it was right")


@dataclass
class ScoreConfig(DataCommandConfig):
    """``python -m ssgan.score checkpoint=FILE judge=FILE``"""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", *NO_METHOD, {"dataset": None}, "quiet"])
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
    p: float = key(0.2, 'as in Huszar, "Understanding minibatch discrimination in GANs"', above=0, below=1)
    draws: list[int] = key([1, 2, 3, 8], "sizes of minibatches, as in the study's figure")
    points: int = key(199, "values of q", at_least=2)


COMMANDS: dict[str, type[CommandConfig]] = {
    "inspect": InspectConfig,
    "embed": EmbedConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "export": ExportConfig,
    "suggest": SuggestConfig,
    "demo": DemoConfig,
    "sample": SampleConfig,
    "score": ScoreConfig,
    "turing": TuringConfig,
    "report": ReportConfig,
    "ablation": AblationConfig,
    "divergences": DivergencesConfig,
}
"""The modules of ssgan, but for ``fit``, that ``python -m`` runs, and their keys."""
