"""`ssgan.train`: a whole run from Python."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ssgan.configuration import compose, process_count, require_keys, run_path
from ssgan.configuration_errors import hydra_errors
from ssgan.data.array_files import holds_vectors
from ssgan.data.datasets import Array, from_arrays
from ssgan.data.image_data import ImageData
from ssgan.data.inspection import inspect_data
from ssgan.data.registry import dataset_names, load_dataset
from ssgan.errors import SsganError, warn
from ssgan.fields import quoted
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import load_classifier
from ssgan.training.launch import launched_world_size
from ssgan.training.run import Result, run_with_baseline

Data = str | Path | ImageData | tuple[Array, ...]


@dataclass(frozen=True)
class TrainingResult:
    """A finished run."""

    folder: Path
    """Everything that the run wrote, as `python -m ssgan.fit` does."""
    metrics: dict[str, Any]
    """metrics.json: test_error, ece, nll, seconds, status and so on; errors are fractions."""
    baseline: "TrainingResult | None" = None
    """With ``baseline=True``: the supervised run beside it."""

    @property
    def classifier(self) -> Classifier:
        """That of the EMA weights; raises `SsganError` for a method that teaches no classes."""
        return load_classifier(self.folder / "classifier.safetensors")


def train(
    data: Data,
    method: str | None = None,
    labels: int | str | None = None,
    *,
    settings: Sequence[str] = (),
    runs_dir: str | Path = "runs",
    logger: Any = None,
    **keys: Any,
) -> TrainingResult:
    """Train a classifier on a few labeled and many unlabeled images, test and export it.

    data: the name of a data set ("mnist"), a folder of images, a table of them (.csv), an .npz or .npy file, an `ImageData`, or
        (images, targets) or (images, targets, test_images, test_targets): arrays or tensors as `from_arrays` takes
        them; the target of an image without a label is -1
    method: a file of ssgan/methods, or None for the data set's own choice
    labels: how many training images are labeled, "all" that have a label, or None for the preset's number
    settings: anything else that the command line takes: ["method.epochs=10", "net/classifier=dcgan"]
    runs_dir: where the run folder is made; the same call resumes an unfinished run, and reads a finished one
    logger: one of Lightning's
    keys: keys of the top level: ``validation=100``, ``split_seed=1``, ``seed=1``, ``max_time="10m"``, ``name="trial"``

    A collapsed run raises nothing: ``metrics["status"]`` is then "collapsed". Raises `SsganError` for invalid input,
    before training, and for files that cannot be written.
    """
    images = in_memory(data)
    overrides = [*dataset_overrides(data, images), f"runs_dir={quoted(runs_dir)}"]
    given = {"method": method, "labels": labels, **keys}
    overrides += [f"{key}={quoted(value)}" for key, value in given.items() if value is not None]
    config, choices = compose([*overrides, *settings])
    require_keys(config)
    processes = process_count(config)
    if processes > max(1, launched_world_size()):
        raise SsganError(f"devices={config.devices}: start this program with torchrun, or use `python -m ssgan.fit`")
    try:
        with (
            hydra_errors("config", [*overrides, *settings]),
            torch.random.fork_rng(devices=range(torch.cuda.device_count())),
            warnings.catch_warnings(),
        ):  # the caller's own stay as they are
            results = run_with_baseline(config, choices, run_path(config), images, logger)
    except OSError as error:
        raise SsganError(f"{error.filename or 'a file'} cannot be written or read ({error.strerror})") from error
    first, *beside = [as_returned(result) for result in results]
    return replace(first, baseline=beside[0]) if beside else first


def inspect(data: Data, *, settings: Sequence[str] = ()) -> dict[str, Any]:
    """What ``data`` holds, as ssgan reads it; see `inspect_data` for the keys.

    data: as for `train`
    settings: keys of the data set, as the command line takes them: ["dataset.size=64"]

    Raises `SsganError` for data that cannot be trained on.
    """
    return inspect_data(load(data, settings))


def load(data: Data, settings: Sequence[str] = (), size: int | None = None) -> ImageData:
    """``data``, as `train` takes it; pictures in files as ``size`` x ``size`` pixels, if that is given."""
    images = in_memory(data)
    if images is not None:
        return images
    overrides = dataset_overrides(data, None)
    sized = [f"dataset.size={size}"] if size and overrides[0] in ("dataset=folder", "dataset=table") else []
    return load_dataset(compose([*overrides, *sized, *settings])[0].dataset)


def in_memory(data: Data) -> ImageData | None:
    """Arrays as a data set; None for data that has a name or a place."""
    if isinstance(data, tuple | list):
        if len(data) not in (2, 4):
            raise SsganError(f"data: {len(data)} arrays; use (images, targets), or with test_images and test_targets")
        return from_arrays(*data)
    return data if isinstance(data, ImageData) else None


OWN = ("folder", "npz", "table", "vectors")
"""Data sets that need a path: of these, ``data`` is the path."""


def as_returned(result: Result) -> TrainingResult:
    return TrainingResult(result.folder.path, result.metrics or {})


def dataset_overrides(data: Data, images: ImageData | None) -> list[str]:
    """What the command line would say of ``data``; arrays train with the settings of an .npz file."""
    if images is not None:
        kind = "vectors" if images.of_vectors else "npz"
        return [f"dataset={kind}", "dataset.path=memory", f"dataset.name={quoted(images.name)}"]
    path = Path(str(data)).expanduser()
    if str(data) in dataset_names():
        if path.is_dir():
            warn(f"{data}: the data set of this name; for the folder of this name use ./{data}")
        return [f"dataset={data}"]
    if path.is_dir():
        return ["dataset=folder", f"dataset.path={quoted(path)}"]
    if path.suffix.lower() in (".csv", ".tsv"):
        return ["dataset=table", f"dataset.path={quoted(path)}"]
    if path.suffix.lower() in (".npz", ".npy"):
        kind = "vectors" if holds_vectors(path) else "npz"
        return [f"dataset={kind}", f"dataset.path={quoted(path)}"]
    raise SsganError(
        f"{data}: there is no such folder, table (.csv, .tsv) or array file (.npz, .npy), and no data set of that name; use one of "
        f"{', '.join(name for name in dataset_names() if name not in OWN)}"
    )
