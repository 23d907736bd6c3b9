"""A user's own arrays and pictures are read as they are, and what is wrong with them is named."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome, make_classifier, shorten_baseline
from PIL import Image

from ssgan.data.arrays import image_data
from ssgan.data.datasets import from_arrays, npz
from ssgan.data.folder import folder
from ssgan.data.image_data import ImageData
from ssgan.data.inspection import inspect_data, warnings_of
from ssgan.data.registry import named_dataset, require_same_reading
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier, save_classifier

X = np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8)
Command = Callable[..., Outcome]


def test_npz_with_unlabeled_images_and_no_test(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x_train=X, y_train=np.array([0, 1, -1, 2, -1, 0]))
    data = npz("own", str(tmp_path / "own.npz"))
    assert data.class_names == ("0", "1", "2")
    assert data.train_targets.tolist() == [0, 1, -1, 2, -1, 0]
    assert data.train_images.shape == (6, 1, 8, 8)
    assert data.test_images.shape == (0, 1, 8, 8)


def test_npz_with_names(tmp_path: Path) -> None:
    color = np.stack([X] * 3, -1)
    names = np.array(["cat", "dog"])
    arrays = {"x_train": color, "y_train": np.arange(6) % 2, "x_test": color[:2], "y_test": np.array([1, 0])}
    np.savez(tmp_path / "own.npz", class_names=names, **arrays)
    data = npz("own", str(tmp_path / "own.npz"))
    assert data.class_names == ("cat", "dog")
    assert data.image_shape == (3, 8, 8)
    assert data.test_targets.tolist() == [1, 0]


def test_deep_arrays_say_how_pictures_are_read(tmp_path: Path) -> None:
    """Catches 16 bits of which a classifier's file says nothing: its pictures were then read by their upper 8."""
    np.savez(tmp_path / "own.npz", x_train=X.astype(np.uint16) * 16, y_train=np.arange(6) % 2)
    assert npz("own", str(tmp_path / "own.npz")).origin.reading.levels == (0, 255 * 16)
    np.savez(tmp_path / "own.npz", x_train=X, y_train=np.arange(6) % 2)
    assert npz("own", str(tmp_path / "own.npz")).origin.reading.levels is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X}, "it needs x_train and y_train"),
        (
            {"x_train": X, "y_train": np.zeros(6, int), "x_test": X},
            "x_test with y_test.*it has x_train, y_train, x_test",
        ),
        ({"x_train": X, "y_train": np.zeros(6, int)}, "1 class"),
        ({"x_train": X, "y_train": np.array(1)}, "y_train holds a single value"),
        (
            {"x_train": X, "y_train": np.arange(6) - 2},
            r"label -2. Use 0 or more, -1 for no label, or name it: dataset\.no_label=-2",
        ),
        (
            {"x_train": X, "y_train": np.arange(6), "x_test": X, "y_test": np.arange(6) - 1},
            "y_test holds 1 images without a label",
        ),
        ({"x_train": X, "y_train": np.arange(6), "class_names": np.array(["a", "b"])}, "labels from 0 to 5"),
    ],
)
def test_bad_npz(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(SsganError, match=message):
        npz("own", str(tmp_path / "own.npz"))


@pytest.mark.parametrize("stem", ["svhn", "cifar10"])
def test_color_sets_from_npz_and_their_remedies(stem: str, tmp_path: Path) -> None:
    with pytest.raises(SsganError, match=rf"no {stem} there and download=false.*{stem}\.npz.*download=true"):
        named_dataset(stem, str(tmp_path), download=False)
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    targets = np.arange(20) % 10
    np.savez(tmp_path / f"{stem}.npz", x_train=images, y_train=targets, x_test=images, y_test=targets)
    data = named_dataset(stem, str(tmp_path), download=False)
    assert data.image_shape == (3, 32, 32)
    np.testing.assert_array_equal(data.train_images[7].permute(1, 2, 0), images[7])
    assert len(data.class_names) == 10
    np.savez(tmp_path / f"{stem}.npz", x_train=images[:, :8], y_train=targets, x_test=images[:, :8], y_test=targets)
    with pytest.raises(SsganError, match="holds images of 3x8x32, not 3x32x32"):
        named_dataset(stem, str(tmp_path), download=False)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Two classes of pictures, two unlabeled ones and a test picture, all of one gray level each, in many sizes."""
    levels = {"cat/a": 10, "cat/sub/b": 20, "dog/c": 30, "unlabeled/d": 40, "unlabeled/e": 50, "test/dog/f": 60}
    for number, (name, level) in enumerate(levels.items()):
        path = tmp_path / "pets" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8 + number, 8), (level,) * 3).save(path)
    return tmp_path / "pets"


def read(pets: Path, strict: bool = False, channels: int = 1) -> ImageData:
    return folder("pets", str(pets), 8, channels, strict)


def levels(images: torch.Tensor) -> list[int]:
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_folder(pets: Path) -> None:
    data = read(pets)
    assert data.class_names == ("cat", "dog")
    assert levels(data.train_images) == [10, 20, 30, 40, 50]
    assert data.train_targets.tolist() == [0, 0, 1, -1, -1]
    assert levels(data.test_images) == [60]
    assert data.test_targets.tolist() == [1]
    assert read(pets, channels=3).image_shape == (3, 8, 8)


def test_folder_is_decoded_once_until_a_file_changes(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a cache that is never read, and one that is read after a picture was replaced, added or removed."""
    read(pets)
    with monkeypatch.context() as patch:
        patch.setattr("ssgan.data.decoding.read_picture", None)  # decoding would fail
        assert levels(read(pets).train_images) == [10, 20, 30, 40, 50]
    stat = (pets / "cat/a.png").stat()
    Image.new("L", (8, 8), 11).save(pets / "cat/a.png")
    os.utime(pets / "cat/a.png", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert levels(read(pets).train_images)[0] == 11
    (pets / "dog/c.png").rename(pets / "dog/c2.png")
    Image.new("L", (8, 8), 31).save(pets / "dog/c1.png")
    assert levels(read(pets).train_images) == [11, 20, 31, 30, 40, 50]
    arrays, others = pets / ".ssgan_1x8x8.npy", (pets / ".ssgan_1x8x8.npy").read_bytes()
    Image.new("L", (8, 8), 12).save(pets / "cat/a.png")
    assert levels(read(pets).train_images) == [12, 20, 31, 30, 40, 50]
    arrays.write_bytes(others)  # as a process may leave it that was decoding at the same time
    assert levels(read(pets).train_images) == [12, 20, 31, 30, 40, 50]
    Image.new("L", (8, 8), 11).save(pets / "cat/a.png")
    for kept in sorted(pets.glob(".ssgan*")):
        kept.write_bytes(b"{ torn")
        assert levels(read(pets).train_images) == [11, 20, 31, 30, 40, 50]


def test_broken_picture_is_named_every_time_and_left_out(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pets / "cat/a.png").write_bytes(b"no picture")
    for _ in range(2):  # decoded, then from the cache
        data = read(pets)
        assert levels(data.train_images) == [20, 30, 40, 50]
        assert data.train_targets.tolist() == [0, 1, -1, -1]
        assert f"warning: {pets / 'cat/a.png'}: not a picture" in capsys.readouterr().err
        with pytest.raises(SsganError, match=r"cat/a\.png: cannot be read, and dataset\.strict=true"):
            read(pets, strict=True)
        capsys.readouterr()


def test_a_picture_that_could_not_be_read_is_tried_again(pets: Path) -> None:
    """Permissions leave a file's size and time as they are, and with them the key of the decoded pictures."""
    path = pets / "cat/a.png"
    whole, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(b"-" * len(whole))
    os.utime(path, ns=times)
    assert levels(read(pets).train_images) == [20, 30, 40, 50]
    path.write_bytes(whole)
    os.utime(path, ns=times)
    assert levels(read(pets).train_images) == [10, 20, 30, 40, 50]


def test_bad_folders(pets: Path) -> None:
    with pytest.raises(SsganError, match=r"dataset\.size=0"):
        folder("pets", str(pets), 0, 1, False)
    with pytest.raises(SsganError, match="no such folder"):
        read(pets / "nowhere")
    with pytest.raises(SsganError, match="1 sub-folders of classes"):
        read(pets / "cat")
    (pets / "test/cow").mkdir()
    with pytest.raises(SsganError, match="test/cow is no class; the classes are cat, dog"):
        read(pets)
    (pets / "test/cow").rename(pets / "cow")
    with pytest.raises(SsganError, match="cow holds no picture"):
        read(pets)


@pytest.mark.slow
def test_a_folder_of_pictures_trains_from_one_command(
    ssgan: Command, digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,797 pictures, 10 labels a class, no test folder at first."""
    shorten_baseline(monkeypatch, 1)
    for number, (image, target) in enumerate(zip(digits.train_images, digits.train_targets, strict=True)):
        path = tmp_path / f"pictures/{target if number < 600 else 'unlabeled'}/{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
    source = ["dataset=folder", f"dataset.path={tmp_path / 'pictures'}", "dataset.size=16", "dataset.channels=1"]
    short = ["method.epochs=1", "trainer.limit_train_batches=3", "trainer.samples_count=4"]
    overrides = [*source, *short, "labels=100", "baseline=true", f"runs_dir={tmp_path / 'runs'}"]
    outcome = ssgan("fit", *overrides)
    assert outcome.code == 0, outcome.err
    assert (
        "100 labeled images, 1297 in the unlabeled pool (38 times in an epoch), 0 for validation, 0 to test"
        in outcome.out
    )
    assert "no test images" in outcome.out
    classifier = load_classifier(tmp_path / "runs/folder@100/fixmatch/split0-seed0/classifier.safetensors")
    assert classifier.class_names == tuple("0123456789")
    assert classifier.header["test"]["error"] is None
    source_of_all = [*source, "dataset.name=pictures", *short, "labels=all", f"runs_dir={tmp_path / 'runs'}"]
    for image, target in zip(digits.test_images, digits.test_targets, strict=True):
        path = tmp_path / f"pictures/test/{target}/{len(list((tmp_path / 'pictures/test').rglob('*')))}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
    outcome = ssgan("fit", *source_of_all)
    assert outcome.code == 0, outcome.err
    assert "600 labeled images (" in outcome.out
    assert "500 to test" in outcome.out


def test_evaluate_without_test_images(ssgan: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x_train=X, y_train=np.arange(6) % 2)
    path = tmp_path / "c.safetensors"
    save_classifier(path, make_classifier(classes=2), ["0", "1"])
    outcome = ssgan("evaluate", f"classifier={path}", "dataset=npz", f"dataset.path={tmp_path / 'own.npz'}")
    assert outcome.code == 1
    assert "dataset=npz: has no test images" in outcome.err


@pytest.mark.slow
def test_unbalanced_labels(ssgan: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x_train=np.repeat(X, 20, 0), y_train=np.arange(120) % 12 // 8)
    source = [
        "dataset=npz",
        f"dataset.path={tmp_path / 'own.npz'}",
        "method=improved_gan",
        "net/classifier=digits",
        "net/generator=digits",
        "augmentation.shift=0",
    ]
    short = ["method.epochs=1", "trainer.limit_train_batches=1", "trainer.samples_count=4", f"runs_dir={tmp_path}"]
    outcome = ssgan("fit", *source, *short, "labels=31", "balanced=false")
    assert outcome.code == 0, outcome.err
    assert "31 labeled images (" in outcome.out
    outcome = ssgan("fit", *source, *short, "labels=31", "split_seed=1")
    assert outcome.code == 1
    assert "labels=31: not divisible by the 2 classes" in outcome.err


@pytest.mark.slow
def test_rare_classes_are_seen(ssgan: Command, digits: ImageData, tmp_path: Path) -> None:
    """The table names their errors, and balance=1 lets the classifier see them."""
    targets = digits.train_targets.clone()
    for rare in range(5):  # 3 labels of each, of about 130
        targets[(targets == rare).nonzero().flatten()[3:]] = -1
    arrays = {
        "x_train": digits.train_images[:, 0],
        "y_train": targets,
        "x_test": digits.test_images[:, 0],
        "y_test": digits.test_targets,
    }
    np.savez(tmp_path / "rare.npz", **{name: array.numpy() for name, array in arrays.items()})
    errors = {}
    for balance in (0, 1):
        source = [
            "dataset=npz",
            f"dataset.path={tmp_path / 'rare.npz'}",
            "dataset.name=rare",
            f"balance={balance}",
            f"name=b{balance}",
        ]
        short = [
            "method=supervised",
            "preset=digits_gan",
            "validation=0",
            "labels=all",
            "method.epochs=8",
            "net.classifier.hidden=[100]",
        ]
        outcome = ssgan("fit", *source, *short, f"runs_dir={tmp_path}")
        assert outcome.code == 0, outcome.err
        assert "balanced error" in outcome.out
        assert f"b{balance}, error by class: 0 (3 labels)" in outcome.out
        metrics = json.loads((tmp_path / f"rare@all/b{balance}/split0-seed0/metrics.json").read_text())
        assert metrics["labels_per_class"]["4"] == 3
        errors[balance] = metrics["balanced_error"]
    assert errors[1] < errors[0] - 0.02


@pytest.mark.slow
def test_the_same_images_by_another_path_are_the_same_run(ssgan: Command, large_digits: Path, tmp_path: Path) -> None:
    few = [
        "method=supervised",
        "method.epochs=1",
        "method.least_steps=0",
        "net/classifier=small",
        "net.classifier.widths=[4]",
    ]
    common = ["dataset=npz", "dataset.name=own", *few, f"runs_dir={tmp_path / 'runs'}"]
    assert ssgan("fit", f"dataset.path={large_digits}", *common).code == 0
    copy = tmp_path / "elsewhere.npz"
    copy.write_bytes(large_digits.read_bytes())
    outcome = ssgan("fit", f"dataset.path={copy}", *common)
    assert outcome.code == 0, outcome.err
    assert "epoch 1/1" not in outcome.out  # it is read, not trained again
    arrays = dict(np.load(copy))
    arrays["y_train"][:2] = arrays["y_train"][1::-1]
    np.savez(copy, **arrays)
    outcome = ssgan("fit", f"dataset.path={copy}", *common)
    assert outcome.code == 1
    assert "began with other images, labels or class names" in outcome.err


def test_images_for_validation_are_a_part_of_what_data_are() -> None:
    """Catches a run that goes on with its split after the last images have become those for validation."""
    images, targets = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8), np.arange(20) % 2

    def cut(count: int) -> ImageData:
        train = {"x_train": images[:count], "y_train": targets[:count]}
        return image_data("own", train | {"x_validation": images[count:], "y_validation": targets[count:]}, "own")

    assert torch.equal(cut(12).train_images, cut(16).train_images)
    assert cut(12).digest != cut(16).digest


def test_floats_just_above_one_are_not_taken_for_black() -> None:
    """Rounding and interpolation: read as 0..255 all pixels would be 0 or 1."""
    with pytest.raises(SsganError, match=r"0 to 1.05. If 1 is white, clip them: x.clip\(0, 1\)"):
        from_arrays(np.linspace(0, 1.05, 640).reshape(10, 8, 8), np.arange(10) % 2)


def test_one_bright_pixel_that_sets_the_range_is_told() -> None:
    images = np.random.default_rng(0).integers(0, 4096, (40, 8, 8)).astype(np.uint16)
    assert not warnings_of(inspect_data(from_arrays(images, np.arange(40) % 2)))
    images[0, 0, 0] = 65535
    [warning] = warnings_of(inspect_data(from_arrays(images, np.arange(40) % 2)))
    assert "a few very bright ones set the range" in warning


def test_arrays_of_16_bits_are_scaled_as_in_training(tmp_path: Path) -> None:
    """Catches another range for other images, and a user who divides by 65535."""
    levels = {"background": 255, "levels": [100, 4000]}
    save_classifier(tmp_path / "c.safetensors", make_classifier(), list("0123456789"), reading=levels)
    classifier = load_classifier(tmp_path / "c.safetensors")
    deep = np.random.default_rng(0).integers(100, 4000, (20, 8, 8)).astype(np.uint16)
    scaled = torch.from_numpy(np.rint((deep - 100.0) * 255 / 3900).astype(np.uint8))
    torch.testing.assert_close(classifier.predict_proba(deep), classifier.predict_proba(scaled))
    targets = np.arange(20) % 10
    with pytest.raises(SsganError, match=r"became 0 and 255, and for the classifier \(100.0, 4000.0\)"):
        require_same_reading(from_arrays(deep, targets, deep, targets), classifier)


def test_frames_that_are_not_read_are_told(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        frames = [Image.new("L", (8, 8), level) for level in (10, 20, 30)]
        frames[0].save(tmp_path / name / "stack.tif", save_all=True, append_images=frames[1:])
        frames[1].save(tmp_path / name / "one.tif")
    data = folder("stacks", str(tmp_path), 8, 1, strict=False)
    assert data.origin.modes == {"L": 2, "L, first of 3 frames": 2}
    assert sorted({*data.train_images.flatten().tolist()}) == [10, 20]
