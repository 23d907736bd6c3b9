"""Data sets are what they say, and broken files are named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ssgan.data.datasets import ImageData, mnist
from ssgan.errors import SsganError
from ssgan.pixels import scale_pixels, to_uint8


def test_digits(digits: ImageData) -> None:
    assert digits.image_shape == (1, 8, 8)
    assert len(digits.train_images) == 1297
    assert len(digits.test_images) == 500
    assert digits.train_images.dtype == torch.uint8
    assert digits.train_images.max() == 255
    assert sorted(set(digits.test_targets.tolist())) == list(range(10))


def test_pixel_range_round_trip() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    for pixel_range in ((0.0, 1.0), (-1.0, 1.0)):
        scaled = scale_pixels(levels, pixel_range)
        assert scaled[0] == pixel_range[0]
        assert scaled[-1] == pytest.approx(pixel_range[1])
        assert torch.equal(to_uint8(scaled, pixel_range), levels)


def test_mnist_from_npz(write_npz: Callable[..., Path], tmp_path: Path) -> None:
    write_npz()
    data = mnist("mnist", str(tmp_path), download=False)
    assert data.train_images.shape == (40, 1, 28, 28)
    assert data.train_targets.dtype == torch.int64


Y = np.arange(40) % 10
X = np.zeros((40, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((40, 8, 8), np.uint8), "x_test": np.zeros((40, 8, 8), np.uint8)}, "not 1x28x28"),
        ({"x_test": np.zeros((40, 8, 8), np.uint8)}, "different shapes"),
        ({"x_train": X.astype(np.float32)}, "x_train is float32. Store images as uint8"),
        ({"x_train": np.full((40, 28, 28), np.nan)}, "x_train holds NaN"),
        ({"x_train": X[:, 0, 0]}, r"x_train has the shape \(40,\)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, r"x_train has the shape \(0, 28, 28, 1\)"),
        ({"y_train": Y[:39]}, r"y_train has the shape \(39,\)"),
        ({"y_train": Y + 1}, r"y_train holds labels from 1 to 10. They must be 0\.\.9"),
        ({"y_train": Y - 1}, "labels from -1 to 8"),
        ({"y_train": np.where(Y == 3, np.nan, Y)}, "y_train holds NaN"),
        ({"y_train": Y.astype(str)}, "Store labels as whole numbers"),
        ({"y_test": np.array([None] * 40)}, "not a whole .npz file"),
    ],
)
def test_bad_arrays(
    arrays: dict[str, np.ndarray], message: str, write_npz: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_npz(**arrays)
    with pytest.raises(SsganError, match=message) as error:
        mnist("mnist", str(tmp_path), download=False)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_truncated_npz(keep: int, write_npz: Callable[..., Path], tmp_path: Path) -> None:
    path = write_npz()
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SsganError, match=r"not a whole \.npz file"):
        mnist("mnist", str(tmp_path), download=False)


def test_missing_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=X)
    with pytest.raises(SsganError, match=r"y_train.*It needs x_train, y_train, x_test, y_test"):
        mnist("mnist", str(tmp_path), download=False)


def test_missing_data_says_both_remedies(tmp_path: Path) -> None:
    with pytest.raises(SsganError, match=r"download=false.*mnist\.npz.*download=true"):
        mnist("mnist", str(tmp_path / "nowhere"), download=False)


def test_failed_download_says_both_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(SsganError, match=r"the download failed.*mnist\.npz.*with a network"):
        mnist("mnist", str(tmp_path), download=True)


def test_torchvision_files(tmp_path: Path) -> None:
    """MNIST as torchvision stores it is read without a download."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 20)):
        header = np.array([0x803, count, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(count * 784))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([0x801, count], ">i4").tobytes() + bytes(i % 10 for i in range(count))
        )
    data = mnist("mnist", str(tmp_path), download=False)
    assert data.train_images.shape == (30, 1, 28, 28)
    assert data.test_targets.tolist() == [i % 10 for i in range(20)]
