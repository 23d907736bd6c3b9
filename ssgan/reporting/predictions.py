"""What a run's classifier says of the test images of its own data set."""

import json
from functools import lru_cache

from torch import Tensor

from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import with_labels_of
from ssgan.data.registry import load_dataset, require_known
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier
from ssgan.reporting.runs import Run

READERS = ("ssgan.data.datasets", "ssgan.data.folder", "ssgan.data.table")
"""The modules whose functions a run's config.yaml may name: it may be a stranger's, and is executed."""


def predict_test_images(run: Run, data_dir: str, download: bool) -> tuple[Tensor, ImageData]:
    """log p(y | x), (N, K), of all test images, and the data set; raises `SsganError` if either cannot be had."""
    data = data_of(run, data_dir, download)
    classifier = load_classifier(run.folder / "classifier.safetensors")
    require_known(data, classifier, str(run.folder / "classifier.safetensors"))
    if not len(data.test_images):
        raise SsganError(f"{data.name} has no test images")
    return classifier.predict_log_proba(data.test_images), data


def data_of(run: Run, data_dir: str, download: bool) -> ImageData:
    """The data set of a run, with the labels of its ``labels_file``.

    Raises `SsganError` if it cannot be had, and if it is not what the run was trained on: split.json names images by their place.
    """
    described = run.config().get("dataset")
    if not isinstance(described, dict) or str(described.get("_target_")).rpartition(".")[0] not in READERS:
        raise SsganError(f"{run.folder / 'config.yaml'} names no data set of ssgan")
    if described.get("path") == "memory":
        raise SsganError(
            f"run={run.folder}: was trained on arrays in memory, which are gone; save them (np.savez) and train with dataset=npz"
        )
    own = {"data_dir": data_dir, "download": download}
    described = {key: own.get(key, value) for key, value in described.items()}
    data = _kept(json.dumps(described), run.config().get("labels_file"))
    if run.data_digest() not in (None, data.digest):
        raise SsganError(
            f"{run.folder}: {data.name} has other images, labels or class names now than when this run was trained; bring back "
            f"what it had, or train again"
        )
    return data


@lru_cache(maxsize=1)
def _kept(described: str, labels_file: str | None) -> ImageData:
    """The data set of a configuration in JSON; the last one is kept, because a report goes through them in order."""
    data = load_dataset(json.loads(described))
    return with_labels_of(data, labels_file)[0] if labels_file else data
