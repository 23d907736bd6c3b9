"""Commands do what they say, and every mistake gets one clear message and exit code 1."""

import csv
import json
import pickle
import re
import stat
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, Bomb, Outcome
from PIL import Image

from ssgan.command_schema import COMMANDS
from ssgan.data.image_data import ImageData, Origin
from ssgan.data.images import read_picture
from ssgan.data.registry import require_same_reading
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier, save_classifier
from ssgan.nets import MLPClassifier
from ssgan.nets.base import ImageClassifier
from ssgan.reading import PictureReading

Command = Callable[..., Outcome]


@pytest.fixture
def classifier_file(classifier: MLPClassifier, tmp_path: Path) -> Path:
    save_classifier(tmp_path / "c.safetensors", classifier, tuple("0123456789"), dataset="digits")
    return tmp_path / "c.safetensors"


@pytest.fixture
def pictures(digits: ImageData, tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deeper, with comma").mkdir(parents=True)
    images = digits.test_images[:4, 0].numpy()
    Image.fromarray(images[0]).save(folder / "a.png")
    Image.fromarray(images[1]).resize((20, 30)).save(folder / "b.jpg")
    Image.fromarray(images[2]).convert("RGBA").save(folder / "deeper, with comma" / "c.PNG")
    np.save(folder / "d.npy", images[3])
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_evaluate(ssgan: Command, classifier_file: Path) -> None:
    outcome = ssgan("evaluate", f"classifier={classifier_file}", "dataset=digits")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result.keys() == {
        "error",
        "n",
        "balanced_error",
        "per_class_error",
        "classifiers",
        "views",
        "ece",
        "nll",
        "aurc",
        "selective",
    }
    assert result["n"] == 500
    assert len(result["per_class_error"]) == 10


def test_evaluate_on_other_images(ssgan: Command, classifier_file: Path, write_npz: Callable[..., Path]) -> None:
    data_dir = write_npz().parent
    outcome = ssgan("evaluate", f"classifier={classifier_file}", "dataset=mnist", f"data_dir={data_dir}")
    assert outcome.code == 1
    assert "dataset=mnist: 10 classes of (1, 28, 28) images" in outcome.err
    assert "(digits)" in outcome.err


def test_evaluate_on_other_classes(ssgan: Command, tmp_path: Path, classifier: ImageClassifier) -> None:
    names = tuple("0132456789")
    save_classifier(tmp_path / "c", classifier, names, dataset="mine")
    outcome = ssgan("evaluate", f"classifier={tmp_path / 'c'}", "dataset=digits")
    assert outcome.code == 1
    assert "dataset=digits: has the classes 0, 1, 2, 3" in outcome.err
    assert "knows 0, 1, 3, 2" in outcome.err
    assert "in this order" in outcome.err


def test_evaluate_on_pictures_that_are_read_otherwise(classifier: MLPClassifier, tmp_path: Path) -> None:
    """Catches another background, and vectors of another backbone, whose errors are those of chance."""
    images, targets = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)

    def require(origin: Origin, **header: Any) -> None:
        save_classifier(tmp_path / "c", classifier, tuple("0123456789"), **header)
        data = ImageData("mine", tuple("0123456789"), images, targets, images, targets, origin=origin)
        require_same_reading(data, load_classifier(tmp_path / "c"))

    black = {"reading": PictureReading(0).to_json()}
    made = [{"backbone": "resnet18", "size": 112, "weights": None, "digest": digest} for digest in "ab"]
    require(Origin(files=("a.png",), reading=PictureReading(0)), **black)
    require(Origin(), **black)  # arrays, which are read as they are
    require(Origin(embedding=made[0]), embedding=made[0])
    with pytest.raises(SsganError, match=r"dataset=mine: its pictures are read as .*; use dataset\.background=0"):
        require(Origin(files=("a.png",)), **black)
    with pytest.raises(
        SsganError, match="its vectors were made by resnet18 112 b, those of the classifier by resnet18 112 a"
    ):
        require(Origin(embedding=made[1]), embedding=made[0])


def test_predict(ssgan: Command, classifier_file: Path, pictures: Path, tmp_path: Path) -> None:
    outcome = ssgan("predict", f"classifier={classifier_file}", f"images={pictures}", f"output={tmp_path / 'p.csv'}")
    assert outcome.code == 0, outcome.err
    assert "warning: 1 pictures were resized to (8, 8)" in outcome.err.splitlines()
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.jpg", "d.npy", "c.PNG"]
    assert all(row["class"] in "0123456789" and 0.1 <= float(row["probability"]) <= 1 for row in rows)


def test_predict_skips_names_and_counts_broken_pictures(
    ssgan: Command, classifier_file: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "a0.png").write_bytes((pictures / "a.png").read_bytes()[:60])
    (pictures / "e.npy").write_bytes(pickle.dumps({"a": 1}))
    np.save(pictures / "f.npy", np.zeros((2, 3, 4, 5), np.uint8))
    np.save(pictures / "g.npy", np.full((8, 8), np.nan))
    outcome = ssgan("predict", f"classifier={classifier_file}", f"images={pictures}", f"output={tmp_path / 'p.csv'}")
    assert outcome.code == 1
    for name in ("a0.png", "e.npy", "f.npy", "g.npy"):
        assert f"{name}: not a picture that can be read" in outcome.err
    assert "4 of 8 pictures could not be read and were skipped" in outcome.err
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 1 + 4


def test_a_picture_of_the_right_size_is_not_touched(digits: ImageData, tmp_path: Path) -> None:
    Image.fromarray(digits.test_images[0, 0].numpy()).save(tmp_path / "a.png")
    pixels, resized = read_picture(tmp_path / "a.png", (1, 8, 8))
    assert torch.equal(pixels, digits.test_images[0])
    assert not resized


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_of_gray_become_eight(channels: int, tmp_path: Path) -> None:
    """Kills Pillow's conversion, which makes all that is above 255 white."""
    gray = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    Image.fromarray(gray).save(tmp_path / "a.png")
    pixels, _ = read_picture(tmp_path / "a.png", (channels, 8, 8))
    assert torch.equal(pixels, torch.from_numpy((gray // 256).astype(np.uint8)).expand(channels, 8, 8))


def test_a_photograph_stands_as_the_camera_was_held(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6  # orientation: a quarter turn to the right shows it upright
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(gray).save(tmp_path / "a.png", exif=tags)
    pixels, _ = read_picture(tmp_path / "a.png", (1, 8, 8))
    assert torch.equal(pixels[0], torch.from_numpy(np.rot90(gray, -1).copy()))


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setattr("ssgan.data.images.LARGEST", 9_000)
    with pytest.raises(SsganError, match="10000 pixels; 9000 are the most"):
        read_picture(tmp_path / "a.png", (1, 8, 8))


def test_sample(ssgan: Command, trained: Callable[..., Path], tmp_path: Path) -> None:
    trained(tmp_path, *TINY)
    folder = tmp_path / "digits@50/improved_gan/split0-seed0"
    arguments = [f"checkpoint={folder / 'last.ckpt'}", "count=6", "per_row=3", "scale=1"]
    for name in ("a", "b"):
        outcome = ssgan("sample", *arguments, f"output={tmp_path / name}.png")
        assert outcome.code == 0, outcome.err
    with Image.open(tmp_path / "a.png") as grid:
        assert grid.size == (3 * 10 + 2, 2 * 10 + 2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


CPU = ("fit", *TINY, "trainer.accelerator=cpu")
FIT, MNIST = ("fit", *TINY), ("fit", "dataset=mnist", "download=false")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (
            (*FIT, "method=supervised", "method.generator_optimiser.lr=1"),
            ["did you mean method.classifier_optimizer.lr?"],
        ),
        (("fit", "net/classifier=dcgan", "net.classifier.widht=8"), ["did you mean net.classifier.width?"]),
        (("fit", "dataset=some/pictures"), ["for files use dataset=folder dataset.path=some/pictures"]),
        ((*FIT, "augmentation=3"), ["augmentation=3: it has keys of its own"]),
        ((*FIT, "net=lean"), ["net/classifier=NAME, net/generator=NAME"]),
        (("evaluate", "classifier=x"), ["missing: dataset=..., one of cifar10, digits"]),
        ((*FIT, "lables=1000"), ["lables: there is no such key; did you mean labels?"]),
        ((*FIT, "method.unlabelled_weight=1"), ["did you mean method.unlabeled_weight?"]),
        ((*FIT, "seed=abc"), ["seed=abc", "'abc' of type 'str' could not be converted to Integer", "key: seed"]),
        ((*FIT, "method.epochs=1.5"), ["epochs", "could not be converted to Integer"]),
        ((*FIT, "dataset=cifar11"), ["dataset=cifar11: there is none of that name; did you mean cifar10", "mnist"]),
        ((*FIT, "experiment=nothing"), ["experiment=nothing: there is none of that name", "mnist_20"]),
        ((*FIT, "labels=many"), ["labels=many", "'all'"]),
        ((*FIT, "labels=55"), ["labels=55: not divisible by the 10 classes; use 50 or 60"]),
        ((*FIT, "labels=0"), ["labels=0: use a positive multiple"]),
        ((*FIT, "labels=5000"), ["labels=5000", "use at most"]),
        ((*FIT, "split_seed=-1"), ["split_seed=-1: use a whole number from 0"]),
        ((*FIT, "seed=-1"), ["seed=-1: use 0 or more"]),
        ((*FIT, "name=a/../../../b"), ["name=a/../../../b: it names a folder in runs_dir; use a word"]),
        ((*FIT, "name=''"), ["name=: it names a folder"]),
        ((*FIT, "name=a/b"), ["name=a/b: it names a folder in runs_dir; use a word"]),
        (
            (*FIT, "validation=1000", "labels=500"),
            ["labels=500: 50 images per class", "beside those of validation=1000"],
        ),
        (("predict", "classifier=x", "images=", "output=p.csv"), ["images=: names nothing; give it a value"]),
        (("divergences", "output=x", "p=2"), ["p=2.0: use a number above 0 and below 1"]),
        ((*FIT, "dataset.name='/b'"), ["dataset.name=/b: it names a folder"]),
        ((*FIT, "trainer.checkpoint_minutes=-5"), ["trainer.checkpoint_minutes=-5.0: use 0 or more"]),
        ((*FIT, "method.batch_size=1"), ["method.batch_size=1: use 2 or more"]),
        ((*FIT, "method.epochs=0"), ["method.epochs=0: use 1 or more"]),
        ((*FIT, "method.ema_decay=1"), ["method.ema_decay=1.0: use a number from 0 to less than 1"]),
        ((*FIT, "method.feature_norm=l7"), ["method.feature_norm=l7: use l1 or l2"]),
        ((*FIT, "method.generator_loss=wgan"), ["method.generator_loss=wgan: use feature_matching or preference"]),
        ((*FIT, "method.real_target=1.5"), ["method.real_target=1.5: use a number from 0 to 1"]),
        ((*FIT, "method.historical_averaging.generator=-1"), ["historical_averaging.generator=-1.0: use 0 or more"]),
        ((*FIT, "net.classifier.minibatch_kernels=-1"), ["net.classifier.minibatch_kernels=-1: use 0 or more"]),
        (
            (*FIT, "net.classifier.minibatch_kernels=5", "method.labeled_batch_size=1"),
            ["method.labeled_batch_size=1: minibatch discrimination compares", "use 2 or more"],
        ),
        (
            (*FIT, "net.classifier.minibatch_kernels=5", "method.initialization_images=50"),
            ["method.initialization_images", "evaluates against 99 images, but has 50"],
        ),
        ((*FIT, "net.classifier.init_std=0"), ["net.classifier.init_std=0.0: use a number above 0"]),
        (
            ("fit", "net/generator=dcgan", "net.generator.init_std=-1"),
            ["net.generator.init_std=-1.0: use a number above 0"],
        ),
        (("fit", "net/generator=lean", "net.generator.channels=[]"), ["net.generator.channels=[]: name the width"]),
        (
            ("fit", "net/generator=lean", "net.generator.channels=[16,0]"),
            ["net.generator.channels=[16, 0]: name the width, 1 or more"],
        ),
        ((*FIT, "net.generator.norm=group"), ["net.generator.norm=group: use batch or weight or virtual"]),
        ((*FIT, "net.generator.norm=virtual", "net.generator.reference=1"), ["net.generator.reference=1", "2 or more"]),
        (
            ("fit", "net/classifier=dcgan", "net.classifier.hidden=[8]"),
            ["net.classifier.hidden: a key of another network, method or data set"],
        ),
        ((*FIT, "dataset=0"), ["dataset=0: a group takes the name of a file"]),
        ((*FIT, "trainer=[1,2]"), ["trainer=[1,2]: a group takes the name of a file"]),
        ((*FIT, "net.generator.hidden=[[1]]"), ["net.generator.hidden=[[1]]: name the width"]),
        ((*FIT, "~dataset=0"), ["~dataset=0: a group takes the name of a file"]),
        ((*FIT, "method=gan"), ["validation=100: method=gan has no classes; use validation=0"]),
        (
            (*FIT, "method.name=supervised"),
            ["method.name=supervised: has no keys of that method; use method=supervised"],
        ),
        (
            (*FIT, "dataset.name=mnist"),
            ["dataset.name=mnist: is the name of another data set than this one; use dataset=mnist, or another name"],
        ),
        ((*FIT, "max_time=''"), ["max_time=: use a time like 90s, 30m or 1h30m"]),
        (
            (*FIT, "method=gan", "method.terms.class_balance.weight=1"),
            ["method.terms.class_balance.weight=1.0: method=gan has no classes; use 0"],
        ),
        ((*FIT, "net.generator.output=relu"), ["net.generator.output=relu: use sigmoid or softplus"]),
        ((*CPU, "method.precision=16-mixed"), ["method.precision=16-mixed: wants a GPU; use method.precision=auto"]),
        ((*FIT, "method.precision=int3"), ["method.precision=int3", "32-true"]),
        ((*FIT, "trainer.accelerator=abacus"), ["trainer.accelerator=abacus", "auto"]),
        (
            (*FIT, "method.classifier_optimizer.lr=-1"),
            ["method.classifier_optimizer: Invalid learning rate", "lr=-1"],
        ),
        (
            (*FIT, "method.generator_optimizer.betas=[2,0.9]"),
            ["method.generator_optimizer: Invalid beta", "betas=[2, 0.9]"],
        ),
        ((*FIT, "method.generator_optimizer.betas=[]"), ["method.generator_optimizer", "betas=[]"]),
        ((*FIT, "trainer.samples_every=0"), ["trainer.samples_every=0: use 1 or more"]),
        (
            (*FIT, "method.classifier_optimizer._target_=torch.optim.Adan"),
            ["method.classifier_optimizer", "torch.optim.Adan"],
        ),
        (
            (*FIT, "+method.classifier_optimizer.momentum=0.9"),
            ["method.classifier_optimizer", "unexpected keyword argument 'momentum'"],
        ),
        ((*FIT, "+method.schedule.cycles=2"), ["method.schedule", "unexpected keyword argument 'cycles'"]),
        (
            (*FIT, "method=supervised", "method.terms.pull_away.weight=1"),
            ["method.terms.pull_away.weight=1.0: method=supervised has no generator; use 0"],
        ),
        (("fit", "dataset=folder", "dataset.path=/nowhere"), ["error: dataset.path=/nowhere: no such folder\n"]),
        (("fit", "dataset=npz", "dataset.path=/nowhere.npz"), ["error: /nowhere.npz: no such file\n"]),
        (
            (*FIT, "method=improved_gna"),
            ["method=improved_gna: there is none of that name; did you mean improved_gan", "supervised"],
        ),
        ((*FIT, "method.initialization_images=1"), ["method.initialization_images=1: use 2 or more"]),
        ((*FIT, "net.classifier.hidden=[]"), ["net.classifier.hidden=[]"]),
        ((*MNIST, "data_dir=/nowhere"), ["data_dir=/nowhere", "mnist.npz", "download=true"]),
        ((*FIT, "runs_dir=/dev/null/runs"), ["/dev/null", "cannot be written"]),
        ((*FIT, "logger=pigeon"), ["logger=pigeon: there is none", "tensorboard", "wandb"]),
        (("evaluate", "dataset=digits"), ["missing: classifier=..."]),
        (("evaluate", "classifier=/nowhere.safetensors"), ["missing: dataset=..., one of", "digits"]),
        (
            ("evaluate", "classifier=/nowhere.safetensors", "dataset=digits"),
            ["classifier=/nowhere.safetensors: no such file"],
        ),
        (("sample", "checkpoint=/nowhere.ckpt", "output=x.png"), ["checkpoint=/nowhere.ckpt: no such file"]),
        (("sample", "checkpoint=/nowhere.ckpt", "output=x.png", "count=0"), ["count=0: use 1 or more"]),
        (("predict",), ["missing: classifier=..., images=..., output=..."]),
    ],
)
def test_mistakes(ssgan: Command, arguments: tuple[str, ...], messages: list[str], tmp_path: Path) -> None:
    folder = [f"runs_dir={tmp_path}"] if arguments[0] == "fit" else []
    outcome = ssgan(arguments[0], *folder, *arguments[1:])
    assert outcome.code == 1
    for message in messages:
        assert message in outcome.err
    assert outcome.err.count("error: ") == 1
    assert "Traceback" not in outcome.err
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_told(ssgan: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("ssgan.training.run.build", fail)
    outcome = ssgan(*FIT, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "not enough memory" in outcome.err
    assert "use smaller ones of method.batch_size=100" in outcome.err


def test_mistakes_in_predict(ssgan: Command, classifier_file: Path, pictures: Path, tmp_path: Path) -> None:
    def message(**changes: object) -> str:
        arguments = {"classifier": classifier_file, "images": pictures, "output": tmp_path / "p.csv"} | changes
        outcome = ssgan("predict", *(f"{key}={value}" for key, value in arguments.items()))
        assert outcome.code == 1
        assert "Traceback" not in outcome.err
        return outcome.err

    (tmp_path / "empty").mkdir()
    assert "images=/nowhere: no such file or folder" in message(images="/nowhere")
    assert "holds no picture" in message(images=tmp_path / "empty")
    assert "cannot be written" in message(output=classifier_file / "p.csv")
    assert "cannot be written" in message(output=tmp_path)
    picture = pictures / "a.png"
    before = picture.read_bytes()
    assert f"output={picture}: is also an input file" in message(output=picture)
    assert f"output={classifier_file}: is also an input file" in message(output=classifier_file)
    assert picture.read_bytes() == before
    assert not list(tmp_path.glob("*.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.safetensors", "empty", "pictures"]


def test_a_checkpoint_that_is_none(ssgan: Command, tmp_path: Path, classifier_file: Path) -> None:
    (tmp_path / "text.ckpt").write_text("hello")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    for path in (tmp_path / "text.ckpt", tmp_path / "other.ckpt", classifier_file):
        outcome = ssgan("sample", f"checkpoint={path}", f"output={tmp_path / 's.png'}")
        assert outcome.code == 1
        assert f"checkpoint={path}: not a whole checkpoint with a generator" in outcome.err


def test_a_run_without_a_generator_has_no_samples(ssgan: Command, tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "run": "0"}, tmp_path / "last.ckpt")
    outcome = ssgan("sample", f"checkpoint={tmp_path / 'last.ckpt'}", f"output={tmp_path / 's.png'}")
    assert outcome.code == 1
    assert "holds no generator; its method trains none" in outcome.err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_says_its_keys(command: str, ssgan: Command) -> None:
    outcome = ssgan(command, "--help")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"usage: python -m ssgan.{command} ")
    keys = {field.name for field in fields(COMMANDS[command])} - {"defaults"}
    assert keys <= set(re.findall(r"^  (\w+)=", outcome.out, re.MULTILINE))
    assert "???" not in outcome.out


def test_no_prediction_leaves_the_file_of_before(ssgan: Command, classifier_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "p.csv"
    output.write_text("of before")
    (tmp_path / "no.png").write_bytes(b"no picture")
    outcome = ssgan("predict", f"classifier={classifier_file}", f"images={tmp_path / 'no.png'}", f"output={output}")
    assert outcome.code == 1
    assert "none of 1 files could be read as a picture" in outcome.err
    assert output.read_text() == "of before"


def test_a_hostile_checkpoint_executes_nothing(ssgan: Command, tmp_path: Path) -> None:
    torch.save({"generator": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.ckpt")
    outcome = ssgan("sample", f"checkpoint={tmp_path / 'bomb.ckpt'}", f"output={tmp_path / 's.png'}")
    assert outcome.code == 1
    assert "not a whole checkpoint" in outcome.err
    assert not (tmp_path / "exploded").exists()


def test_files_keep_their_usual_permissions(ssgan: Command, classifier_file: Path) -> None:
    plain = classifier_file.with_name("plain")
    plain.write_text("")
    assert stat.S_IMODE(classifier_file.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
