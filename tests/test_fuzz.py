"""Whatever a user types or is sent, a command says what is wrong with it in one message, or does what it says.

``SSGAN_FUZZ_CASES`` is the number of cases of all kinds together; benchmarks/reliability/fuzz.py runs 10,000.
"""

import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import TINY, Bomb, Outcome, make_classifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, integer_dtypes, scalar_dtypes
from PIL import Image

from ssgan.configuration import register
from ssgan.configuration_errors import known_keys
from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import with_labels_of
from ssgan.data.splits import draw_split
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier, save_classifier

KINDS = 9
CASES = int(os.environ.get("SSGAN_FUZZ_CASES", "60")) // KINDS
OUTCOMES: Counter[str] = Counter()
"""How many cases of each kind were done, and how many refused."""

fuzzed = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize="SSGAN_FUZZ_CASES" not in os.environ,  # a suite should fail for what was changed
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def call(kind: str, name: str, *arguments: object) -> Outcome:
    """The command's outcome, if it is one that a user should see: done, or refused with a message."""
    out, err = io.StringIO(), io.StringIO()
    argv = [f"ssgan/{name}.py", *map(str, arguments)]
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "argv", argv):
        try:
            import_module(f"ssgan.{name}").main()
        except SystemExit as exit_:
            outcome = Outcome(exit_.code or 0, out.getvalue(), err.getvalue())
    assert outcome.code in (0, 1), (argv, outcome)
    assert "Traceback" not in outcome.err, (argv, outcome.err)
    assert outcome.code == 0 or "error: " in outcome.err, (argv, outcome)
    OUTCOMES[f"{kind}: {'refused' if outcome.code else 'done'}"] += 1
    return outcome


NO_NUL = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
WORDS = st.text(NO_NUL, max_size=8)
VALUES = st.one_of(
    st.integers(-3, 100),
    st.floats(),
    WORDS,
    st.lists(st.integers(-2, 40), max_size=3),
    st.sampled_from(
        [
            "null",
            "true",
            "[]",
            "{}",
            "''",
            '""',
            "[[1]]",
            "{a:1}",
            "${nothing}",
            "${labels}",
            "???",
            "$",
            "1,2",
            "'",
            "=",
            "0x10",
            "1e400",
            "all",
            "nan",
            "auto",
            "../x",
            "range(1,3)",
        ]
    ),
)
GROUPS = (
    "dataset",
    "net",
    "net/classifier",
    "net/generator",
    "method",
    "preset",
    "recipe@method",
    "trainer",
    "logger",
    "augmentation",
    "strong_augmentation",
    "experiment",
    "sweep",
    "ablation",
)
LONG = ("method.epochs", "max_time", "trainer.accelerator")
"""Keys by which one may ask for a long run, or for another device."""


@pytest.fixture(scope="module")
def keys() -> list[str]:
    register()
    keys = [key for key in known_keys("config") if key not in LONG and not key.endswith(("_target_", "_partial_"))]
    return [*keys, *GROUPS, "method.batchsize", "label", "nonsense"]


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_overrides(keys: list[str], data: st.DataObject) -> None:
    """Of the kind that a user mistypes, two at once; those that can be had run for some steps."""
    overrides = [
        f"{data.draw(st.sampled_from(['', '', '', '+', '++', '~']))}{key}={data.draw(VALUES)}"
        for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2))
    ]
    with TemporaryDirectory() as runs, chdir(runs):  # one of the keys is runs_dir
        base = [*TINY, "dry_run=true", "download=false", "method.epochs=1", "trainer.limit_train_batches=2"]
        call("overrides", "fit", *base, f"data_dir={runs}", f"runs_dir={runs}/runs", *overrides)


@fuzzed
@given(
    arrays(np.int64, st.integers(0, 60), elements=st.integers(-1, 3)),
    st.one_of(st.integers(-5, 80), st.sampled_from(["all", "some", 10**30])),
    st.one_of(st.integers(0, 9), st.integers()),
    st.one_of(st.integers(-5, 40), st.just(10**30)),
    st.booleans(),
)
def test_splits(targets: np.ndarray, labels: int | str, seed: int, validation: int, balanced: bool) -> None:
    """A split that is drawn is one: labeled images with labels, as many as asked for, none of them twice."""
    try:
        split = draw_split(targets, 4, labels, seed, validation, balanced)
    except SsganError:
        OUTCOMES["splits: refused"] += 1
        return
    OUTCOMES["splits: done"] += 1
    labeled, held_out = list(split.labeled), list(split.validation)
    assert (targets[labeled + held_out] >= 0).all()
    assert len({*labeled, *held_out}) == len(labeled) + len(held_out)
    assert len(held_out) == validation
    assert len(labeled) == (labels if labels != "all" else (targets >= 0).sum() - validation)
    assert list(split.per_class) == np.bincount(targets[labeled], minlength=4).tolist()
    assert not balanced or labels == "all" or len(set(split.per_class)) == 1


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of eight by eight pixels and three classes."""
    path = tmp_path_factory.mktemp("classifier") / "c.safetensors"
    torch.manual_seed(0)
    save_classifier(path, make_classifier(classes=3), ["a", "b", "c"])
    return path


def valid_arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (12, 8, 8), np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": random.integers(0, 256, (9, 8, 8), np.uint8),
        "y_test": np.arange(9) % 3,
        "class_names": np.array(["a", "b", "c"]),
    }


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """``content`` cut, with bits flipped, or with bytes put in."""
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["whole", "cut", "flip", "flip", "put in", "empty"])):
        case "cut":
            return content[:place]
        case "flip":
            bit = bytes([content[place] ^ 1 << data.draw(st.integers(0, 7))])
            return content[:place] + bit + content[place + 1 :]
        case "put in":
            return content[:place] + data.draw(st.binary(max_size=20)) + content[place:]
        case "empty":
            return b""
    return content


ODD_ARRAYS = st.one_of(
    arrays(scalar_dtypes(), array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=9)),
    arrays(np.uint8, array_shapes(min_dims=3, max_dims=4, min_side=0, max_side=12)),
    arrays(integer_dtypes(), st.sampled_from([9, 12])),
    arrays(np.int64, st.sampled_from([9, 12]), elements=st.integers(-2, 4)),
    st.just(np.array([None, "pickled"], dtype=object)),
)


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_arrays(file: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """The error that is told is that of the file's own labels."""
    content = valid_arrays()
    for key in data.draw(st.lists(st.sampled_from([*content]), max_size=2, unique=True)):
        del content[key]
        if data.draw(st.booleans()):
            content[key] = data.draw(ODD_ARRAYS)
    buffer = io.BytesIO()
    data.draw(st.sampled_from([np.savez, np.savez_compressed]))(buffer, **content)
    path = tmp_path_factory.getbasetemp() / "fuzzed.npz"
    path.write_bytes(damaged(data, buffer.getvalue()))
    outcome = call("arrays", "evaluate", f"classifier={file}", "dataset=npz", f"dataset.path={path}")
    images, targets = content.get("x_test", np.empty(0)), content.get("y_test", np.empty(0))
    plain = images.dtype == np.uint8 and targets.dtype.kind in "iu" and targets.ndim == 1
    if outcome.code == 0 and plain and max(targets.max(), content["y_train"].max()) < 3:  # else labels are counted anew
        right = load_classifier(file).predict(images).numpy() == targets
        assert json.loads(outcome.out)["error"] == pytest.approx(1 - right.mean())


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_classifier_files(file: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A file that is read says what the whole one says."""
    base = tmp_path_factory.getbasetemp()
    np.save(base / "picture.npy", np.arange(64, dtype=np.uint8).reshape(8, 8))
    (base / "c").write_bytes(damaged(data, file.read_bytes()))
    output = base / "predictions.csv"
    outcome = call(
        "classifiers", "predict", f"classifier={base / 'c'}", f"images={base / 'picture.npy'}", f"output={output}"
    )
    if outcome.code == 0:
        whole = load_classifier(file).predict_proba(np.load(base / "picture.npy")[None])
        (row,) = csv.DictReader(output.read_text().splitlines())
        assert row["class"] == "abc"[whole.argmax()]
        assert float(row["probability"]) == pytest.approx(whole.max().item(), abs=1e-5)


def picture(data: st.DataObject) -> tuple[str, bytes]:
    """A suffix and the content of a file that may be a picture."""
    pixels = data.draw(arrays(np.uint8, st.sampled_from([(8, 8), (8, 8, 3), (5, 9), (1, 1), (8, 8, 4)])))
    buffer = io.BytesIO()
    suffix = data.draw(st.sampled_from([".png", ".jpg", ".npy", ".NPY"]))
    if suffix.lower() == ".npy":
        np.save(buffer, data.draw(st.one_of(st.just(pixels), ODD_ARRAYS)))
    else:
        Image.fromarray(pixels[..., :3] if suffix == ".jpg" else pixels).save(buffer, suffix[1:].replace("jpg", "jpeg"))
    return data.draw(st.sampled_from([suffix, suffix, ".png", ".jpeg", ".txt"])), damaged(data, buffer.getvalue())


ODD_NAMES = st.one_of(
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(["-rf", "a b", "a\nb", "=", "${x}", "%s", "caf\udce9", "..png", "*", "'", '"', ",", "a" * 200]),
)


def plant(data: st.DataObject, folder: Path) -> None:
    """Files, links and folders of any name in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(data.draw(st.integers(0, 4))):
        suffix, content = picture(data)
        place = folder / (data.draw(ODD_NAMES) + suffix)
        with suppress(OSError):  # a name may be too long
            if place.exists() or place.is_symlink():  # a write to a pipe would wait for a reader
                continue
            match data.draw(st.sampled_from(["file", "file", "file", "link", "loop", "nowhere", "folder", "pipe"])):
                case "file":
                    place.write_bytes(content)
                case "link":
                    place.symlink_to(folder)
                case "loop":
                    place.symlink_to(place)
                case "nowhere":
                    place.symlink_to("/nowhere/at/all")
                case "folder":
                    place.mkdir()
                case "pipe":
                    os.mkfifo(place)


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_folders(file: Path, data: st.DataObject) -> None:
    """Every picture gets a row or a complaint, and the row says what the classifier says of that picture alone."""
    with TemporaryDirectory() as base:
        root, output = Path(base, "pictures"), Path(base, "out.csv")
        plant(data, root)
        if data.draw(st.booleans()):
            check_predictions(file, root, output)
            return
        for name in data.draw(st.lists(st.one_of(ODD_NAMES, st.sampled_from(["unlabeled", "test"])), max_size=4)):
            with suppress(OSError):
                plant(data, root / name)
        for name in ("cat", "dog") if data.draw(st.booleans()) else ():  # two classes to be found among the rest
            (root / name).mkdir(exist_ok=True)
            Image.new("L", (8, 8), len(list(root.iterdir()))).save(root / name / "good.png")
        own = ["dataset=folder", f"dataset.path='{root}'", "dataset.size=8", "labels=all", "dry_run=true", "name=x"]
        few = [
            "method=improved_gan",
            "method.batch_size=2",
            "method.labeled_batch_size=2",
            "method.initialization_images=2",
            "net.classifier.rows=[[4,3,1,1]]",
        ]
        call("folders", "fit", *own, *few, "method.epochs=1", "trainer.limit_train_batches=1", f"runs_dir={base}/runs")


CELLS = st.one_of(
    st.sampled_from(
        ["", "a", "b", "0", "1", "2", "1.0", "nan", "train", "test", "val", "dev", "0.png", "1.png", "sub/2.png"]
    ),
    st.sampled_from(
        ["sub\\2.png", "./0.png", "../0.png", "/etc/passwd", "notes.txt", "path", "label", "split", '"', "-1", "255"]
    ),
    st.text(NO_NUL, max_size=6),
)


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_tables(data: st.DataObject) -> None:
    """A table that is read gives every picture the label of its row."""
    with TemporaryDirectory() as base:
        root = Path(base)
        (root / "sub").mkdir()
        for number, name in enumerate(("0.png", "1.png", "sub/2.png")):
            Image.new("L", (8, 8), 50 * number).save(root / name)
        (root / "notes.txt").write_text("x")
        pairs = data.draw(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=data.draw(st.sampled_from([0, 6]))))
        good = [("0.png", "a", ""), ("1.png", "b", "train"), ("sub/2.png", "a", "")][: data.draw(st.integers(0, 3))]
        header = data.draw(
            st.sampled_from([("path", "label", "split"), ("path", "label", "more"), ("label", "path", "split")])
        )
        separator = data.draw(st.sampled_from([",", ";", "\t", "|"]))
        lines = [separator.join(row) for row in (header, *good, *pairs)]
        text = data.draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines).encode(errors="surrogateescape")
        (root / "labels.csv").write_bytes(damaged(data, text) if data.draw(st.booleans()) else text)
        path = f"dataset.path='{root / 'labels.csv'}'"
        outcome = call("tables", "inspect", "dataset=table", path, "dataset.size=8", "dataset.channels=1", "json=true")
        if outcome.code == 0:
            assert sum(json.loads(outcome.out)["classes"].values()) <= 4


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_inspected_folders(data: st.DataObject) -> None:
    """Whatever lies in a folder is counted: each file is a picture of some kind, or skipped."""
    with TemporaryDirectory() as base:
        root = Path(base, "pictures")
        parts = ["cat", "dog", "train", "Train", "valid", "test", "unlabeled", ".git", "__MACOSX"]
        for name in data.draw(st.lists(st.one_of(ODD_NAMES, st.sampled_from(parts)), max_size=4)):
            with suppress(OSError):
                plant(data, root / name)
                plant(data, root / data.draw(st.sampled_from(parts)) / name)
        root.mkdir(exist_ok=True)
        call("folders", "inspect", "dataset=folder", f"dataset.path='{root}'", "dataset.size=8", "json=true")


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_vectors(data: st.DataObject) -> None:
    """Arrays of any type and shape as vectors: read with finite numbers, or refused."""
    with TemporaryDirectory() as base:
        count = data.draw(st.integers(0, 9))
        dtypes = st.one_of(
            scalar_dtypes(), st.sampled_from([np.dtype("f2"), np.dtype("f4"), np.dtype(">f8"), np.dtype("O")])
        )
        shapes = st.one_of(
            st.tuples(st.just(count), st.integers(0, 5)), array_shapes(min_dims=0, max_dims=4, max_side=4)
        )
        names = [
            "x_train",
            "y_train",
            *data.draw(st.lists(st.sampled_from(["x_test", "y_test", "class_names"]), unique=True)),
        ]
        content = {}
        for name in names:
            shape = data.draw(shapes) if name.startswith("x") else (count,)
            dtype = data.draw(dtypes)
            if dtype.kind == "O":
                content[name] = np.full(shape, data.draw(st.sampled_from([None, "a", 1.5, float("nan")])), dtype=object)
            else:
                content[name] = data.draw(arrays(dtype, shape))
        if data.draw(st.booleans()):
            content |= {"x_train": np.random.default_rng(0).normal(size=(count, 3)), "y_train": np.arange(count) % 2}
        path = Path(base, "v.npz")
        np.savez(path, **content)
        call("vectors", "inspect", "dataset=vectors", f"dataset.path='{path}'", "json=true")


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_labels_files(data: st.DataObject, digits: ImageData) -> None:
    """A file of labels gives each of its images the label of its row, or is refused with the line that is wrong."""
    cells = st.one_of(
        st.integers(-2, 1500).map(str), st.sampled_from(["", "0", "9", "10", "1.0", "x", '"', "a,b"]), WORDS
    )
    rows = data.draw(st.lists(st.tuples(cells, cells), max_size=5))
    right = data.draw(st.booleans())
    if right:
        rows = [(str(place), str(place % 10)) for place in data.draw(st.lists(st.integers(0, 999), max_size=5))]
    separator = data.draw(st.sampled_from([",", ",", ",", ";"]))
    text = "\n".join(separator.join(row) for row in [("image", "label"), *rows]).encode(errors="surrogateescape")
    with TemporaryDirectory() as base:
        path = Path(base, "labels.csv")
        harmed = data.draw(st.booleans())
        path.write_bytes(damaged(data, text) if harmed else text)
        unknown = replace(digits, train_targets=torch.full_like(digits.train_targets, -1))
        labeled, told = unknown, ""
        try:
            labeled, places = with_labels_of(unknown, str(path))
        except SsganError as error:
            told, places = str(error), ()
        assert not told or told.startswith(f"labels_file={path}")
        assert (labeled.train_targets >= 0).nonzero().flatten().tolist() == list(places)
        if right and not harmed and not told:
            assert labeled.train_targets[list(places)].tolist() == [place % 10 for place in places]
            assert {*places} == {int(place) for place, _ in rows}
        OUTCOMES[f"labels files: {'refused' if told else 'done'}"] += 1


def check_predictions(file: Path, root: Path, output: Path) -> None:
    outcome = call("folders", "predict", f"classifier={file}", f"images={root}", f"output={output}")
    if not output.exists():
        assert "holds no picture" in outcome.err
        return
    classifier = load_classifier(file)
    with output.open(newline="", errors="surrogateescape") as table:
        rows = list(csv.DictReader(table))
    assert len({row["path"] for row in rows}) == len(rows)
    for row in rows:
        path = Path(row["path"])
        pixels = np.load(path) if path.suffix.lower() == ".npy" else np.array(Image.open(path).convert("L"))
        if pixels.dtype == np.uint8 and pixels.squeeze().shape == (8, 8):
            assert row["class"] == "abc"[classifier.predict(pixels.reshape(1, 8, 8)).item()]
    assert (outcome.code == 1) == ("could not be read" in outcome.err)


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "classifier": lambda path: ("predict", f"classifier={path}", "images=.", "output=o.csv"),
    "checkpoint": lambda path: ("sample", f"checkpoint={path}", "output=o.png"),
    "judge": lambda path: ("score", f"checkpoint={path}", f"judge={path}", "dataset=digits"),
    "path": lambda path: ("fit", "dataset=npz", f"dataset.path={path}", "labels=10"),
    "images": lambda path: ("predict", "classifier=CLASSIFIER", f"images={path}", "output=o.csv"),
}


@pytest.mark.parametrize("wrapped", ["pickle", "torch", "npy", "npz"])
@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_pickle_executes_nothing(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, wrapped: str
) -> None:
    """In every file that a user may have been sent."""
    monkeypatch.chdir(tmp_path)
    bomb, path = np.array([Bomb(tmp_path / "exploded")], dtype=object), tmp_path / "received.npy"
    with path.open("wb") as received:
        match wrapped:
            case "pickle":
                import pickle

                pickle.dump(bomb, received)
            case "torch":
                torch.save({"state_dict": bomb, "generator": bomb}, received)
            case "npy":
                np.save(received, bomb, allow_pickle=True)
            case "npz":
                np.savez(received, allow_pickle=True, x_train=bomb, y_train=bomb, digest=bomb)
    name, *arguments = HOSTILE[key](path)
    outcome = call("hostile", name, *(argument.replace("CLASSIFIER", str(file)) for argument in arguments))
    assert outcome.code == 1
    assert str(path) in outcome.err
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".png"])
def test_a_claim_of_size_is_refused_before_memory_is_spent(file: Path, tmp_path: Path, suffix: str) -> None:
    """Kills an array that is allocated by its header, and zeros that unfold from a small file."""
    path = tmp_path / f"bomb{suffix}"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**3)}
    )
    if suffix == ".npz":
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x_train.npy", header.getvalue() + bytes(100))
            archive.writestr("y_train.npy", header.getvalue() + bytes(100))
        outcome = call("hostile", "fit", "dataset=npz", f"dataset.path={path}", f"runs_dir={tmp_path}")
        assert "claims 10000000000000 bytes" in outcome.err
    else:
        path.write_bytes(header.getvalue() + bytes(100))
        if suffix == ".png":
            Image.new("1", (9000, 9000)).save(path)
        outcome = call("hostile", "predict", f"classifier={file}", f"images={path}", f"output={tmp_path / 'o'}")
        assert "bomb" in outcome.err
    assert outcome.code == 1
