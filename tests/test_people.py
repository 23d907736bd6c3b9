"""Data as people have it: exports of labeling tools, copies from other systems, tables, arrays. Each is read rightly, or refused."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from PIL import Image, PngImagePlugin

import ssgan
from ssgan.command_words import as_string
from ssgan.data.arrays import image_data
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import from_arrays, npz
from ssgan.data.file_predictions import predict_files
from ssgan.data.folder import folder
from ssgan.data.image_data import ImageData
from ssgan.data.images import picture_facts, read_picture
from ssgan.data.inspection import inspect_data, warnings_of
from ssgan.data.labels import parse_labels
from ssgan.data.picture_files import find_pictures
from ssgan.data.splits import draw_split
from ssgan.data.table import as_numbers, table
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier
from ssgan.reading import PictureReading

Command = Callable[..., Outcome]
RANDOM = np.random.default_rng(0)


def draw(path: Path, level: int | None = None, size: tuple[int, int] = (8, 8)) -> Path:
    """A picture of one gray level, or of noise that no other one has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, (*size, 3), np.uint8) if level is None else np.full((*size, 3), level, np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def classes(root: Path, names: Sequence[str] = ("cat", "dog"), count: int = 3) -> Path:
    for name in names:
        for number in range(count):
            draw(root / name / f"{number}.png")
    return root


def read(root: Path, channels: int = 3, strict: bool = False, background: int = 255) -> ImageData:
    return folder("pets", str(root), 8, channels, strict, background)


def found(root: Path) -> dict[str, Any]:
    return inspect_data(read(root))


# --- Layouts of folders ---


@pytest.mark.parametrize(
    "names", [("train", "valid", "test"), ("Train", "Val", "Test"), ("TRAINING", "validation", "testing")]
)
def test_an_export_with_train_valid_and_test(names: tuple[str, str, str], tmp_path: Path) -> None:
    """Kills what made two classes of train and valid."""
    train, valid, test = names
    classes(tmp_path / train, count=4)
    classes(tmp_path / valid, count=2)
    classes(tmp_path / test, count=1)
    data = read(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.train_targets.tolist() == [0] * 4 + [1] * 4 + [0, 0, 1, 1]
    assert (data.held_out, len(data.test_images)) == (4, 2)
    report = inspect_data(data)
    assert report["classes"] == {"cat": 4, "dog": 4}
    assert (report["validation"], report["test"]) == (4, 2)


def test_its_validation_images_are_for_validation(tmp_path: Path) -> None:
    classes(tmp_path / "pets/train", count=6)
    classes(tmp_path / "pets/valid", count=2)
    data = read(tmp_path / "pets")
    split = draw_split(data.train_targets.numpy(), 2, "all", 0, 2, held_out=data.held_out)
    assert set(range(12, 16)) < set(split.validation)
    assert len(split.validation) == 2 + 4
    assert max(split.labeled) < 12
    assert SemiSupervisedData(data, split).pool.max() < 12


def test_train_can_be_a_class(tmp_path: Path) -> None:
    classes(tmp_path, ("bus", "train", "tram"))
    assert read(tmp_path).class_names == ("bus", "train", "tram")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda root: [classes(root / "train"), draw(root / "bus/1.png")],
            "is train a class, or does it hold the classes",
        ),
        (lambda root: draw(root / "train/1.png"), r"train/ holds no|0 sub-folders of classes"),
        (lambda root: [classes(root), draw(root / "val/1.png")], "val/ holds pictures, but no folders of classes"),
        (lambda root: [classes(root), classes(root / "val", ("cat", "cow"))], "val/cow is no class"),
        (lambda root: [classes(root), classes(root / "test", ("Cat", "Dog"))], "test/Cat is no class"),
        (lambda root: [classes(root / "val"), classes(root / "valid")], "val and valid are both for validation"),
        (
            lambda root: [classes(root / "Testdata"), classes(root / "Traindata")],
            "is Testdata a class, or a part of the data",
        ),
        (lambda root: [classes(root), classes(root / "kept")], "kept/ holds cat/, as a folder of classes does"),
        (lambda root: classes(root / "pets"), r"1 sub-folders of classes.*did you mean dataset.path=.*pets"),
        (
            lambda root: [draw(root / "images/1.png"), write(root / "labels.csv")],
            "dataset=table dataset.path=.*labels.csv",
        ),
        (lambda root: [classes(root), write(root / "cow/x.heic")], r"cow holds no picture.*1 \.heic"),
    ],
)
def test_a_layout_that_could_mean_two_things_is_refused(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    make(tmp_path)
    with pytest.raises(SsganError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("name", ["Unlabeled", "unlabelled", "UNLABELED", "un-labeled", "unlabeled images"])
def test_unlabeled_in_any_spelling(name: str, tmp_path: Path) -> None:
    draw(classes(tmp_path) / name / "deep/er/1.png")
    assert found(tmp_path)["unlabeled"] == 1
    assert read(tmp_path).class_names == ("cat", "dog")


@pytest.mark.parametrize("place", ["test", "test/images", "Test"])
def test_a_flat_test_folder_is_to_be_predicted(place: str, tmp_path: Path) -> None:
    """Kills what dropped it in silence."""
    classes(tmp_path)
    picture = draw(tmp_path / place / "1.png")
    data = read(tmp_path)
    assert data.origin.to_predict == (picture,)
    assert inspect_data(data)["to_predict"] == 1


@pytest.mark.slow
def test_it_is_predicted(ssgan: Command, tmp_path: Path) -> None:
    classes(tmp_path / "pets", count=8)
    draw(tmp_path / "pets/test/new.png")
    tiny = [
        "method=supervised",
        "net/classifier=small",
        "net.classifier.widths=[4]",
        "method.batch_size=8",
        "method.epochs=1",
        "method.least_steps=0",
    ]
    source = ["dataset=folder", f"dataset.path={tmp_path / 'pets'}", "dataset.size=8", "method.labeled_batch_size=8"]
    folds = ["calibration_folds=2", "calibration_runs=1"]
    outcome = ssgan("fit", *source, *tiny, *folds, f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    assert "1 in the test folder without a class" in outcome.out
    (predictions,) = (tmp_path / "runs").rglob("predictions.csv")
    lines = predictions.read_text().splitlines()
    assert lines[1].startswith(str(tmp_path / "pets/test/new.png"))
    assert lines[1].split(",")[1] in ("cat", "dog")
    classifier = load_classifier(predictions.with_name("classifier.safetensors"))
    assert classifier.temperature != 1
    predict_files(classifier, [tmp_path / "pets/test/new.png"], tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == predictions.read_text()


def test_links_are_followed_once(tmp_path: Path) -> None:
    """Kills a pool that counts 0, and a walk without end."""
    classes(tmp_path / "pets")
    draw(tmp_path / "pool/1.png")
    (tmp_path / "pets/unlabeled").symlink_to(tmp_path / "pool")
    (tmp_path / "pool/again").symlink_to(tmp_path / "pool")
    (tmp_path / "pets/cow").symlink_to(tmp_path / "pets/cat")
    draw(tmp_path / "elsewhere.png").rename(tmp_path / "elsewhere.png")
    (tmp_path / "pets/dog/link.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "pets/dog/gone.png").symlink_to(tmp_path / "nowhere.png")
    report = found(tmp_path / "pets")
    assert report["unlabeled"] == 1
    assert report["classes"] == {"cat": 3, "cow": 3, "dog": 4}
    assert report["skipped"] == {"broken link": 1}
    assert report["conflicts"] == 3  # each cat is a cow too


def test_a_folder_that_is_hidden_itself_is_read(tmp_path: Path) -> None:
    """Its owner named it: what is hidden in it is junk, and it is not."""
    root = classes(tmp_path / ".pets")
    draw(root / ".git/x.png")
    assert found(root)["classes"] == {"cat": 3, "dog": 3}
    assert len(find_pictures(str(root / "cat" / ".."))) == 6
    assert len(find_pictures(str(root))) == 6


def test_numbered_classes_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    assert read(classes(tmp_path, ("10", "2", "1"))).class_names == ("1", "2", "10")
    assert read(classes(tmp_path / "more", ("img_10", "img_9"))).class_names == ("img_9", "img_10")
    assert read(classes(tmp_path / "one", ("dog2", "dog", "dog10"))).class_names == ("dog", "dog2", "dog10")


def test_junk_is_skipped_at_every_depth_and_counted(tmp_path: Path) -> None:
    """Kills 10 cats that become 15 with a checkpoint folder."""
    classes(tmp_path, count=10)
    for number in range(5):
        draw(tmp_path / f"cat/.ipynb_checkpoints/{number}-checkpoint.png")
    draw(tmp_path / ".ipynb_checkpoints/x.png")
    write(tmp_path / "cat/._0.png")
    write(tmp_path / "cat/deeper/._1.png")
    draw(tmp_path / "__MACOSX/cat/x.png")
    draw(tmp_path / "dog/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg")
    for name in (".DS_Store", "cat/.DS_Store", "dog/Thumbs.db", "cat/notes.txt", "cat/more.TXT", "README", "loose.png"):
        write(tmp_path / name)
    report = found(tmp_path)
    assert report["classes"] == {"cat": 10, "dog": 10}
    assert report["skipped"] == {
        ".ipynb_checkpoints": 6,
        "._*": 2,
        "__MACOSX": 1,
        "@eaDir": 1,
        ".DS_Store": 2,
        "Thumbs.db": 1,
        ".txt": 2,
        "no suffix": 1,
        "in no class folder": 1,
    }
    assert found(tmp_path) == report  # the second time from the decoded pictures, which are not counted


# --- Pictures ---


@pytest.mark.parametrize(
    "suffix", [".webp", ".bmp", ".tif", ".TIFF", ".gif", ".PNG", ".JPG", ".jpeg", ".ppm", ".tga", ".ico"]
)
def test_every_format_that_pillow_reads(suffix: str, tmp_path: Path) -> None:
    classes(tmp_path)
    draw(tmp_path / f"cat/of_one_gray{suffix}", 77, (16, 16))  # Pillow 12 writes no smaller icon
    data = read(tmp_path)
    assert data.train_targets.tolist().count(0) == 4
    assert (data.train_images.float().mean((1, 2, 3)) - 77).abs().min() < 2


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (10, 200)]
    for suffix in ("gif", "tif"):
        frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
        pixels, _ = read_picture(tmp_path / f"a.{suffix}", (1, 8, 8))
        assert pixels.unique().tolist() == [10], suffix


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_the_background(mode: str, tmp_path: Path) -> None:
    """Kills black drawings on transparency that become all black."""
    drawing = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, 255), (2, 2, 6, 6))
    if mode == "P":
        palette = Image.new("P", (8, 8), 0)
        palette.putpalette([0, 0, 0, 0, 0, 0])
        palette.paste(1, (2, 2, 6, 6))
        palette.save(tmp_path / "a.png", transparency=0)
    else:
        drawing.convert(mode).save(tmp_path / "a.png")
    for level in (255, 100):
        pixels, _ = read_picture(tmp_path / "a.png", (1, 8, 8), PictureReading(background=level))
        assert pixels[0, 0, 0] == level
        assert pixels[0, 3, 3] == 0
        assert (pixels == 0).sum() == 16


def test_sixteen_bits_of_gray_keep_their_contrast(tmp_path: Path) -> None:
    """Kills a 12-bit X-ray that keeps 16 levels; the test image is read as the training images are, and so is a new one."""
    for number in range(4):
        gray = np.arange(64, dtype=np.uint16).reshape(8, 8) * 65 + number  # 0..4098
        path = tmp_path / f"{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(gray).save(path)
    (tmp_path / "test/a").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 2049, np.uint16)).save(tmp_path / "test/a/1.png")
    data = read(tmp_path, channels=1)
    assert data.train_images[0].unique().numel() == 64
    assert (data.train_images.min(), data.train_images.max()) == (0, 255)
    assert data.test_images.unique().tolist() == [128]
    assert any("0 becomes black, 4098 white" in note for note in data.origin.notes)
    assert read(tmp_path, channels=1).digest == data.digest  # from the decoded pictures
    pixels, _ = read_picture(tmp_path / "test/a/1.png", (1, 8, 8), data.origin.reading)
    assert pixels.unique().tolist() == [128]


@pytest.mark.parametrize("mode", ["CMYK", "P", "1", "YCbCr", "I;16", "F"])
def test_every_color_mode_is_read(mode: str, tmp_path: Path) -> None:
    classes(tmp_path)
    for of_class in ("cat", "dog"):
        for number, level in enumerate((0, 255)):
            picture = Image.new("L", (8, 8), level)
            picture = (
                Image.fromarray(np.asarray(picture).astype(np.uint16) * 16) if mode == "I;16" else picture.convert(mode)
            )
            picture.save(tmp_path / f"{of_class}/mode{number}.{'tif' if mode != 'YCbCr' else 'jpg'}")
    data = read(tmp_path)
    means = data.train_images.float().mean((1, 2, 3))
    assert (means < 1).sum() == 2
    assert (means > 254).sum() == 2


def test_long_comments_and_turned_photographs_are_read(tmp_path: Path) -> None:
    comment = PngImagePlugin.PngInfo()
    comment.add_text("history", "x" * (3 << 20), zip=True)
    Image.new("L", (8, 8), 9).save(tmp_path / "a.png", pnginfo=comment)
    assert read_picture(tmp_path / "a.png", (1, 8, 8))[0].unique().tolist() == [9]
    turned = Image.Exif()
    turned[0x0112] = 6
    half = np.zeros((8, 16), np.uint8)
    half[:, 8:] = 255  # the right half is white; turned, the lower one
    Image.fromarray(half).save(tmp_path / "b.jpg", exif=turned, quality=100)
    pixels, resized = read_picture(tmp_path / "b.jpg", (1, 16, 8))
    assert pixels[0, :6].max() < 10
    assert pixels[0, 10:].min() > 245
    assert not resized


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("deep", [False, True])
def test_uncompressed_pictures_are_turned(orientation: int, deep: bool, tmp_path: Path) -> None:
    """Kills pixels that are mapped from the file as if its sides had been turned already."""
    pixels = np.arange(24, dtype=np.uint16 if deep else np.uint8).reshape(4, 6) * (256 if deep else 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.tif", exif=exif)
    upright = np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    found, resized = read_picture(tmp_path / "a.tif", (1, *upright.shape))
    assert not resized
    assert (found[0].numpy() == (upright >> 8 if deep else upright)).all()


def test_a_large_photograph_is_read_at_a_fraction(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (600, 1))).save(tmp_path / "a.jpg", quality=95)
    pixels, resized = read_picture(tmp_path / "a.jpg", (1, 8, 8))
    expected = ramp.reshape(8, 100).mean(1)
    assert resized
    assert np.abs(pixels[0].float().numpy() - expected).max() < 3


def test_no_picture_is_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow takes a format from the content, whatever the name, and hands PostScript to Ghostscript, which runs it."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("another program was started")

    monkeypatch.setattr("subprocess.check_call", started)
    monkeypatch.setattr("PIL.EpsImagePlugin.has_ghostscript", lambda: True)
    path = tmp_path / "cat.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    for reads in (lambda: read_picture(path, (3, 8, 8)), lambda: picture_facts(path)):
        with pytest.raises(SsganError, match=r"cat.png: not a picture that can be read"):
            reads()


# --- What is the same ---


def test_duplicates_conflicts_and_leaks_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes(tmp_path)
    same = (tmp_path / "cat/0.png").read_bytes()
    for name in ("cat/copy.png", "unlabeled/copy.png", "dog/other.png", "test/cat/seen.png", "test/cat/new.png"):
        write(tmp_path / name)
        (tmp_path / name).write_bytes(same)
    draw(tmp_path / "test/cat/new.png")
    report = found(tmp_path)
    assert (report["duplicates"], report["conflicts"], report["leaks"]) == (3, 1, 1)
    assert report["examples"]["leaks"] == ["test/cat/seen.png = cat/0.png"]
    assert report["examples"]["conflicts"] == ["dog/other.png = cat/0.png"]
    assert len(warnings_of(report)) == 2
    with pytest.raises(SsganError, match=r"strict=true: .* different labels: 1 \(dog/other.png = cat/0.png\)"):
        read(tmp_path, strict=True)
    (tmp_path / "dog/other.png").unlink()
    with pytest.raises(SsganError, match=r"strict=true: .*: 1 \(test/cat/seen.png = cat/0.png\)"):
        read(tmp_path, strict=True)


# --- Tables ---


def of_table(path: Path, **settings: Any) -> ImageData:
    columns = {"path_column": "path", "label_column": "label", "split_column": "split"}
    return table("t", str(path), **{**columns, "size": 8, "channels": 1, "strict": False, **settings})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(8):
        draw(tmp_path / f"pictures/{number}.png", number)
    return tmp_path


def test_a_table(pictures: Path) -> None:
    rows = (
        "path,label,split\npictures/0.png,cat,\npictures/1.png,dog,train\npictures/2.png,,train\npictures/3.png,dog,valid\n"
        "pictures/4.png,cat,test\npictures/5.png,,test\npictures/6.png,cow,Train\npictures/0.png,cat,\n"
    )
    data = of_table(write(pictures / "labels.csv", rows))
    assert data.class_names == ("cat", "cow", "dog")
    assert data.train_images[:, 0, 0, 0].tolist() == [0, 1, 2, 6, 3]
    assert data.train_targets.tolist() == [0, 2, -1, 1, 2]
    assert (data.held_out, data.test_targets.tolist()) == (1, [0])
    assert data.origin.to_predict == (pictures / "pictures/5.png",)
    assert data.origin.skipped == {"repeated row": 1}
    assert of_table(pictures / "labels.csv").digest == data.digest  # from the decoded pictures


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("path;label\npictures/0.png;a\npictures\\1.png;b\n", [0, 1]),
        ("\ufeffpath\tlabel\npictures/0.png\ta\npictures/1.png\t\npictures/2.png\tb\n", [0, -1, 1]),
        ('path,label\n"pictures/0.png","a, or so"\n"pictures/1.png","b"\n', [0, 1]),
        (" path , label \r\n pictures/0.png , a \r\n ./pictures/1.png , b \r\n", [0, 1]),
        ("id,path,label\n1,pictures/0.png,1.0\n2,pictures/1.png,\n3,pictures/2.png,10.0\n4,pictures/3.png,2.0\n", None),
        ("path,label\npictures/0.png,1.0\npictures/1.png,nan\npictures/2.png,2.0\n", [0, -1, 1]),
        ("path,label\npictures/0.png,002\npictures/1.png,001\npictures/2.png,<NA>\n", [1, 0, -1]),
    ],
)
def test_tables_as_programs_write_them(text: str, targets: list[int] | None, pictures: Path) -> None:
    path = write(pictures / "labels.csv", text)
    if targets is None:  # 1, 2 and 10
        with pytest.raises(SsganError, match=r"1 of 4 images have label 10.*give class_names for all 3"):
            of_table(path)
        assert of_table(path, class_names=["1", "2", "10"]).train_targets.tolist() == [0, -1, 2, 1]
    else:
        assert of_table(path).train_targets.tolist() == targets


def test_numbers_with_zeros_before_them_are_words(pictures: Path) -> None:
    """Kills 002 that is taken for class 2 of these names, counted from 0, and 01 that is taken for 1."""
    path = write(pictures / "a.csv", "path,label\npictures/0.png,000\npictures/1.png,001\npictures/2.png,002\n")
    assert of_table(path).class_names == ("000", "001", "002")
    assert of_table(path, class_names=["002", "001", "000"]).train_targets.tolist() == [2, 1, 0]
    path = write(pictures / "b.csv", "path,label\npictures/0.png,1\npictures/1.png,01\npictures/2.png,2\n")
    data = of_table(path)
    assert data.class_names == ("01", "1", "2")
    assert "01 and 1 are 2 classes" in data.origin.notes


def test_a_column_of_parts_by_another_name(pictures: Path) -> None:
    """Kills pictures for testing that are trained on, since nobody looked for their column."""
    rows = "path,label,{}\npictures/0.png,a,train\npictures/1.png,b,train\npictures/2.png,a,test\n"
    path = write(pictures / "labels.csv", rows.format("Subset"))
    assert of_table(path).origin.notes == (
        "column Subset is not read: is it train, test and so on? dataset.split_column=Subset",
    )
    assert len(of_table(path, split_column="Subset").test_images) == 1
    for settings, header in (({}, "Split"), ({"split_column": "subset"}, "Subset")):
        with pytest.raises(
            SsganError, match=f"no column {settings.get('split_column', 'split')}; it has path, label, {header}"
        ):
            of_table(write(pictures / "labels.csv", rows.format(header)), **settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na,b\n", r"no column path; it has file, label. Name yours: dataset.path_column="),
        ("path,label\npictures/0.png,a\npictures/99.png,b\n", r"1 pictures are not there, row 3: pictures/99.png"),
        ("path,label\npictures/0.png,a\npictures/0.png,b\n", "rows 2 and 3 name pictures/0.png with different labels"),
        ("path,label\npictures/0.png,a\n./pictures/0.png,b\n", "rows 2 and 3 name"),
        ("path,label,split\npictures/0.png,a,dev\npictures/1.png,b,\n", "row 2 has split 'dev'"),
        (
            "path,label,split\npictures/0.png,a,\npictures/1.png,b,\npictures/2.png,,val\n",
            "row 4 is for validation and has no",
        ),
        ("path,label\npictures/0.png,a,x\n", "row 2 has another number of cells"),
        ("path,label\n", "has no rows"),
        ("path,label,label\npictures/0.png,a,x\npictures/1.png,b,x\n", "2 columns are named label. Rename all but one"),
        ("path,label\npictures/0.png,a\npictures/1.png,a\n", "1 class. A classifier needs two"),
        ("path,label\npictures/0.png,0.5\npictures/1.png,1\n", "column label: label 0.5: use whole numbers or words"),
        ("path,label\n\n\npictures/0.png,a\nno.png,b\n", "row 5: no.png"),
        ("sep=,\npath,label\npictures/0.png,a\nno.png,b\n", "row 4: no.png"),
    ],
)
def test_a_table_that_is_wrong_is_refused(text: str, message: str, pictures: Path) -> None:
    with pytest.raises(SsganError, match=message):
        of_table(write(pictures / "labels.csv", text))


def test_a_table_in_another_encoding_is_refused(pictures: Path) -> None:
    (pictures / "labels.csv").write_bytes("path,label\npictures/0.png,grün\n".encode("latin-1"))
    with pytest.raises(SsganError, match="not a text file in UTF-8"):
        of_table(pictures / "labels.csv")


# --- Labels ---

CASES: list[tuple[str, Any, list[int], tuple[str, ...]]] = [
    ("words", np.array(["dog", "cat", ""]), [1, 0, -1], ("cat", "dog")),
    ("bytes", np.array([b"dog", b"cat", b"dog"]), [1, 0, 1], ("cat", "dog")),
    ("numbered words", np.array(["10", "9", "9"]), [1, 0, 0], ("9", "10")),
    ("objects", np.array(["dog", None, "cat"], dtype=object), [1, -1, 0], ("cat", "dog")),
    ("objects of numbers", np.array([1, None, 0], dtype=object), [1, -1, 0], ("0", "1")),
    ("floats with NaN", np.array([0.0, np.nan, 1.0]), [0, -1, 1], ("0", "1")),
    ("a column", np.array([[0], [1], [-1]]), [0, 1, -1], ("0", "1")),
    ("one-hot", np.array([[1, 0], [0, 1], [0, 0]]), [0, 1, -1], ("0", "1")),
    ("one-hot, a class without images", np.eye(4)[[0, 1, 1]], [0, 1, 1], ("0", "1", "2", "3")),
    ("one-hot floats with NaN", np.array([[1, 0], [0, 1], [np.nan, np.nan]]), [0, 1, -1], ("0", "1")),
    ("booleans", np.array([True, False, True]), [1, 0, 1], ("0", "1")),
    ("from 1", np.array([1, 2, -1]), [0, 1, -1], ("1", "2")),
    ("big-endian", np.array([0, 1, 1], dtype=">i4"), [0, 1, 1], ("0", "1")),
    ("uint8", np.array([0, 1, 1], dtype=np.uint8), [0, 1, 1], ("0", "1")),
]


@pytest.mark.parametrize(("labels", "targets", "names"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_labels_in_any_form(labels: np.ndarray, targets: list[int], names: tuple[str, ...]) -> None:
    data = from_arrays(np.zeros((3, 8, 8), np.uint8), labels)
    assert data.train_targets.tolist() == targets
    assert data.class_names == names


@pytest.mark.parametrize(
    ("labels", "names", "targets"),
    [
        ([0, 2, 1], ["a", "b", "c"], [0, 2, 1]),
        ([1, 3, 2], ["a", "b", "c"], [0, 2, 1]),
        ([10, 30, 20], ["a", "b", "c"], [0, 2, 1]),
        (["c", "a", ""], ["c", "b", "a"], [0, 2, -1]),
        ([8, 3, 5], ["3", "5", "8"], [2, 0, 1]),
        ([0, 2, 1], ["0", "1", "2"], [0, 2, 1]),
        ([10, 30, 20], ["30.0", "20.0", "10.0"], [2, 0, 1]),
        ([True, False, True], ["True", "False"], [0, 1, 0]),
        ([True, False, True], ["no", "yes"], [1, 0, 1]),
        (["None", "a", "None"], ["a", "None"], [1, 0, 1]),
    ],
)
def test_labels_with_class_names(labels: list[Any], names: list[str], targets: list[int]) -> None:
    data = from_arrays(np.zeros((3, 8, 8), np.uint8), np.array(labels), class_names=names)
    assert data.train_targets.tolist() == targets
    assert data.class_names == tuple(names)


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        ([0, 1, 255, 255, 255], {}, r"3 of 5 images have label 255.*0 to 1.*dataset\.no_label=255.*class_names"),
        (
            [0, 1, 255, 255, 255],
            {"class_names": ["a", "b", "c"]},
            r"label 255, and the others 0 to 1.*no_label=255; if it is c,",
        ),
        ([0, 1, 2, 2, 99], {}, r"1 of 5 images have label 99.*no_label=99"),
        ([0, 0, 0, 7, 3], {}, "0, 3, 7, with gaps.*class_names, 3 of"),
        ([0, 1, -100, 1, 0], {}, r"label -100. .*no_label=-100"),
        ([1, 2, 3, 10, 1], {"class_names": list("0123")}, r"1 to 10. They must be 0\.\.3 for these 4"),
        (
            [1, 2, 1, 2, 1],
            {"class_names": ["1", "2", "3"]},
            "label 1 could be the class named 1 or class 1 counted from 0, 2",
        ),
        ([0, 1, 5, 1, 0], {"class_names": ["a", "b"]}, r"0 to 5. They must be 0\.\.1"),
        (["a", "b", "x", "a", "b"], {"class_names": ["a", "b"]}, "label 'x' is none of the class names, a, b"),
        (
            [0, 1, 2, 1, 2],
            {"class_names": ["002", "001", "000"]},
            "label 0 could be the class named 000 or class 0 counted from 0, 002",
        ),
        ([0.0, 1.0, 1.0, 0.0, 1.0], {"class_names": ["1.0", "0.0"]}, "label 0 could be the class named 0.0 or"),
        ([0.5, 1, 0, 0, 1], {}, r"label 0\.5: use whole numbers"),
        ([np.inf, 1, 0, 0, 1], {}, "label inf: use whole numbers"),
        (["cat", "dog", "unlabeled", "cat"], {}, "1 images have label unlabeled.*no_label=unlabeled.*class_names"),
        (["cat", "dog", "?", "cat"], {}, r"1 images have label \?.*no_label='\?'"),
        (["a", "b", "None", "a", "None"], {}, "2 images have label None.*no_label=None.*class_names"),
        (["0", "1", "NA", "0", "NA"], {}, "2 images have label NA.*no_label=NA.*class_names"),
        (["a", "b", "null", "a", "b"], {}, "1 images have label null.*no_label=\"'null'\""),
        (["a", "b", "X", "a", "X"], {"no_label": "x"}, "no_label=x, and no label is that; they are X, a, b"),
        (["a", "b", "#N/A", "a", "b"], {}, "1 images have label #N/A"),
        (["1", "1.0", "other", "2", "1"], {}, "has the labels 1 and 1.0, which would be two classes"),
        ([0, 1, 1, 0, 1], {"no_label": 255}, "no_label=255, and no label is that; they are 0, 1"),
        ([0, 1, 1, 0, 1], {"no_label": "?"}, r"no_label=\?, and no label is that"),
        ([[0.2, 0.8]] * 5, {}, "rows of 2 numbers. Use rows with a single 1"),
        ([["a", "b"]] * 5, {}, r"shape \(5, 2\). It needs one label per image"),
        ([1, 1, 1, 1, 1], {}, "1 class. A"),
        ([0, 0, 0, 0, 0], {}, "1 class. A"),
        ([-1] * 5, {}, "0 classes. A"),
    ],
)
def test_labels_that_could_mean_two_things(labels: list[Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SsganError, match=message):
        from_arrays(np.zeros((5, 8, 8), np.uint8), np.array(labels), **settings)


@pytest.mark.parametrize("code", [255, -100, "unknown", "None"])
def test_a_code_for_no_label(code: int | str) -> None:
    labels = np.array(["0", "1", code]) if isinstance(code, str) else np.array([0, 1, code])
    data = from_arrays(np.zeros((3, 8, 8), np.uint8), labels, no_label=code)
    assert data.train_targets.tolist() == [0, 1, -1]
    assert data.class_names == ("0", "1")


def test_a_code_in_words() -> None:
    """As a command line or JSON may have it."""
    data = from_arrays(np.zeros((3, 8, 8), np.uint8), np.array([0, 255, 1]), no_label="255")
    assert data.train_targets.tolist() == [0, -1, 1]


def test_labels_of_training_and_test_are_read_alike() -> None:
    """Kills two parts of which each has its own order of words."""
    parts = {"y_train": np.array(["cat", "dog", ""]), "y_test": np.array(["dog", "cow"])}
    targets, names, _ = parse_labels(parts)
    assert names == ("cat", "cow", "dog")
    assert targets["y_train"].tolist() == [0, 2, -1]
    assert targets["y_test"].tolist() == [2, 1]


def test_a_class_that_is_called_nan() -> None:
    """It is bread. Without its name among the classes it is no label, and said so."""
    words = np.array(["nan", "rice", "nan", ""], dtype=object)
    targets, _, notes = parse_labels({"y": words}, ["nan", "rice"])
    assert (targets["y"].tolist(), notes) == ([0, 1, 0, -1], [])
    _, names, notes = parse_labels({"y": np.array(["nan", "rice", "bread"], dtype=object)})
    assert names == ("bread", "rice")
    assert "1 labels are nan, which is no label" in notes[0]
    assert as_numbers(["nan", "1"], ["nan", "1"]).tolist() == ["nan", "1"]


def test_two_spellings_of_a_class_are_told() -> None:
    _, _, notes = parse_labels({"y": np.array(["cat", "Cat", "dog"])})
    assert notes == ["Cat and cat are 2 classes"]


# --- Arrays of images ---

LEVELS = RANDOM.integers(0, 256, (6, 8, 9, 3), np.uint8)
LEVELS[0, 0, 0] = 255, 0, 0
Y = np.arange(6) % 2


@pytest.mark.parametrize(
    "images",
    [
        LEVELS,
        LEVELS.transpose(0, 3, 1, 2),
        np.asfortranarray(LEVELS),
        LEVELS.astype(np.int64),
        LEVELS.astype(">i2"),
        LEVELS.astype(np.float32),
        LEVELS / 255,
        (LEVELS / 255).astype(">f4"),
        torch.from_numpy(LEVELS),
        LEVELS.tolist(),
    ],
    ids=["last", "first", "fortran", "int64", "big-endian", "0..255", "0..1", "big-endian 0..1", "tensor", "lists"],
)
def test_images_in_any_form(images: Any) -> None:
    data = from_arrays(images, Y)
    np.testing.assert_array_equal(data.train_images.permute(0, 2, 3, 1), LEVELS)


def test_booleans_and_sixteen_bits() -> None:
    data = from_arrays(LEVELS[..., 0] > 100, Y)
    np.testing.assert_array_equal(data.train_images[:, 0], np.where(LEVELS[..., 0] > 100, 255, 0))
    deep = LEVELS[..., 0].astype(np.uint16) * 16
    data = from_arrays(deep, Y, deep[:2] + 8, Y[:2])
    np.testing.assert_array_equal(data.train_images[:, 0], LEVELS[..., 0])
    np.testing.assert_allclose(data.test_images[:, 0], LEVELS[:2, ..., 0], atol=1)
    assert data.origin.notes == ("x_train: uint16 values 0..4080 become 0..255",)


def test_images_that_are_nearly_black_are_told() -> None:
    data = from_arrays(LEVELS[..., 0] // 16, Y)
    assert "no value is above 15 of 255" in data.origin.notes[0]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (LEVELS / 127.5 - 1, r"values from -1 to 1. Use 0\.\.255, or floats in \[0, 1\]"),
        (np.full((6, 8, 8), np.inf), "NaN or infinite"),
        (LEVELS.astype(float) * 2, r"to 510. Use 0\.\.255"),
        (LEVELS.reshape(6, -1)[:, :64], "Rows of 64 may be 8x8 images: reshape them"),
        (np.zeros((6, 8, 8, 4), np.uint8), "A fourth channel is transparency"),
        (np.array([["a"]] * 6), "Store images as uint8"),
        (np.array([None] * 6), "is object. Store images as uint8"),
    ],
)
def test_images_that_could_mean_two_things(images: np.ndarray, message: str) -> None:
    with pytest.raises(SsganError, match=message):
        from_arrays(images, Y)


def test_test_images_are_in_the_range_of_training_images() -> None:
    """Kills floats in [0, 1] for training and 0..255 for testing, which would be white."""
    with pytest.raises(SsganError, match="x_test holds values from 0 to 255, x_train up to 1"):
        from_arrays(LEVELS / 255, Y, LEVELS.astype(float), Y)
    deep = LEVELS[..., 0].astype(np.uint16) * 16
    for training, testing in (
        (LEVELS, LEVELS / 255),
        (deep, LEVELS[..., 0]),
        (deep, deep * 16),
        (deep, LEVELS[..., 0] / 255),
    ):
        with pytest.raises(SsganError, match=r"x_test is .*, x_train .* up to .* Use one type and one range for all"):
            from_arrays(training, Y, testing, Y)
    notes = from_arrays(LEVELS, Y, LEVELS // 255, Y).origin.notes
    assert notes == ("x_test: no value is above 1, and in x_train they are up to 255",)
    assert not from_arrays(LEVELS, Y, np.zeros_like(LEVELS, dtype=float), Y).origin.notes  # black in any range


def test_the_arrays_of_medmnist(tmp_path: Path) -> None:
    arrays = {f"{part}_images": LEVELS[:count] for part, count in (("train", 6), ("val", 2), ("test", 4))}
    arrays |= {
        f"{part}_labels": Y[:count, None].astype(np.uint8) for part, count in (("train", 6), ("val", 2), ("test", 4))
    }
    np.savez(tmp_path / "pathmnist.npz", **arrays)
    data = npz("path", str(tmp_path / "pathmnist.npz"))
    assert data.train_targets.tolist() == [*Y, 0, 1]
    assert (data.held_out, data.test_targets.tolist()) == (2, [0, 1, 0, 1])


def test_npy_files_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x_train.npy", LEVELS.transpose(0, 3, 1, 2).copy())
    np.save(tmp_path / "y_train.npy", Y)
    for path in (tmp_path, tmp_path / "x_train.npy"):
        data = npz("own", str(path))
        np.testing.assert_array_equal(data.train_images.permute(0, 2, 3, 1), LEVELS)
    (tmp_path / "x_train.npy").write_bytes((tmp_path / "x_train.npy").read_bytes()[:-5])
    with pytest.raises(SsganError, match=r"not a whole \.npy file"):
        npz("own", str(tmp_path))


def test_two_arrays_for_one_purpose_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x_train=LEVELS, images=LEVELS, y_train=Y)
    with pytest.raises(SsganError, match="holds x_train and images, and each could be x_train"):
        npz("own", str(tmp_path / "own.npz"))


@pytest.mark.parametrize("name", ["x_unlabeled", "X_extra", "unlabeled", "images_2", "x_tst"])
def test_arrays_that_nothing_would_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kills a pool or a test set that is left out without a word."""
    np.savez(tmp_path / "own.npz", x_train=LEVELS, y_train=Y, ids=Y)
    npz("own", str(tmp_path / "own.npz"))
    assert "not read: ids" in capsys.readouterr().err
    np.savez(tmp_path / "own.npz", x_train=LEVELS, y_train=Y, **{name: LEVELS})
    with pytest.raises(SsganError, match=f"holds {name}, which is none of the arrays of a data set"):
        npz("own", str(tmp_path / "own.npz"))


def test_arrays_of_objects_in_a_file_say_what_to_do(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x_train=LEVELS, y_train=np.array(["a", "b"] * 3, dtype=object))
    with pytest.raises(SsganError, match=r"y_train holds Python objects.*y\.astype\(str\)"):
        npz("own", str(tmp_path / "own.npz"))


def test_an_unlabeled_test_image_is_refused() -> None:
    arrays = {"x_train": LEVELS, "y_train": Y, "x_test": LEVELS[:2], "y_test": np.array([0, -1])}
    with pytest.raises(SsganError, match="y_test holds 1 images without a label"):
        image_data("a", arrays, "a")


# --- The command ---


def test_inspect(ssgan: Command, tmp_path: Path) -> None:
    root = classes(tmp_path / "pets")
    write(root / "cat/notes.txt")
    draw(root / "unlabeled/1.png", size=(20, 30))
    draw(root / "test/dog/1.png")
    source = ["dataset=folder", f"dataset.path={root}", "dataset.size=16", "dataset.name=pets"]
    outcome = ssgan("inspect", *source)
    assert outcome.code == 0, outcome.err
    for words in (
        "pets: images of 3 x 16 x 16",
        "cat (3), dog (3)",
        "1 unlabeled",
        "1 to test",
        ".txt (1)",
        "30x20 (1)",
    ):
        assert words in outcome.out
    report = json.loads(ssgan("inspect", *source, "json=true").out)
    assert report["classes"] == {"cat": 3, "dog": 3}
    assert report["skipped"] == {".txt": 1}
    assert report["shape"] == [3, 16, 16]
    assert (report["unlabeled"], report["test"], report["duplicates"], report["leaks"]) == (1, 1, 0, 0)
    outcome = ssgan("inspect", "dataset=digits", "json=true")
    assert sum(json.loads(outcome.out)["classes"].values()) == 1297
    assert ssgan("inspect", "dataset=folder", f"dataset.path={tmp_path / 'nowhere'}").code == 1


def test_inspect_from_python(tmp_path: Path) -> None:
    root = classes(tmp_path / "pets")
    report = ssgan.inspect(root, settings=["dataset.size=8"])
    assert report["classes"] == {"cat": 3, "dog": 3}
    assert ssgan.inspect((LEVELS, Y))["classes"] == {"0": 3, "1": 3}
    __import__("ssgan.inspect")  # which is a module of the package's too
    assert ssgan.inspect("digits")["test"] == 500


def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = classes(tmp_path / "pets")
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    root.chmod(0o500)
    try:
        assert len(read(root).train_images) == 6
        assert "will be decoded again next time" in capsys.readouterr().err
    finally:
        root.chmod(0o700)


# --- Names of files ---


@pytest.mark.parametrize(
    "name",
    [
        "bücher",
        "a[1]",
        "a=b",
        "a~b",
        "a,b",
        "it's",
        'q"q',
        "a b",
        "a(b)",
        "a{b}",
        "100%",
        "#1",
        "a:b",
        "1_1_1",
        "null.",
        "b\\c",
        "[x]",
    ],
)
def test_a_folder_of_any_name(name: str, ssgan: Command, tmp_path: Path) -> None:
    """Kills what Hydra's grammar makes of them, 111 of 1_1_1."""
    root = classes(tmp_path / name)
    outcome = ssgan(
        "inspect", "dataset=folder", f"dataset.path={root}", "dataset.size=8", f"dataset.name={name}", "json=true"
    )
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["classes"] == {"cat": 3, "dog": 3}
    assert report["name"] == name


def test_names_in_sweeps_are_left_to_hydra() -> None:
    assert as_string("name=a,b", sweeps=True) == "name=a,b"
    assert as_string("name=a,b", sweeps=False) == "name='a,b'"
    assert as_string("name='a b'", sweeps=False) == "name='a b'"
    assert as_string("labels=1_1", sweeps=False) == "labels=1_1"
    assert as_string("output=null", sweeps=False) == "output=null"
    assert as_string("dataset.path=a(1)", sweeps=True) == "dataset.path='a(1)'"
    assert as_string("split_seed=range(0,3)", sweeps=True) == "split_seed=range(0,3)"


def test_words_in_other_alphabets_need_no_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_string("dataset.no_label=ungültig", sweeps=False) == "dataset.no_label='ungültig'"
    assert as_string("dataset.no_label=-1", sweeps=False) == "dataset.no_label=-1"
    assert as_string("dataset.class_names=[a,ä b]", sweeps=False) == "dataset.class_names=[a,'ä b']"
    monkeypatch.setenv("HOME", "/home/me")
    assert as_string("output=~/p.csv", sweeps=False) == "output=/home/me/p.csv"
    assert as_string("name=~x", sweeps=False) == "name='~x'"


def test_another_background_is_decoded_anew(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("LA", (8, 8), (0, 0)).save(tmp_path / name / "a.png")
    for level in (255, 100):
        data = read(tmp_path, background=level)
        assert (data.train_images.unique().tolist(), data.origin.reading.background) == ([level], level)


def test_a_run_says_how_its_pictures_were_read(tmp_path: Path) -> None:
    """Kills a classifier that takes 16-bit pictures in another range than it was trained on."""
    deep = np.random.default_rng(0).integers(0, 4000, (60, 8, 8)).astype(np.uint16)
    settings = ["preset=digits_gan", "method.epochs=1", "method.batch_size=20"]
    data = (deep, np.arange(60) % 2)
    result = ssgan.train(data, "supervised", 10, settings=settings, runs_dir=tmp_path, validation=0)
    assert result.classifier.reading.levels == (deep.min(), deep.max())
