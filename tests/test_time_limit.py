"""Time is told before it passes, and a run ends when it was told to."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import TINY, Outcome
from hypothesis import given
from hypothesis import strategies as st
from test_improved_gan import fit, make_method

from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError
from ssgan.training.callbacks import time_limit
from ssgan.training.callbacks.sample_grid import SampleGrid
from ssgan.training.callbacks.time_limit import TimeEstimate, TimeLimit, format_duration, parse_duration, time_left

Command = Callable[..., Outcome]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("0.5h", 1800)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "0s", "-5m", "30m later", "1h 30m", "1e3s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(SsganError, match=r"max_time=.*: use a time like 90s, 30m or 1h30m"):
        parse_duration(text)


@given(st.floats(0, 1e6))
def test_a_duration_that_is_told_is_near_the_truth(seconds: float) -> None:
    told = format_duration(seconds)
    unit = {"s": 1, "min": 60, "h": 3600}
    words = told.split()
    value = sum(float(n) * unit[u] for n, u in zip(words[::2], words[1::2], strict=True))
    assert abs(value - seconds) <= (0.5 if words[-1] == "s" else 30)


class Ticks:
    """A clock that moves on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_learning_rate_falls_by_the_clock_and_training_ends_at_the_limit(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Kills a schedule that goes by steps where time is short, and a clock that starts anew after a resume."""
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=Ticks()))
    rates: list[float] = []

    class Rates(time_limit.pl.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    module = make_method()
    limit = TimeLimit(30)
    limit.load_state_dict({"elapsed": 10})
    grids = SampleGrid(tmp_path, 50, 4, 0)
    fit(module, digits, steps=15, epochs=4, callbacks=[limit, Rates(), grids])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch_0001.png",
        "epoch_0002.png",
    ]  # the first and the last
    assert len(rates) < 22  # of the 23 of an epoch
    assert rates[0] == 0.1
    assert 0 < rates[-2] < 0.02
    assert rates == sorted(rates, reverse=True)
    assert limit.state_dict()["elapsed"] == 30


def test_learning_rate_rises_in_the_warm_up(digits: ImageData) -> None:
    """Kills a first step at the full rate, a warm-up that counts in runs, and one that delays the fall."""
    rates: list[float] = []

    class Rates(time_limit.pl.Callback):
        def on_train_batch_start(self, trainer: Any, *rest: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    fit(make_method(warm_up_epochs=0.5), digits, steps=10, epochs=2, callbacks=[Rates()])
    assert rates[:7] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.1])
    assert rates[10:] == pytest.approx([0.1 * (20 - step) / 10 for step in range(10, 20)])


def test_what_rises_follows_the_clock(digits: ImageData) -> None:
    """Kills a ramp-up and a warm-up in epochs that a time limit does not leave: the unlabeled images hardly counted."""
    seen: list[tuple[float, float]] = []

    class Halfway(time_limit.pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, *rest: Any) -> None:
            module.elapsed_fraction = lambda: 0.25
            seen.append((module.ramp_up(), module.risen(4, module.step_number)))

    fit(make_method(ramp_up_epochs=5), digits, steps=10, epochs=10, callbacks=[Halfway()])
    assert seen[0] == pytest.approx((0.5, 0.625))  # a quarter of the time is that of 2.5 epochs of 10
    assert seen[30] == pytest.approx((0.6, 0.75))  # steps count where they are ahead
    assert seen[-1] == (1, 1)


def test_estimate(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(perf_counter=Ticks()))
    told: list[tuple[float, str]] = []

    def on_estimate(seconds: float, module: Any) -> None:
        told.append((seconds, time_left(3.0, module, None)))

    fit(make_method(), digits, steps=40, epochs=2, callbacks=[TimeEstimate(on_estimate)])
    assert told == [(1 / time_limit.TIMED, "0.3 steps a second: about 48 s to go")]  # 2 * 23 - 30 steps of 3 s


def test_time_left_is_at_most_the_limit() -> None:
    module = SimpleNamespace(total_steps=1000, step_number=99, elapsed_fraction=lambda: 0.25)
    assert time_left(0.1, module, None) == "10.0 steps a second: about 90 s to go"
    assert time_left(0.1, module, 60.0) == "10.0 steps a second: about 45 s to go"


def test_dry_run(ssgan: Command, tmp_path: Path) -> None:
    """Kills a dry run that writes, and one whose operations are those of a step of other sizes."""
    sizes = [
        "method=improved_gan",
        "net.classifier.hidden=[2000,2000]",
        "net.generator.hidden=[20,20]",  # of which hardly an operation is
        "method.batch_size=30",
    ]
    outcome = ssgan(
        "fit", "dry_run=true", *sizes, "method.epochs=100000000", "max_time=10m", f"runs_dir={tmp_path / 'runs'}"
    )
    assert outcome.code == 0, outcome.err
    classifier = 64 * 2000 + 2000 * 2000 + 2000 * 10
    assert f"classifier: {classifier + 2000 + 2000 + 10 + 10:,} parameters" in outcome.out
    assert "50 labeled images, 1197 in the unlabeled pool, 100 for validation, 500 to test" in outcome.out
    assert "batch_size: 30" in outcome.out
    assert "about 10 min to go" in outcome.out
    # 90 images, filled up to 96, forward and back, but for the gradient of pixels; then 60 forward, without the head, and 30 back.
    turns = 96 * (3 * classifier - 64 * 2000) + (60 + 30) * (classifier - 2000 * 10)
    told = next(line for line in outcome.out.splitlines() if "GFLOP" in line)
    assert float(told.split()[0]) == pytest.approx(2 * turns / 1e9, rel=0.01)
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]


def test_dry_run_of_a_baseline_too(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("fit", "dry_run=true", "baseline=true", *TINY, f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    assert re.findall("^name: .*", outcome.out, re.MULTILINE) == ["name: improved_gan", "name: improved_gan_supervised"]
    assert outcome.out.count("GFLOP a step") == 2
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_max_time(ssgan: Command, tmp_path: Path) -> None:
    """A run with far too many epochs ends in time, whole: a classifier, a checkpoint, metrics."""
    settings = [*TINY, "method.epochs=100000", "trainer.limit_train_batches=null", "max_time=3s"]
    outcome = ssgan("fit", *settings, f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    folder = next(tmp_path.rglob("metrics.json")).parent
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["status"] == "finished"
    assert metrics["seconds"] < 10
    assert not math.isnan(metrics["test_error"])
    state = torch.load(folder / "last.ckpt", weights_only=True)
    assert state["callbacks"]["TimeLimit"]["elapsed"] >= 3
    assert (folder / "classifier.safetensors").exists()
    rows = (folder / "metrics.csv").read_bytes()
    (folder / "metrics.json").unlink()
    assert ssgan("fit", *settings, f"runs_dir={tmp_path}").code == 0  # killed after its last step
    assert (folder / "metrics.csv").read_bytes() == rows
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    outcome = ssgan("fit", *TINY, "max_time=3", f"runs_dir={tmp_path}", "name=other")
    assert outcome.code == 1
    assert "max_time=3: use a time like" in outcome.err
