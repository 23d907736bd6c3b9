"""Data sets are what they say, and broken files are named."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome

from ssgan.configuration import register
from ssgan.data.datasets import torchvision_files
from ssgan.data.image_data import ImageData
from ssgan.data.registry import named_dataset
from ssgan.errors import SsganError
from ssgan.pixels import scale_pixels, to_uint8
from ssgan.schema import CONFIG_DIR


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
    data = named_dataset("mnist", str(tmp_path), download=False)
    assert data.train_images.shape == (40, 1, 28, 28)
    assert data.train_targets.dtype == torch.int64


Y = np.arange(40) % 10
X = np.zeros((40, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((40, 8, 8), np.uint8), "x_test": np.zeros((40, 8, 8), np.uint8)}, "not 1x28x28"),
        ({"x_test": np.zeros((40, 8, 8), np.uint8)}, "different shapes"),
        ({"x_train": X.astype(np.float32) - 1}, r"x_train holds values from -1 to -1. Use 0\.\.255"),
        ({"x_train": np.full((40, 28, 28), np.nan)}, "x_train holds NaN"),
        ({"x_train": X[:, 0, 0]}, r"x_train has the shape \(40,\)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train holds no image"),
        ({"y_train": Y[:39]}, "y_train holds 39 labels for 40 images"),
        ({"y_train": Y + 1}, r"y_train holds labels from 1 to 10. They must be whole numbers in 0\.\.9"),
        ({"y_train": Y - 1}, "labels from -1 to 8"),
        ({"y_train": np.where(Y == 3, np.nan, Y)}, "y_train holds .* of float64. They must be whole"),
        ({"y_train": Y.astype(str)}, "y_train holds .* of <U21. They must be whole numbers"),
        ({"y_test": np.array([None] * 40)}, r"y_test holds Python objects.*y\.astype\(str\)"),
    ],
)
def test_bad_arrays(
    arrays: dict[str, np.ndarray], message: str, write_npz: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_npz(**arrays)
    with pytest.raises(SsganError, match=message) as error:
        named_dataset("mnist", str(tmp_path), download=False)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_truncated_npz(keep: int, write_npz: Callable[..., Path], tmp_path: Path) -> None:
    path = write_npz()
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SsganError, match=r"not a whole \.npz file"):
        named_dataset("mnist", str(tmp_path), download=False)


def test_missing_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=X)
    with pytest.raises(SsganError, match=r"y_train.*It needs x_train, y_train, x_test, y_test"):
        named_dataset("mnist", str(tmp_path), download=False)


def test_missing_data_says_both_remedies(tmp_path: Path) -> None:
    with pytest.raises(SsganError, match=r"download=false.*mnist\.npz.*download=true"):
        named_dataset("mnist", str(tmp_path / "nowhere"), download=False)


def test_failed_download_says_both_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(SsganError, match=r"the download failed.*mnist\.npz.*with a network"):
        named_dataset("mnist", str(tmp_path), download=True)


def write_idx(raw: Path) -> None:
    """30 + 20 images in the files of torchvision's MNIST and Fashion-MNIST."""
    raw.mkdir(parents=True)
    for part, count in (("train", 30), ("t10k", 20)):
        header = np.array([0x803, count, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(count * 784))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([0x801, count], ">i4").tobytes() + bytes(i % 10 for i in range(count))
        )


def test_mnist_as_torchvision_stores_it(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw")
    data = named_dataset("mnist", str(tmp_path), download=False)
    assert data.train_images.shape == (30, 1, 28, 28)
    assert data.test_targets.tolist() == [i % 10 for i in range(20)]


def test_cifar10_and_svhn_as_torchvision_stores_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda self: None)
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda path, md5: True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), np.uint8)
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        batch = {"data": pixels.reshape(20, -1), "labels": [i % 10 for i in range(20)]}
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(batch))
    for part in ("train", "test"):
        labels = np.arange(1, 21)[:, None] % 10
        savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels.transpose(2, 3, 1, 0), "y": np.where(labels, labels, 10)})
    for name, first in (("cifar10", 0), ("svhn", 1)):
        data = named_dataset(name, str(tmp_path), download=False)
        assert data.test_images.numpy().tolist() == pixels.tolist()
        assert data.test_targets.tolist() == [(first + i) % 10 for i in range(20)]


def test_another_data_set_of_torchvisions_is_two_files(
    ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fashion-MNIST, which no file of the project names."""
    conf, raw = tmp_path / "conf", tmp_path / "data" / "FashionMNIST" / "raw"
    shutil.copytree(CONFIG_DIR, conf)
    text = (conf / "dataset" / "mnist.yaml").read_text()
    text = text.replace("name: mnist", "name: fashion").replace("MNIST", "FashionMNIST")
    (conf / "dataset" / "fashion.yaml").write_text(text)
    (conf / "preset" / "fashion.yaml").write_text(
        "# @package _global_\ndefaults: [/net/classifier: mnist, /net/generator: mnist, _self_]\nlabels: 20\nvalidation: 0\n"
    )
    for module in ("cli", "configuration", "configuration_errors", "data.registry", "schema"):
        monkeypatch.setattr(f"ssgan.{module}.CONFIG_DIR", str(conf))
    register.cache_clear()
    write_idx(raw)
    few = ["method.epochs=1", "method.batch_size=10", "trainer.samples_count=4", f"data_dir={tmp_path / 'data'}"]
    outcome = ssgan("fit", "dataset=fashion", "download=false", *few, f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "runs/fashion@20/fixmatch/split0-seed0/classifier.safetensors").is_file()
    outcome = ssgan("fit", "dataset=fashion", "download=false", "budget=quick", f"runs_dir={tmp_path / 'runs'}")
    assert "budget=quick: the preset of this data set has none; use method.epochs=" in outcome.err


@pytest.mark.parametrize(
    ("kind", "said"),
    [("Pigeons", "no such class"), ("utils", "no such class"), ("ImageFolder", "no training and test part")],
)
def test_what_torchvision_does_not_have(kind: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SsganError, match=f"dataset.kind={kind}: .*{said}"):
        torchvision_files("x", kind, (1, 28, 28), ("a", "b"), str(tmp_path), download=False)
