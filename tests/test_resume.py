"""Runs end the same however often and however hard they are stopped."""

import csv
import fcntl
import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import EVERY_TECHNIQUE, TINY, Bomb, Outcome, make_classifier, shorten_baseline

from ssgan.inference.classifier_file import load_classifier, save_classifier
from ssgan.training.callbacks.checkpoints import Checkpoints, StopSignal
from ssgan.training.callbacks.progress import RunProgress

Command = Callable[..., Outcome]
STEPS = 11
"""Of an epoch of digits: batches of 100, and 100 images for validation."""


class Killed(Exception):
    """Ends a run as nothing in it expects."""


def folder_of(path: Path, name: str = "improved_gan") -> Path:
    return path / "digits@50" / name / "split0-seed0"


def rows_of(folder: Path) -> list[dict[str, str]]:
    """metrics.csv, but for the time."""
    with (folder / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def beside(folder: Path) -> Path:
    """The folder of the baseline of the run in ``folder``."""
    return folder.parent.with_name(f"{folder.parent.name}_supervised") / folder.name


def assert_same_end(one: Path, other: Path) -> None:
    """Both folders hold the same weights, averages, optimizers, schedules, rows and errors, to the last bit."""
    ends = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (one, other)]
    for key in ("state_dict", "lr_schedulers", "optimizer_states", "epoch", "global_step"):
        assert_equal(ends[0][key], ends[1][key], key)
    assert rows_of(one) == rows_of(other)
    errors = [json.loads((folder / "metrics.json").read_text())["test_error"] for folder in (one, other)]
    assert errors[0] == errors[1]


def assert_equal(one: Any, other: Any, where: str) -> None:
    """To the last bit, also of tensors inside."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_equal(value, other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_equal(first, second, f"{where}.{number}")
    else:
        assert one == other, where


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], None]) -> None:
    """Let ``act`` happen after the ``step``-th step of the next run."""
    steps_end, done = RunProgress.on_train_batch_end, []

    def count(self: RunProgress, *arguments: Any) -> None:
        steps_end(self, *arguments)
        done.append(1)
        if len(done) == step:
            act()

    monkeypatch.setattr(RunProgress, "on_train_batch_end", count)


def die() -> None:
    raise Killed


@pytest.fixture
def straight(trained: Callable[..., Path], tmp_path: Path) -> Path:
    """The folder of a run of two epochs that nothing stopped."""
    return folder_of(trained(tmp_path / "straight", *TINY))


@pytest.mark.slow
@pytest.mark.parametrize("technique", [(), EVERY_TECHNIQUE], ids=["default", "every_technique"])
@pytest.mark.parametrize("step", [STEPS, STEPS + 1, 3 * STEPS - 2])
def test_a_killed_run_ends_as_the_straight_one(
    ssgan: Command,
    trained: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    technique: tuple[str, ...],
    step: int,
) -> None:
    """Kills state that a checkpoint lacks: averages, schedules, position in the streams, noise, rows of metrics.csv,
    sums of an epoch, the past of historical averaging, the reference batch of virtual batch norm, the neighbors' memory.

    Between two epochs and in the midst of one: there is a checkpoint after every step.
    """
    arguments = [*TINY, "method.epochs=4", "method.precision=bf16-mixed", *technique, "trainer.checkpoint_minutes=0"]
    straight = folder_of(trained(tmp_path / "straight", *arguments))
    with monkeypatch.context() as patch:
        at_step(patch, step, die)
        with pytest.raises(Killed):
            ssgan("fit", *arguments, f"runs_dir={tmp_path / 'killed'}")
    killed = folder_of(tmp_path / "killed")
    assert not (killed / "metrics.json").exists()
    torch.rand(17)  # a resumed process starts with another random state
    with monkeypatch.context() as patch:
        at_step(patch, 4 * STEPS - step + 1, lambda: None)
        assert ssgan("fit", *arguments, f"runs_dir={tmp_path / 'killed'}").code == 0
    assert_same_end(straight, killed)
    assert len(rows_of(killed)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [3, STEPS, 2 * STEPS])
def test_a_signal_saves_at_the_next_step(
    ssgan: Command, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: int
) -> None:
    """Kills a signal that loses an epoch, another exit code, and a handler that stays behind."""
    handlers = [signal.getsignal(n) for n in StopSignal.SIGNALS]
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: signal.raise_signal(number))
        outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}")
    assert outcome.code == 128 + number
    assert "run the same command to resume" in outcome.err
    assert [signal.getsignal(n) for n in StopSignal.SIGNALS] == handlers
    saved = torch.load(folder_of(tmp_path) / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2 * step
    steps: list[int] = []
    with monkeypatch.context() as patch:
        train_step = RunProgress.on_train_batch_end
        patch.setattr(RunProgress, "on_train_batch_end", lambda self, *args: steps.append(1) or train_step(self, *args))
        assert ssgan("fit", *TINY, f"runs_dir={tmp_path}").code == 0
    assert len(steps) == 2 * STEPS - step
    assert_same_end(straight, folder_of(tmp_path))


@pytest.mark.slow
def test_a_signal_in_the_last_checkpoint_stops_the_command(
    ssgan: Command, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a Ctrl-C that is swallowed: a baseline, or the rest of a sweep, trained on."""
    put = Checkpoints._put_in_place
    saved: list[Path] = []

    def put_and_signal(self: Checkpoints, partial: Path) -> None:
        put(self, partial)
        saved.append(partial)
        if len(saved) == 2:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_put_in_place", put_and_signal)
        assert ssgan("fit", *TINY, "baseline=true", f"runs_dir={tmp_path}").code == 143
    assert len(saved) == 2
    assert not beside(folder_of(tmp_path)).exists()
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path}").code == 0
    assert_same_end(straight, folder_of(tmp_path))


def test_a_damaged_checkpoint_does_not_replace_the_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a run that is lost if it stops once more before the second checkpoint after the damage."""
    last, previous, partial = (tmp_path / name for name in ("last", "previous", "partial"))
    checkpoints = Checkpoints(last, previous, "run", None)
    monkeypatch.setattr(Checkpoints, "_unusable", lambda _, path: "is torn" if path.read_text() == "torn" else None)
    last.write_text("torn")
    previous.write_text("one")
    assert checkpoints.find()[0] == previous
    for text, before in (("two", "one"), ("three", "two")):
        partial.write_text(text)
        checkpoints._put_in_place(partial)
        assert (last.read_text(), previous.read_text()) == (text, before)


def test_a_second_signal_acts_at_once() -> None:
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_the_baseline_goes_on_too(ssgan: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills minutes of a baseline that are lost, and a second start that trains the method again."""
    shorten_baseline(monkeypatch, 6)
    arguments = [*TINY, "baseline=true", "method.epochs=1", "trainer.limit_train_batches=2"]
    assert ssgan("fit", *arguments, f"runs_dir={tmp_path / 'straight'}").code == 0
    with monkeypatch.context() as patch:
        at_step(patch, 2 + 7, lambda: signal.raise_signal(signal.SIGTERM))
        assert ssgan("fit", *arguments, f"runs_dir={tmp_path}").code == 143
    folder, straight = (beside(folder_of(place)) for place in (tmp_path, tmp_path / "straight"))
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 7
    assert not (folder / "metrics.json").exists()
    written = (folder_of(tmp_path) / "classifier.safetensors").stat().st_mtime_ns
    assert ssgan("fit", *arguments, f"runs_dir={tmp_path}").code == 0
    assert_same_end(straight, folder)
    assert (folder_of(tmp_path) / "classifier.safetensors").stat().st_mtime_ns == written


def test_a_signal_while_the_processes_agree_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a number that is written over by what was agreed on before it came; several processes wait there for long."""
    checkpoints = Checkpoints(tmp_path / "last", tmp_path / "previous", "run", None)
    monkeypatch.setattr(checkpoints, "_save", lambda trainer: None)
    agreed = []

    def waiting(*numbers: float) -> list[float]:
        checkpoints.stop.number = signal.SIGTERM
        agreed.append(numbers)
        return list(numbers)

    monkeypatch.setattr("ssgan.training.callbacks.checkpoints.all_reduce_max", waiting)
    trainer = SimpleNamespace(num_training_batches=10)
    checkpoints.on_train_batch_end(trainer, None, None, None, 3)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.on_train_batch_end(trainer, None, None, None, 4)
    assert agreed == [(False, 0), (False, signal.SIGTERM)]
    assert checkpoints.stop.number == signal.SIGTERM


@pytest.mark.parametrize("first", [True, False])
def test_the_clock_of_every_process_is_set(tmp_path: Path, first: bool) -> None:
    """Kills a process that does not write and so wants a checkpoint after every step, once one was due."""
    checkpoints = Checkpoints(tmp_path / "last", tmp_path / "previous", "run", 1.0)
    strategy = SimpleNamespace(barrier=lambda: None)
    write = lambda path: path.write_text("") if first else None  # noqa: E731
    checkpoints.saved = -1e9
    checkpoints._save(SimpleNamespace(is_global_zero=first, save_checkpoint=write, strategy=strategy))
    assert checkpoints.saved > 0
    assert checkpoints.last.exists() == first


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[random.Random(0).randrange(len(content) // 4, len(content) // 2)] ^= 16
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": flip_a_bit,
    "garbage": lambda path: path.write_bytes(os.urandom(1000)),
    "foreign": lambda path: torch.save({"run": "other", "state_dict": {}}, path),
    "hostile": lambda path: torch.save({"run": Bomb(path.parent / "touched")}, path),
    "gone": lambda path: path.unlink(),
}


STOPPED: list[Path] = []
"""The runs_dir of a run that a signal stopped, once there is one."""


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint(
    ssgan: Command,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    straight: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    """The one before is used, and the user told; with both damaged the run is refused."""
    if not STOPPED:
        STOPPED.append(tmp_path_factory.mktemp("stopped"))
        with monkeypatch.context() as patch:
            at_step(patch, STEPS + 4, lambda: signal.raise_signal(signal.SIGTERM))
            assert ssgan("fit", *TINY, f"runs_dir={STOPPED[0]}").code == 143
    shutil.copytree(STOPPED[0], tmp_path, dirs_exist_ok=True)
    folder = folder_of(tmp_path)
    DAMAGE[damage](folder / "last.ckpt")
    previous = (folder / "previous.ckpt").read_bytes()
    (folder / "previous.ckpt").write_bytes(previous[:-100])
    refused = ssgan("fit", *TINY, f"runs_dir={tmp_path}")
    assert refused.code == 1
    assert "move them away" in refused.err
    (folder / "previous.ckpt").write_bytes(previous)
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}")
    assert outcome.code == 0
    assert damage == "gone" or f"Going on from {folder / 'previous.ckpt'}" in outcome.err
    assert not (folder / "touched").exists()
    assert_same_end(straight, folder)


def test_two_commands_in_one_folder(ssgan: Command, tmp_path: Path, straight: Path) -> None:
    """Kills two processes that write the same files; a finished run is told all the same."""
    (straight / "metrics.json").unlink()
    other = os.open(straight / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    before = {path: path.read_bytes() for path in straight.iterdir() if path.is_file()}
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path / 'straight'}")
    assert outcome.code == 1
    assert f"{straight}: another process trains in this folder" in outcome.err
    assert {path: path.read_bytes() for path in straight.iterdir() if path.is_file()} == before
    os.close(other)
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path / 'straight'}").code == 0
    other = os.open(straight / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path / 'straight'}").code == 0
    os.close(other)


@pytest.fixture
def small_files() -> Iterator[Callable[[], None]]:
    """Called, it lets no file grow beyond 20 kB until the test ends, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there(
    ssgan: Command,
    tmp_path: Path,
    straight: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_files: Callable[[], None],
) -> None:
    with monkeypatch.context() as patch:
        at_step(patch, STEPS + 1, small_files)
        outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "last.ckpt cannot be written" in outcome.err
    assert "Traceback" not in outcome.err
    folder = folder_of(tmp_path)
    assert not list(folder.glob(".*partial"))
    assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path}").code == 0
    assert_same_end(straight, folder)


def test_a_run_killed_while_it_is_tested(ssgan: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a file that is there before its error is."""
    arguments = [*TINY, f"runs_dir={tmp_path}"]
    with monkeypatch.context() as patch:
        patch.setattr("ssgan.training.fit_and_export.evaluate_scaled", lambda *_, **__: die())
        with pytest.raises(Killed):
            ssgan("fit", *arguments)
    folder = folder_of(tmp_path)
    assert not (folder / "classifier.safetensors").exists()
    assert ssgan("fit", *arguments).code == 0
    assert json.loads((folder / "metrics.json").read_text())["test_error"] < 0.8
    assert not [path for path in folder.iterdir() if path.suffix == ".untested"]


@pytest.mark.slow
def test_a_run_belongs_to_its_data(ssgan: Command, tmp_path: Path) -> None:
    """Kills positions of labeled images that are applied to other ones, and an old result that is told for new data."""
    random = np.random.default_rng(0)
    images, targets = random.integers(0, 256, (120, 8, 8), np.uint8), np.arange(120) % 3
    arguments = [
        *(setting for setting in TINY if "preset" not in setting),
        "dataset=npz",
        f"dataset.path={tmp_path / 'own.npz'}",
        "net/classifier=digits",
        "net/generator=digits",
        "labels=30",
    ]
    arguments += ["method.batch_size=20", "method.labeled_batch_size=20", f"runs_dir={tmp_path}"]
    np.savez(tmp_path / "own.npz", x_train=images, y_train=targets)
    assert ssgan("fit", *arguments).code == 0
    np.savez_compressed(tmp_path / "own.npz", x_train=images, y_train=targets)
    assert ssgan("fit", *arguments).code == 0  # the same data in another file
    targets[5] = -1
    np.savez(tmp_path / "own.npz", x_train=images, y_train=targets)
    for _ in range(2):
        outcome = ssgan("fit", *arguments)
        assert outcome.code == 1
        assert "began with other images, labels or class names" in outcome.err
        (next(tmp_path.rglob("split.json")).parent / "metrics.json").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["config.yaml", "metrics.json"])
@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe: ["])
def test_damaged_records(ssgan: Command, tmp_path: Path, straight: Path, name: str, content: bytes) -> None:
    (straight / name).write_bytes(content)
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path / 'straight'}")
    assert outcome.code == 1
    assert name in outcome.err or "another configuration" in outcome.err
    assert "Traceback" not in outcome.err
    assert (straight / name).read_bytes() == content


def test_a_run_killed_after_its_last_epoch_is_finished(ssgan: Command, tmp_path: Path, straight: Path) -> None:
    folder = straight
    before = json.loads((folder / "metrics.json").read_text())
    for name in ("metrics.json", "classifier.safetensors", "curves.png"):
        (folder / name).unlink()
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path / 'straight'}").code == 0
    assert (folder / "curves.png").exists()
    after = json.loads((folder / "metrics.json").read_text())
    assert {**after, "command": None} == {**before, "command": None}  # its runs_dir is another
    assert (folder / "classifier.safetensors").exists()


def test_a_finished_run_is_gone_on_from(ssgan: Command, tmp_path: Path) -> None:
    """Kills weights that the initialization overwrites, and a refusal that leaves nobody a way on."""
    runs = f"runs_dir={tmp_path}"
    assert ssgan("fit", *TINY, runs).code == 0
    classifier = folder_of(tmp_path) / "classifier.safetensors"
    refused = ssgan("fit", *TINY, runs, "method.epochs=5")
    assert refused.code == 1
    assert f"To train on from what it learned: start_from={classifier} and another name=." in refused.err
    still = ["method.classifier_optimizer.lr=1e-9", "method.epochs=1", "name=more"]
    outcome = ssgan("fit", *TINY, *still, runs, f"start_from={classifier}")
    assert outcome.code == 0, outcome.err
    before = load_classifier(classifier).network.state_dict()
    classifier.unlink()  # a run that has begun has weights of its own
    outcome = ssgan("fit", *TINY, *still, runs, f"start_from={classifier}")
    assert outcome.code == 0, outcome.err
    after = load_classifier(folder_of(tmp_path, "more") / "classifier.safetensors").network.state_dict()
    for name, tensor in before.items():
        if tensor.is_floating_point() and "running" not in name:
            torch.testing.assert_close(after[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["net.classifier.hidden=[24,8]"],
            "start_from={}: a MLPClassifier(image_shape=[1, 8, 8], classes=10, hidden=[24, 16]",
        ),
        (["start_from=nowhere.safetensors"], "start_from=nowhere.safetensors: no such file"),
        (["dataset=npz", "dataset.path=two.npz"], "start_from={}: a classifier of 0, 1, 2"),
    ],
)
def test_another_network_or_other_classes_are_no_start(
    settings: list[str], message: str, ssgan: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = make_classifier()
    save_classifier("start.safetensors", network, [str(k) for k in range(10)])
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8)).astype("uint8")
    np.savez(
        "two.npz",
        x_train=images,
        y_train=np.arange(400) % 10,
        x_test=images,
        y_test=np.arange(400) % 10,
        class_names=list("abcdefghij"),
    )
    outcome = ssgan("fit", *TINY, "start_from=start.safetensors", *settings)
    assert outcome.code == 1
    assert message.format("start.safetensors") in outcome.err
    assert not list(Path("runs").rglob("*"))
