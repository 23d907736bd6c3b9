"""Data sets as uint8 tensors: digits, those of torchvision, and a user's own arrays."""

import hashlib
import inspect
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssgan.data.npz import STANDARD, checked, parse_arrays, read_npz, read_own_npz
from ssgan.errors import SsganError, first_line
from ssgan.files import exclusive

Array = Tensor | np.ndarray


@dataclass(frozen=True)
class ImageData:
    """Images are uint8 (N, C, H, W); targets int64 (N,), 0..K-1, or -1 for a training image without a label.

    There may be no test images.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_targets: Tensor
    test_images: Tensor
    test_targets: Tensor

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that two data sets share only if they hold the same images, targets and class names."""
        sha = hashlib.sha256(json.dumps(self.class_names).encode())
        for tensor in (self.train_images, self.train_targets, self.test_images, self.test_targets):
            sha.update(f"{tensor.dtype} {list(tensor.shape)} ".encode())
            sha.update(tensor.contiguous().numpy().data)
        return sha.hexdigest()[:16]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def digits(name: str) -> ImageData:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels: 1,297 for training and a fixed test set of 500.

    The test set is every image of a seeded shuffle up to the 500th. Levels 0..16 become 0..255.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.RandomState(0).permutation(len(bunch.target))
    images = torch.from_numpy(np.rint(bunch.images[order] * (255 / 16)).astype(np.uint8)).unsqueeze(1)
    targets = torch.from_numpy(bunch.target[order].astype(np.int64))
    return ImageData(name, tuple(map(str, range(10))), images[500:], targets[500:], images[:500], targets[:500])


def torchvision_files(
    name: str, kind: str, image_shape: Sequence[int], class_names: Sequence[str], data_dir: str, download: bool
) -> ImageData:
    """The data set of ``torchvision.datasets.<kind>`` from <data_dir>/<kind>.npz, in lower case, if there is one, else through
    torchvision.

    ``image_shape`` is (C, H, W). Raises `SsganError` if the images are not there, are of another shape, or cannot be
    downloaded.
    """
    archive, wanted, names = Path(data_dir) / f"{kind.lower()}.npz", tuple(image_shape), tuple(class_names)
    if archive.exists():
        data = _from_arrays(name, names, read_npz(archive, len(names)))
    else:
        data = _through_torchvision(name, kind, names, archive, download)
    if data.image_shape != wanted:
        shapes = ["x".join(map(str, shape)) for shape in (data.image_shape, wanted)]
        where = archive if archive.exists() else f"torchvision's {kind}"
        raise SsganError(f"data_dir={archive.parent}: {where} holds images of {shapes[0]}, not {shapes[1]}")
    return data


def npz(name: str, path: str) -> ImageData:
    """A user's own arrays; see `read_own_npz`."""
    arrays, class_names = read_own_npz(Path(path))
    return _from_arrays(name, class_names, arrays)


def from_arrays(
    images: Array,
    targets: Array,
    test_images: Array | None = None,
    test_targets: Array | None = None,
    *,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> ImageData:
    """Arrays or tensors as a data set: uint8 images, (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3; targets (N,),
    0..K-1, or -1 for a training image without a label.

    Raises `SsganError` for anything else.
    """
    given = {"x_train": images, "y_train": targets, "x_test": test_images, "y_test": test_targets}
    arrays = {key: _channels_last(np.asarray(array)) for key, array in given.items() if array is not None}
    if class_names is not None:
        arrays["class_names"] = np.asarray(class_names, dtype=str)
    tensors, names = parse_arrays(arrays, name)
    return _from_arrays(name, names, tensors)


def _channels_last(array: np.ndarray) -> np.ndarray:
    first = array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3)
    return array.transpose(0, 2, 3, 1) if first else array


def _through_torchvision(
    name: str, kind: str, class_names: tuple[str, ...], archive: Path, download: bool
) -> ImageData:
    from torchvision import datasets

    factory = getattr(datasets, kind, None)
    if not (isinstance(factory, type) and issubclass(factory, datasets.VisionDataset)):
        raise SsganError(f"dataset.kind={kind}: torchvision.datasets has no such class")
    parameters = inspect.signature(factory).parameters
    by_split = "train" not in parameters
    if "download" not in parameters or (by_split and "split" not in parameters):
        raise SsganError(
            f"dataset.kind={kind}: this class has no training and test part; use dataset=folder for your own"
        )
    root = archive.parent
    parts = []
    try:
        if download:
            root.mkdir(parents=True, exist_ok=True)
        # Not two downloads at once, by processes of one run or runs of a sweep.
        with exclusive(root / f".{archive.stem}.lock") if download else nullcontext():
            for part in ("train", "test"):
                chosen = {"split": part} if by_split else {"train": part == "train"}
                parts.append(factory(str(root), download=download, **chosen))
    except (RuntimeError, OSError) as error:
        failed = "the download failed" if download else "download=false"
        reason = first_line(error)
        raise SsganError(
            f"data_dir={root}: no {archive.stem} there and {failed} ({reason}). Put {archive.name} (keys x_train, "
            f"y_train, x_test, y_test) or torchvision's files of {kind} there, or use download=true on a machine "
            f"with a network."
        ) from error
    if not all(hasattr(part, "data") for part in parts):
        raise SsganError(f"dataset.kind={kind}: its images are files; use dataset=folder with them")
    images = [_channels_last(np.asarray(part.data)) for part in parts]
    targets = [np.asarray(part.targets if hasattr(part, "targets") else part.labels) for part in parts]
    arrays = dict(zip(STANDARD, (images[0], targets[0], images[1], targets[1]), strict=True))
    return _from_arrays(name, class_names, checked(Path(kind), arrays, least=0, classes=len(class_names)))


def _from_arrays(name: str, class_names: tuple[str, ...], arrays: dict[str, Tensor]) -> ImageData:
    return ImageData(name, class_names, *(arrays[key] for key in ("x_train", "y_train", "x_test", "y_test")))
