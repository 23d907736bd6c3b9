"""Data sets as uint8 tensors: digits, MNIST."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssgan.errors import SsganError


@dataclass(frozen=True)
class ImageData:
    """Images are uint8 (N, C, H, W); targets int64 (N,), 0..K-1, or -1 for a training image without a label."""

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_targets: Tensor
    test_images: Tensor
    test_targets: Tensor

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


def mnist(name: str, data_dir: str, download: bool) -> ImageData:
    """MNIST from ``data_dir/mnist.npz`` if that file exists, else through torchvision."""
    path = Path(data_dir) / "mnist.npz"
    arrays = read_npz(path, classes=10) if path.exists() else _torchvision_mnist(Path(data_dir), download)
    if arrays["x_train"].shape[1:] != (1, 28, 28):
        raise SsganError(
            f"data_dir={data_dir}: {path} holds images of {tuple(arrays['x_train'].shape[1:])}, not 1x28x28"
        )
    return ImageData(
        name,
        tuple(map(str, range(10))),
        arrays["x_train"],
        arrays["y_train"],
        arrays["x_test"],
        arrays["y_test"],
    )


def _torchvision_mnist(root: Path, download: bool) -> dict[str, Tensor]:
    from torchvision.datasets import MNIST

    try:
        train, test = (MNIST(str(root), train=part, download=download) for part in (True, False))
    except (RuntimeError, OSError) as error:
        failed = "the download failed" if download else "download=false"
        reason = str(error).splitlines()[0]
        raise SsganError(
            f"data_dir={root}: no MNIST there and {failed} ({reason}). Put mnist.npz (keys x_train, y_train, x_test, "
            f"y_test) or torchvision's MNIST/raw files there, or use download=true on a machine with a network."
        ) from error
    return {
        "x_train": train.data.unsqueeze(1),
        "y_train": train.targets,
        "x_test": test.data.unsqueeze(1),
        "y_test": test.targets,
    }


def read_npz(path: Path, classes: int) -> dict[str, Tensor]:
    """x_train, y_train, x_test, y_test of an .npz file: images as (N, C, H, W) uint8, targets as int64.

    Images may be (N, H, W) or (N, H, W, C) with C 1 or 3. Nothing in the file is executed (no pickles).
    Raises `SsganError` for a file that is truncated or holds anything else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    except KeyError as error:
        raise SsganError(f"{path}: {error.args[0]} It needs x_train, y_train, x_test, y_test.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise SsganError(f"{path}: not a whole .npz file ({error}). Copy or unpack it again.") from error
    out: dict[str, Tensor] = {}
    for part in ("train", "test"):
        images, targets = arrays[f"x_{part}"], arrays[f"y_{part}"]
        out[f"x_{part}"] = _checked_images(images, f"{path}: x_{part}")
        out[f"y_{part}"] = _checked_targets(targets, len(images), classes, f"{path}: y_{part}")
    if out["x_train"].shape[1:] != out["x_test"].shape[1:]:
        raise SsganError(f"{path}: x_train and x_test hold images of different shapes")
    return out


def _checked_images(images: np.ndarray[Any, Any], what: str) -> Tensor:
    if images.dtype.kind == "f" and np.isnan(images).any():
        raise SsganError(f"{what} holds NaN. Remove these images and store the rest as uint8, 0..255.")
    if images.dtype != np.uint8:
        raise SsganError(f"{what} is {images.dtype}. Store images as uint8, 0..255.")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise SsganError(f"{what} has the shape {images.shape}. It needs (N, H, W) or (N, H, W, C) with C 1 or 3.")
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _checked_targets(targets: np.ndarray[Any, Any], count: int, classes: int, what: str) -> Tensor:
    if targets.shape != (count,):
        raise SsganError(f"{what} has the shape {targets.shape}. It needs one label per image: ({count},).")
    if targets.dtype.kind == "f" and np.isnan(targets).any():
        raise SsganError(f"{what} holds NaN. Give every image a label in 0..{classes - 1}.")
    if targets.dtype.kind not in "iu":
        raise SsganError(f"{what} is {targets.dtype}. Store labels as whole numbers.")
    if targets.min() < 0 or targets.max() >= classes:
        raise SsganError(f"{what} holds labels from {targets.min()} to {targets.max()}. They must be 0..{classes - 1}.")
    return torch.from_numpy(targets.astype(np.int64))
