"""Data sets from their configuration, or by the name that they have in conf/dataset/."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError, first_line
from ssgan.inference.classifier import Predictor, embedding_id
from ssgan.nets.base import ImageGenerator
from ssgan.schema import CONFIG_DIR


def load_dataset(config: Mapping[Any, Any]) -> ImageData:
    """What the ``_target_`` of ``config`` returns, and nothing nested is called.

    Raises `SsganError`: what the data set said, or what Hydra says of its arguments.
    """
    try:
        data = instantiate(config, _recursive_=False)
    except HydraException as error:
        cause = error.__cause__ or error
        if isinstance(cause, MemoryError):
            raise SsganError(
                f"dataset.path={config.get('path')}: not enough memory ({first_line(cause)}); arrays in .npy files, x_train.npy and "
                f"y_train.npy, are mapped and may be larger"
            ) from error
        raise SsganError(str(cause)) from error
    if not isinstance(data, ImageData):
        raise SsganError(f"{config['_target_']} is no data set")
    return data


def files_read(config: Mapping[Any, Any]) -> list[Path]:
    """Where the data set of ``config`` may be read from, and no command should write: its path, or its archive in data_dir."""
    if config.get("path"):
        return [Path(config["path"])]
    kind = config.get("kind")
    return [Path(config["data_dir"]) / f"{kind.lower()}.npz"] if kind else []


def dataset_names() -> list[str]:
    """The data sets of conf/dataset, those that need a path among them."""
    return sorted(file.stem for file in (Path(CONFIG_DIR) / "dataset").glob("*.yaml"))


def is_another(config: Mapping[Any, Any]) -> bool:
    """It has the name of a data set of conf/dataset and is not that one: reports and model cards would take it for it.

    Images in memory keep the name that they have.
    """
    if config["name"] not in dataset_names() or config.get("path") == "memory":
        return False
    named: Any = OmegaConf.load(Path(CONFIG_DIR) / "dataset" / f"{config['name']}.yaml")
    return any(key in named and named[key] != config.get(key) for key in ("_target_", "kind"))


def named_dataset(name: str | None, data_dir: str, download: bool) -> ImageData:
    """The data set of conf/dataset/<name>.yaml; raises `SsganError` if there is none of that name."""
    path = Path(CONFIG_DIR) / "dataset" / f"{name}.yaml"
    if name not in dataset_names():
        raise SsganError(f"dataset={name}: there is none of that name; use one of {', '.join(dataset_names())}")
    settings = OmegaConf.create({"data_dir": data_dir, "download": download, "dataset": OmegaConf.load(path)})
    settings.dataset.pop("defaults", None)
    if OmegaConf.missing_keys(settings.dataset):
        raise SsganError(f"dataset={name}: say where it is, dataset={name} dataset.path=...")
    return load_dataset(settings.dataset)


def require_own_data(checkpoint: str | Path, generator: ImageGenerator, data: ImageData) -> None:
    """Raise `SsganError` if ``generator`` makes images of another shape than ``data``, or it has no test images."""
    if not len(data.test_images):
        raise SsganError(f"dataset={data.name}: has no test images to compare generated ones with")
    if generator.pixel_range is None or data.of_vectors:
        raise SsganError(f"checkpoint={checkpoint}, dataset={data.name}: this command compares images, not vectors")
    if generator.image_shape != data.image_shape:
        raise SsganError(
            f"checkpoint={checkpoint}: its generator makes {generator.image_shape} images, but those of "
            f"dataset={data.name} are {data.image_shape}; name the data set that it was trained on"
        )


def require_known(data: ImageData, classifier: Predictor, key: str) -> None:
    """Raise `SsganError` if ``data`` has other images or classes than ``classifier``, which messages call ``key``, or reads pictures
    otherwise.
    """
    own = classifier.header.get("dataset")
    if (classifier.image_shape, len(classifier.class_names)) != (data.image_shape, len(data.class_names)):
        raise SsganError(
            f"dataset={data.name}: {len(data.class_names)} classes of {data.image_shape} images, but {key} was trained on "
            f"{len(classifier.class_names)} classes of {classifier.image_shape}; name its own data set ({own})"
        )
    if classifier.class_names != data.class_names:
        raise SsganError(
            f"dataset={data.name}: has the classes {', '.join(data.class_names)}, but {key} knows "
            f"{', '.join(classifier.class_names)}, in this order; name its own data set ({own})"
        )
    require_same_reading(data, classifier)


def require_same_reading(data: ImageData, classifier: Predictor) -> None:
    """Raise `SsganError` for pictures that became other pixels, or other vectors, than those that ``classifier`` learned from."""
    was, now = classifier.reading, data.origin.reading
    if data.origin.files and now != was:
        raise SsganError(
            f"dataset={data.name}: its pictures are read as {now}, those of the classifier were as {was}; use "
            f"dataset.background={was.background}"
            + (", or ssgan.predict, which reads gray values as the classifier does" if was.levels != now.levels else "")
        )
    if now.levels != was.levels:
        raise SsganError(
            f"dataset={data.name}: {now.levels or (0, 255)} became 0 and 255, and for the classifier {was.levels or (0, 255)}; its predict() "
            f"takes such arrays as they are"
        )
    ours, theirs = embedding_id(data.origin.embedding), embedding_id(classifier.header.get("embedding"))
    if ours and theirs and ours != theirs:
        raise SsganError(f"dataset={data.name}: its vectors were made by {ours}, those of the classifier by {theirs}")
