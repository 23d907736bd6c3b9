"""Data sets as uint8 tensors: digits, mnist, svhn, cifar10, and a user's own arrays."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssgan.data.npz import read_npz, read_own_npz, understood
from ssgan.errors import SsganError, first_line
from ssgan.files import exclusive

Array = Tensor | np.ndarray

DIGITS = tuple(map(str, range(10)))
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""The classes of CIFAR-10 in their order."""


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
    return ImageData(name, DIGITS, images[500:], targets[500:], images[:500], targets[:500])


def mnist(name: str, data_dir: str, download: bool) -> ImageData:
    """60,000 + 10,000 handwritten digits, 28x28 gray."""

    def parts(root: str, train: bool) -> tuple[Tensor, Tensor]:
        from torchvision.datasets import MNIST

        part = MNIST(root, train=train, download=download)
        return part.data.unsqueeze(1), part.targets

    return _standard(name, DIGITS, (1, 28, 28), Path(data_dir) / "mnist.npz", "MNIST/raw", download, parts)


def svhn(name: str, data_dir: str, download: bool) -> ImageData:
    """73,257 + 26,032 house-number digits, 32x32 color; the 531,131 of "extra" are left out."""

    def parts(root: str, train: bool) -> tuple[Tensor, Tensor]:
        from torchvision.datasets import SVHN

        part = SVHN(root, split="train" if train else "test", download=download)
        return torch.from_numpy(part.data), torch.from_numpy(part.labels)

    return _standard(name, DIGITS, (3, 32, 32), Path(data_dir) / "svhn.npz", "train_32x32.mat", download, parts)


def cifar10(name: str, data_dir: str, download: bool) -> ImageData:
    """50,000 + 10,000 pictures of ten kinds of animals and vehicles, 32x32 color."""

    def parts(root: str, train: bool) -> tuple[Tensor, Tensor]:
        from torchvision.datasets import CIFAR10

        part = CIFAR10(root, train=train, download=download)
        return torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets)

    archive = Path(data_dir) / "cifar10.npz"
    return _standard(name, OBJECTS, (3, 32, 32), archive, "cifar-10-batches-py", download, parts)


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
    tensors, names = understood(arrays, name)
    return _from_arrays(name, names, tensors)


def _channels_last(array: np.ndarray) -> np.ndarray:
    first = array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3)
    return array.transpose(0, 2, 3, 1) if first else array


def _standard(
    name: str,
    class_names: tuple[str, ...],
    image_shape: tuple[int, int, int],
    archive: Path,
    torchvision_files: str,
    download: bool,
    parts: Callable[[str, bool], tuple[Tensor, Tensor]],
) -> ImageData:
    """From ``archive`` if that file exists, else through torchvision: ``parts(root, train)`` gives images and targets."""
    if archive.exists():
        arrays = read_npz(archive, len(class_names))
        shape = tuple(arrays["x_train"].shape[1:])
        if shape != image_shape:
            wanted, found = ("x".join(map(str, sizes)) for sizes in (image_shape, shape))
            raise SsganError(f"data_dir={archive.parent}: {archive} holds images of {found}, not {wanted}")
        return _from_arrays(name, class_names, arrays)
    root = archive.parent
    try:
        if download:
            root.mkdir(parents=True, exist_ok=True)
        # Not two downloads at once, by processes of one run or runs of a sweep.
        with exclusive(root / f".{archive.stem}.lock") if download else nullcontext():
            (x_train, y_train), (x_test, y_test) = (parts(str(root), train) for train in (True, False))
    except (RuntimeError, OSError) as error:
        failed = "the download failed" if download else "download=false"
        reason = first_line(error)
        raise SsganError(
            f"data_dir={root}: no {archive.stem} there and {failed} ({reason}). Put {archive.name} (keys x_train, "
            f"y_train, x_test, y_test) or torchvision's {torchvision_files} there, or use download=true on a machine "
            f"with a network."
        ) from error
    return ImageData(name, class_names, x_train, y_train.long(), x_test, y_test.long())


def _from_arrays(name: str, class_names: tuple[str, ...], arrays: dict[str, Tensor]) -> ImageData:
    return ImageData(name, class_names, *(arrays[key] for key in ("x_train", "y_train", "x_test", "y_test")))
