"""Classifier files round-trip exactly, and nothing in a foreign one is believed or executed."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bomb, Outcome, make_classifier
from safetensors import safe_open
from safetensors.torch import save_file

from ssgan import SsganError, load_classifier
from ssgan.inference.classifier_file import load_generator, named_files, save_classifier, to_spec
from ssgan.nets import DCGANGenerator, MLPClassifier
from ssgan.pixels import as_tensor
from ssgan.training.callbacks import checkpoints
from ssgan.training.callbacks.checkpoints import Checkpoints

NAMES = [f"class {k}" for k in range(10)]


@pytest.fixture
def file(classifier: MLPClassifier, tmp_path: Path) -> Path:
    save_classifier(tmp_path / "c.safetensors", classifier, NAMES, dataset="digits", split_digest="abc")
    return tmp_path / "c.safetensors"


def test_a_pattern_leaves_out_folds(tmp_path: Path) -> None:
    """Kills an ensemble with the trainings that give the temperature, which are shorter and have fewer labels."""
    for name in ("run/config.yaml", "run/c.safetensors", "run/fold1of8/c.safetensors", "folds/c.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [Path(file).parent.name for file in named_files(f"{tmp_path}/**/c.safetensors")] == ["folds", "run"]


def test_round_trip(file: Path, classifier: MLPClassifier) -> None:
    loaded = load_classifier(file)
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        expected = classifier.eval()(images.float() / 255).softmax(1)
    torch.testing.assert_close(loaded.predict_proba(images), expected)
    assert torch.equal(loaded.predict(images), expected.argmax(1))
    assert loaded.class_names == tuple(NAMES)
    assert loaded.header["split_digest"] == "abc"
    assert not loaded.network.training


def test_processes_that_start_from_different_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [20.0, -10.0]
    monkeypatch.setattr(checkpoints, "all_reduce_max", lambda name, minus, *_: [name, minus, *both])
    first = Checkpoints(tmp_path / "a", tmp_path / "b", "0" * 64, None)
    monkeypatch.setattr(first.stop, "listen", lambda: None)
    with pytest.raises(SsganError, match=r"different checkpoints \(steps 10 and 20\)"):
        first.on_train_start(SimpleNamespace(global_step=10), None)


def test_processes_of_different_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where one host has an older copy of the data: configuration and split are the same."""
    names: list[float] = []
    monkeypatch.setattr(
        checkpoints, "all_reduce_max", lambda name, *_: names.append(name) or [max(names), -min(names), 1, -1]
    )
    one, other = (Checkpoints(tmp_path / "a", tmp_path / "b", "0" * 64, None, data=data) for data in ("a", "b"))
    for each in (one, other):
        monkeypatch.setattr(each.stop, "listen", lambda: None)
    one.on_train_start(SimpleNamespace(global_step=1), None)
    with pytest.raises(SsganError, match="different configurations, splits or images"):
        other.on_train_start(SimpleNamespace(global_step=1), None)


def test_every_accepted_form_of_images_gives_the_same(file: Path) -> None:
    loaded = load_classifier(file)
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    expected = loaded.predict_proba(images)
    for form in (images[:, 0], images.permute(0, 2, 3, 1), images / 255, images[:, 0].numpy(), images.double() / 255):
        torch.testing.assert_close(loaded.predict_proba(form), expected)
    fixed = images[:, 0].numpy().copy()
    fixed.flags.writeable = False
    assert np.shares_memory(as_tensor(fixed).numpy(), fixed)  # a map of a file, too, is read in parts
    mirrored = images[:, 0].numpy()[:, :, ::-1].copy()[:, :, ::-1]
    for array in (fixed, mirrored, (fixed / 255).astype(">f4"), list(fixed)):
        torch.testing.assert_close(loaded.predict_proba(array), expected)
    assert loaded.predict(images[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(8, 8, dtype=torch.uint8), "shape"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "shape"),
        (torch.zeros(2, 9, 9, dtype=torch.uint8), r"\(N, 1, 8, 8\), \(N, 8, 8, 1\), \(N, 8, 8\)"),
        (torch.zeros(2, 8, 8, dtype=torch.int64), "int64; use uint8"),
        (np.full((2, 8, 8), None), "no array of numbers"),
        ([np.zeros((8, 8)), np.zeros((9, 8))], "no array of numbers"),
        (torch.full((2, 8, 8), 255.0), r"must lie in \[0, 1\]"),
        (torch.full((2, 8, 8), -0.1), r"must lie in \[0, 1\]"),
        (torch.full((2, 8, 8), torch.nan), r"must lie in \[0, 1\]"),
        (np.zeros((2, 8, 8), bool), "bool; use uint8"),
    ],
)
def test_images_that_cannot_be(file: Path, images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_classifier(file).predict(images)


def header_of(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as content:
        return json.loads(content.metadata()["ssgan"])


def rewrite(file: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """``edit`` the header, as one who knows that format 1 has no check sum."""
    header = header_of(file)
    del header["sha256"]
    header["format"] = 1
    with safe_open(file, framework="pt") as content:
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    edited = edit(header)
    save_file(tensors, file, metadata={"ssgan": json.dumps(header if edited is None else edited)})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h: h.update(format=99), "format 99"),
        (lambda h: h.pop("format"), "does not describe"),
        (lambda h: h["network"].update({"class": "os.system"}), "no classifier of ssgan.nets"),
        (lambda h: h["network"].update({"class": "MLPGenerator"}), "no classifier of ssgan.nets"),
        (lambda h: h["network"].update({"class": "layers"}), "no classifier of ssgan.nets"),
        (lambda h: h["network"]["arguments"].update(hidden=[10**9, 10**9]), "does not describe"),
        (lambda h: h["network"]["arguments"].update(hidden=[24]), "does not describe"),
        (lambda h: h["network"]["arguments"].update(hidden="ab"), "does not describe"),
        (lambda h: h["network"]["arguments"].update(surprise=1), "does not describe"),
        (lambda h: h.update(class_names=["a"]), "1 class names for 10 classes"),
        (lambda h: h.update(image_shape=[1, 4, 16]), "image shape"),
        (lambda h: h.update(pixel_range=[0, 255]), "pixel range"),
        (lambda h: [1, 2], "does not describe"),
        (lambda h: "text", "does not describe"),
    ],
)
def test_headers_that_cannot_be(file: Path, edit: Callable[[dict[str, Any]], Any], message: str) -> None:
    """No size in the header is allocated before the file's own tensors have confirmed it."""
    rewrite(file, edit)
    with pytest.raises(SsganError, match=message) as error:
        load_classifier(file)
    assert str(file) in str(error.value)


def test_no_flipped_bit_goes_unseen(file: Path) -> None:
    """Kills weights, class names and header that may change unseen: safetensors has no check sum."""
    content, random = file.read_bytes(), np.random.default_rng(0)
    for place in random.integers(0, len(content), 200).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        file.write_bytes(damaged)
        with pytest.raises(SsganError):
            load_classifier(file)


@pytest.mark.parametrize("keep", [0, 4, 100, 3000])
def test_truncated(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SsganError, match="not a whole safetensors file"):
        load_classifier(file)


def test_foreign_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(SsganError, match="no such file"):
        load_classifier(tmp_path / "none")
    with pytest.raises(SsganError, match="no such file"):
        load_classifier(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(SsganError, match="not a classifier of ssgan"):
        load_classifier(tmp_path / "other.safetensors")
    (tmp_path / "text").write_text("hello " * 100)
    with pytest.raises(SsganError, match="not a whole safetensors file"):
        load_classifier(tmp_path / "text")


def test_a_pickle_executes_nothing(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(SsganError):
        load_classifier(tmp_path / "bomb")
    assert not (tmp_path / "exploded").exists()


def test_a_place_that_cannot_be_written(classifier: MLPClassifier, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SsganError, match="cannot be written"):
        save_classifier(tmp_path / "file" / "c.safetensors", classifier, NAMES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_ensemble_averages_probabilities(tmp_path: Path) -> None:
    """Kills a mean of logits, and one that is not finite where a member is sure."""
    paths = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = make_classifier()
        network.head[-1].g.data.mul_([1, 5, 1000][seed])
        paths.append(tmp_path / f"{seed}.safetensors")
        save_classifier(paths[-1], network, NAMES)
    images = torch.rand(20, 1, 8, 8)
    ensemble = load_classifier(paths)
    expected = torch.stack([load_classifier(path).predict_proba(images) for path in paths]).mean(0)
    torch.testing.assert_close(ensemble.predict_proba(images), expected)
    assert torch.equal(ensemble.predict(images), expected.argmax(1))
    assert ensemble.predict_log_proba(images).isfinite().all()
    assert ensemble.class_names == tuple(NAMES)


def test_files_that_make_no_ensemble(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_classifier(other, make_classifier(classes=2), ["cat", "dog"])
    with pytest.raises(SsganError, match=r"10 classes .* and of 2 classes .*cat, dog.* make no ensemble"):
        load_classifier([file, other])
    with pytest.raises(SsganError, match="an ensemble needs one file or more"):
        load_classifier([])


def test_evaluate_takes_a_pattern(tmp_path: Path, ssgan: Callable[..., Outcome]) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        (tmp_path / f"run{seed}").mkdir()
        save_classifier(tmp_path / f"run{seed}/classifier.safetensors", make_classifier(), list("0123456789"))
    outcome = ssgan("evaluate", f"classifier={tmp_path}/*/classifier.safetensors", "dataset=digits")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["classifiers"] == 2
    assert 0 < result["error"] < 1
    outcome = ssgan("evaluate", f"classifier={tmp_path}/none/*.safetensors", "dataset=digits")
    assert outcome.code == 1
    assert "matches no file" in outcome.err


def test_a_generator_with_its_first_norm_per_channel_is_refused(tmp_path: Path) -> None:
    """It had the norm after the reshape, as layer 2 of 9: neither sampled from nor trained further."""
    generator = DCGANGenerator((1, 8, 8), 4, 2, "batch", 0, 0.05)
    state = {f"ema_generator.module.{name}": tensor for name, tensor in generator.state_dict().items()}
    state |= {"generator.layers.2.bias": torch.zeros(2)}
    path = tmp_path / "last.ckpt"
    torch.save({"run": "0" * 64, "state_dict": state, "generator": to_spec(generator)}, path)
    with pytest.raises(
        SsganError, match=r"^checkpoint=.*last.ckpt: its generator's first norm is per channel.*train it again$"
    ):
        load_generator(path)
    with pytest.raises(
        SsganError, match=r"last.ckpt cannot be used: its generator's first norm is per channel.*move them away"
    ):
        Checkpoints(path, tmp_path / "previous.ckpt", "0" * 64, None).find()


def test_a_checkpoint_of_0_1_is_refused(tmp_path: Path) -> None:
    generator = DCGANGenerator((1, 8, 8), 4, 2, "weight", 0, 0.05)
    state = {f"averaged_generator.module.{name}": tensor for name, tensor in generator.state_dict().items()}
    torch.save({"state_dict": state, "generator": to_spec(generator)}, tmp_path / "last.ckpt")
    with pytest.raises(SsganError, match=r"last\.ckpt: version 0\.1 wrote it.*; train it again$"):
        load_generator(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    ("names", "record", "message"),
    [
        (NAMES[:2], {}, "2 class names for 10 classes"),
        (NAMES, {"temperature": np.float32(2)}, "its header takes what JSON has"),
    ],
)
def test_what_no_file_can_hold_is_not_written(
    names: Any, record: dict[str, Any], message: str, classifier: MLPClassifier, tmp_path: Path
) -> None:
    with pytest.raises(SsganError, match=message):
        save_classifier(tmp_path / "c", classifier, names, **record)
    assert not (tmp_path / "c").exists()


def test_a_header_is_read_as_it_was_written(classifier: MLPClassifier, tmp_path: Path) -> None:
    """Catches a check sum of keys that JSON writes as words, and sorts as such."""
    save_classifier(tmp_path / "c", classifier, np.arange(10), errors={2: 0.1, 10: 0.2})  # type: ignore[arg-type]
    header = load_classifier(tmp_path / "c").header
    assert (header["errors"], header["class_names"][:2]) == ({"2": 0.1, "10": 0.2}, ["0", "1"])
