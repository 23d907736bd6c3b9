"""Data sets as uint8 tensors: digits, those of torchvision, and a user's own arrays."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssgan.data.array_files import names_in, read_arrays, read_data_arrays
from ssgan.data.arrays import image_data
from ssgan.data.image_data import ImageData
from ssgan.data.inspection import require_strict
from ssgan.errors import SsganError, first_line
from ssgan.files import exclusive

Array = Tensor | np.ndarray

STANDARD = ("x_train", "y_train", "x_test", "y_test")
"""The arrays in the file of a published data set."""


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
        missing = [key for key in STANDARD if key not in names_in(archive)]
        if missing:
            raise SsganError(f"{archive}: {', '.join(missing)} is missing. It needs {', '.join(STANDARD)}.")
        data = known_set(name, names, read_arrays(archive, STANDARD), str(archive))
    else:
        data = _through_torchvision(name, kind, names, archive, download)
    if data.image_shape != wanted:
        shapes = ["x".join(map(str, shape)) for shape in (data.image_shape, wanted)]
        where = archive if archive.exists() else f"torchvision's {kind}"
        raise SsganError(f"data_dir={archive.parent}: {where} holds images of {shapes[0]}, not {shapes[1]}")
    return data


def npz(
    name: str,
    path: str,
    class_names: Sequence[str] | None = None,
    no_label: int | str | None = None,
    strict: bool = False,
) -> ImageData:
    """A user's own arrays in files; see `read_data_arrays` and `image_data`, whose ``class_names`` and ``no_label`` these are.

    With ``strict``, test images that are training images too raise `SsganError`.
    """
    data = image_data(name, read_data_arrays(Path(path).expanduser()), path, class_names, no_label)
    if strict:
        require_strict(data)
    return data


def from_arrays(
    images: Array,
    targets: Array,
    test_images: Array | None = None,
    test_targets: Array | None = None,
    *,
    class_names: Sequence[str] | None = None,
    no_label: int | str | None = None,
    name: str = "arrays",
) -> ImageData:
    """Arrays or tensors as a data set: images as `as_images` takes them, uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) among
    others, and labels as `parse_labels` does: (N,), 0..K-1 or words, -1 or NaN for a training image without a label.

    Raises `SsganError` for anything else.
    """
    given = {"x_train": images, "y_train": targets, "x_test": test_images, "y_test": test_targets}
    arrays = {key: np.asarray(array) for key, array in given.items() if array is not None}
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise SsganError(f"{name}: give test images and test targets, or neither")
    return image_data(name, arrays, name, class_names, no_label)


def known_set(name: str, class_names: Sequence[str], arrays: Mapping[str, np.ndarray], what: str) -> ImageData:
    """Arrays of a published data set, whose targets are 0..K-1 and nothing else."""
    for part in ("train", "test"):
        targets = np.asarray(arrays[f"y_{part}"])
        numbers = targets.dtype.kind in "iu" and targets.ndim == 1
        if not numbers or (targets.size and not 0 <= targets.min() <= targets.max() < len(class_names)):
            held = (
                f"labels from {targets.min()} to {targets.max()}" if numbers else f"{targets.shape} of {targets.dtype}"
            )
            raise SsganError(f"{what}: y_{part} holds {held}. They must be whole numbers in 0..{len(class_names) - 1}.")
        if not len(arrays[f"x_{part}"]):
            raise SsganError(f"{what}: x_{part} holds no image.")
    return image_data(name, arrays, what, class_names)


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
    images = [np.asarray(part.data) for part in parts]
    targets = [np.asarray(part.targets if hasattr(part, "targets") else part.labels) for part in parts]
    arrays = dict(zip(STANDARD, (images[0], targets[0], images[1], targets[1]), strict=True))
    return known_set(name, class_names, arrays, kind)
