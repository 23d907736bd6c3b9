"""Labels that came later, in a file: they count, are checked, and leave the split as it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, Outcome
from PIL import Image

import ssgan
from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import digest_of, with_labels_of, write_labels
from ssgan.errors import SsganError
from ssgan.reporting.predictions import data_of
from ssgan.reporting.runs import run_in
from ssgan.training import split

Command = Callable[..., Outcome]


def split_of(folder: Path) -> dict[str, list[int]]:
    (path,) = folder.rglob("split.json")
    return json.loads(path.read_text())


def write(path: Path, rows: dict[object, str]) -> Path:
    path.write_text(write_labels([str(image) for image in rows], list(rows.values())))
    return path


def test_a_number_of_labels_and_those_of_the_file(ssgan: Command, tmp_path: Path, digits: ImageData) -> None:
    """Kills a file that changes which images are drawn, one that is not used, images that stay in validation, and a label that is taken back."""
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path / 'a'}").code == 0
    before = split_of(tmp_path / "a")
    more = [before["validation"][0], *(k for k in range(30) if k not in before["labeled"])][:20]
    truth = digits.train_targets[more].tolist()
    file = write(tmp_path / "labels.csv", {place: str(target) for place, target in zip(more, truth, strict=True)})
    outcome = ssgan("fit", *TINY, f"labels_file={file}", f"runs_dir={tmp_path / 'b'}")
    assert outcome.code == 0, outcome.err
    after = split_of(tmp_path / "b")
    assert set(after["labeled"]) == {*before["labeled"], *more}
    assert set(after["validation"]) == {*before["validation"]} - {*more}
    assert after["per_class"] == digits.train_targets[after["labeled"]].bincount(minlength=10).tolist()
    assert f"{len(after['labeled'])} labeled images" in outcome.out
    again = ssgan("fit", *TINY, f"labels_file={file}", f"runs_dir={tmp_path / 'b'}")
    assert again.code == 0, again.err
    (folder,) = (path.parent for path in (tmp_path / "b").rglob("split.json"))
    assert (
        data_of(run_in(str(folder)), "data", download=False).digest
        == json.loads((folder / "split.json").read_text())["data"]
    )
    other = next(k for k in range(100) if k not in after["labeled"])
    fewer = next(k for k in more if k not in before["labeled"])
    for places in ([other], [k for k in more if k != fewer]):
        write(file, {place: str(digits.train_targets[place].item()) for place in places})
        changed = ssgan("fit", *TINY, f"labels_file={file}", f"runs_dir={tmp_path / 'b'}")
        assert changed.code == 1
        assert "began with other labels" in changed.err


def test_all_runs_of_a_command_have_the_same_labels(
    tmp_path: Path, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a file that is read again for the baseline, when somebody may have written another one."""
    file = write(tmp_path / "labels.csv", {k: str(digits.train_targets[k].item()) for k in range(20)})
    read: list[str] = []
    monkeypatch.setattr(split, "with_labels_of", lambda data, path: read.append(path) or with_labels_of(data, path))
    settings = [*TINY, f"labels_file={file}", "calibration_folds=2", "calibration_runs=1", "validation=0"]
    result = ssgan.train("digits", settings=settings, baseline=True, runs_dir=tmp_path / "runs")
    assert result.baseline is not None
    assert len(read) == 1


def test_a_report_knows_them(ssgan: Command, tmp_path: Path, digits: ImageData) -> None:
    """Labels that the data set does not have count for those who learn from pixels, too."""
    unknown = digits.train_targets.clone()
    unknown[100:] = -1
    arrays = {"x_train": digits.train_images[:300, 0], "y_train": unknown[:300], "x_test": digits.test_images[:, 0], "y_test": digits.test_targets}  # fmt: skip
    np.savez(tmp_path / "d.npz", **{name: array.numpy() for name, array in arrays.items()})
    rows = {place: str(digits.train_targets[place].item()) for place in range(100, 200)}
    file = write(tmp_path / "labels.csv", rows)
    keys = ["dataset=npz", f"dataset.path={tmp_path / 'd.npz'}", "method=supervised", "method.epochs=1", "validation=0"]
    keys += ["net/classifier=small", "net.classifier.widths=[4,4]", "method.batch_size=20", "method.least_steps=0"]
    outcome = ssgan("fit", *keys, f"labels_file={file}", f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    (folder,) = (path.parent for path in (tmp_path / "runs").rglob("split.json"))
    run = run_in(str(folder))
    data = data_of(run, "data", download=False)
    assert data.train_targets[list(run.split().labeled)].tolist() == digits.train_targets[:200].tolist()


def test_pictures_are_named_by_their_files(ssgan: Command, tmp_path: Path) -> None:
    """An unlabeled picture that is labeled later is trained on with that label."""
    random = np.random.default_rng(0)
    root = tmp_path / "pets"
    for folder, count in (("cat", 20), ("dog", 20), ("unlabeled", 80)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (8, 8, 3)).astype("uint8")
            Image.fromarray(pixels).save(root / folder / f"{number:02}, a.png")
    file = write(
        tmp_path / "labels.csv", {"unlabeled/03, a.png": "dog", "unlabeled/04, a.png": "", "cat/01, a.png": "cat"}
    )
    keys = ["dataset=folder", f"dataset.path={root}", "dataset.size=8", "method=supervised", "method.epochs=1"]
    keys += ["net/classifier=small", "net.classifier.widths=[4,4]", "method.batch_size=20", "method.least_steps=0"]
    outcome = ssgan("fit", *keys, f"labels_file={file}", f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    assert split_of(tmp_path / "runs")["per_class"] == [20, 21]


def test_all_labels_and_those_of_the_file(ssgan: Command, tmp_path: Path, digits: ImageData) -> None:
    """Kills validation images that are drawn anew from what the file labels, and then taken out of validation."""
    labels = digits.train_targets.clone()
    labels[60:] = -1
    np.savez(tmp_path / "d.npz", x_train=digits.train_images[:200, 0].numpy(), y_train=labels[:200].numpy())
    file = write(tmp_path / "l.csv", {place: str(digits.train_targets[place].item()) for place in range(50, 120)})
    keys = ["dataset=npz", f"dataset.path={tmp_path / 'd.npz'}", "validation=20", "balanced=false", "method=supervised"]
    keys += ["net/classifier=small", "net.classifier.widths=[4,4]", "method.batch_size=20", "method.least_steps=0"]
    splits = []
    for name, more in (("a", []), ("b", [f"labels_file={file}"])):
        outcome = ssgan("fit", *keys, *more, "method.epochs=1", f"runs_dir={tmp_path / name}")
        assert outcome.code == 0, outcome.err
        splits.append(split_of(tmp_path / name))
    assert splits[0]["validation"] == splits[1]["validation"]
    assert set(splits[1]["labeled"]) == {*splits[0]["labeled"], *range(60, 120)}


@pytest.fixture
def data() -> ImageData:
    images = torch.zeros(6, 1, 2, 2, dtype=torch.uint8)
    targets = torch.tensor([0, 1, -1, -1, -1, 1])
    return ImageData("d", ("ant", "bee"), images, targets, images[:0], targets[:0], held_out=1)


def test_labels_are_added(data: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes("\ufeffimage,label,note\r\n2,bee,x\r\n3,,\r\n0,ant,\r\n2,bee,twice\r\n".encode())
    labeled, places = with_labels_of(data, str(path))
    assert labeled.train_targets.tolist() == [0, 1, 1, -1, -1, 1]
    assert places == (0, 2)
    assert data.train_targets.tolist() == [0, 1, -1, -1, -1, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("2,wasp", "line 2: 'wasp' is no class of d; use one of ant, bee"),
        ("2,bee\n9,bee", "line 3: '9' is no training image of d; use 0 to 5"),
        ("-1,bee", "'-1' is no training image"),
        ("x.png,bee", "'x.png' is no training image"),
        ("5,bee", "'5' is one of the images for validation; leave it out"),
        ("1,ant", "'1' is 'ant' here and 'bee' in the data set; correct the one that is wrong"),
        ("2,ant\n2,bee", "line 3: '2' is 'bee' here and 'ant' in a line above"),
        ("2,\n3,", "holds no label; leave the key out"),
        ("", "needs a first line with the columns image and label"),
    ],
)
def test_mistakes_are_named(rows: str, message: str, data: ImageData, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"image,label\n{rows}\n")
    with pytest.raises(SsganError) as error:
        with_labels_of(data, str(tmp_path / "l.csv"))
    assert message in str(error.value)
    assert str(error.value).startswith(f"labels_file={tmp_path / 'l.csv'}")


def test_names_with_spaces_around_them(data: ImageData, tmp_path: Path) -> None:
    """Kills labels that no file can give, and a label for another image of nearly the same name."""
    files = (" a/0.png", "b.png ", "c.png", "d.png", "d.png ", "e.png")
    spaced = replace(data, class_names=("ant", "bee "), origin=replace(data.origin, files=files))
    (tmp_path / "l.csv").write_text(write_labels([files[0], files[1], files[2]], ["ant", "bee ", "bee "]))
    assert with_labels_of(spaced, str(tmp_path / "l.csv"))[0].train_targets.tolist() == [0, 1, 1, -1, -1, 1]
    (tmp_path / "l.csv").write_text("image,label\nd.png,ant\n")
    with pytest.raises(SsganError, match=r"'d\.png' is no training image"):
        with_labels_of(spaced, str(tmp_path / "l.csv"))


def test_images_of_another_data_set_are_known_by_their_digest(data: ImageData, tmp_path: Path) -> None:
    """The places of another data set, or of this one in another order, are those of other images."""
    path = tmp_path / "l.csv"
    data = replace(data, train_images=torch.randint(0, 256, data.train_images.shape, dtype=torch.uint8))
    unlabeled = (data.train_targets < 0).nonzero()[:2, 0].tolist()
    names = [str(place) for place in unlabeled]
    path.write_text(write_labels(names, [data.class_names[0]] * 2, [digest_of(data, place) for place in unlabeled]))
    assert with_labels_of(data, str(path))[1] == tuple(unlabeled)
    shuffled = replace(data, train_images=data.train_images.flip(0))
    with pytest.raises(SsganError, match=f"line 2: image {unlabeled[0]} is another one here"):
        with_labels_of(shuffled, str(path))


def test_a_spreadsheet_with_semicolons(data: ImageData, tmp_path: Path) -> None:
    """Europe's spreadsheets write what they read with commas so."""
    (tmp_path / "l.csv").write_text("image;label\n2;bee\n3;ant\n")
    assert with_labels_of(data, str(tmp_path / "l.csv"))[0].train_targets.tolist() == [0, 1, 1, 0, -1, 1]


def test_two_columns_of_one_name(data: ImageData, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("image,label,label\n2,ant,bee\n")
    with pytest.raises(SsganError, match=r"2 columns are named label\. Rename all but one"):
        with_labels_of(data, str(tmp_path / "l.csv"))


def test_files_that_are_no_tables(data: ImageData, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("path,label\na,b\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name, message in (
        ("other.csv", "columns image and label"),
        ("binary.csv", "not a text file in UTF-8"),
        ("no.csv", "No such file"),
    ):
        with pytest.raises(SsganError, match=message):
            with_labels_of(data, str(tmp_path / name))
