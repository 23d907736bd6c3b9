"""Fixtures: networks and runs small enough for seconds, and commands called in this process."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from torch import Tensor

from ssgan.data.datasets import digits as load_digits_data
from ssgan.data.image_data import ImageData
from ssgan.nets import MLPClassifier, MLPGenerator
from ssgan.training import run


def tiny(method: str = "improved_gan") -> tuple[str, ...]:
    """Overrides that make a run on digits take about a second."""
    return (
        f"method={method}",
        "preset=digits_gan",
        "net.classifier.hidden=[24,16]",
        "net.generator.hidden=[24]",
        "method.batch_size=100",
        "method.epochs=2",
        "trainer.samples_count=4",
    )


TINY = tiny()

EVERY_TECHNIQUE = (
    "net.classifier.minibatch_kernels=4",
    "net.generator.norm=virtual",
    "net.generator.reference=10",
    "method.generator_loss=preference",
    "method.terms.consistency.weight=1",
    "method.terms.class_balance.weight=1",
    "method.terms.pseudo_label.weight=1",
    "method.terms.pseudo_label.threshold=0.2",
    "method.terms.pseudo_label.neighbors=0.9",
    "method.ramp_up_epochs=4",
    "method.historical_averaging.classifier=0.1",
    "method.historical_averaging.generator=0.1",
)


TRAINED = pytest.StashKey[dict[tuple[str, ...], Path]]()


def pytest_configure() -> None:
    """Tests run beside each other: one thread for each, and for the processes that they start."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)
    # Hydra copies this store of the process, which nothing changes after it is filled, each time that it composes: a fifth of
    # the time that it takes.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start processes are slow, and begin first: one file of them takes as long as all others together."""
    for item in items:
        if item.get_closest_marker("distributed"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("distributed") is None)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same numbers for a test whichever tests its process ran before."""
    torch.manual_seed(0)


class Bomb:
    """Unpickled, it would touch ``path``."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def ssgan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """ssgan("fit", "labels=50", ...) -> what `python -m ssgan.fit labels=50 ...` would give."""

    def call(name: str, *arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", [f"ssgan/{name}.py", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            import_module(f"ssgan.{name}").main()
        captured = capsys.readouterr()
        return Outcome(exit_.value.code or 0, captured.out, captured.err)

    monkeypatch.setenv("COLUMNS", "200")
    # Hydra would compose every configuration a first time for its key `hydra.mode`, which no test sets.
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *_, **__: None, raising=False)
    return call


@pytest.fixture
def trained(
    ssgan: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[..., Path]:
    """trained(into, *overrides) -> ``into``, with a copy of the run folders of `fit` with these overrides.

    They are trained once in a process.
    """
    done: dict[tuple[str, ...], Path] = request.config.stash.setdefault(TRAINED, {})

    def copy(into: Path, *overrides: str) -> Path:
        if overrides not in done:
            path = tmp_path_factory.mktemp("trained")
            outcome = ssgan("fit", *overrides, f"runs_dir={path}")
            assert outcome.code == 0, outcome.err
            done[overrides] = path
        return Path(shutil.copytree(done[overrides], into, dirs_exist_ok=True))

    return copy


@pytest.fixture(autouse=True)
def without_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the time of a small run is that of curves.png; tests marked `curves` have it drawn."""
    if "curves" not in request.keywords and "ssgan" in request.fixturenames:
        monkeypatch.setattr("ssgan.training.run_method.draw_curves", lambda rows, path, title: path.touch())


@pytest.fixture(scope="session")
def digits() -> ImageData:
    return load_digits_data("digits")


@pytest.fixture(scope="session")
def large_digits(digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz of some digits at 32x32 pixels in three channels."""

    def enlarged(images: Tensor) -> np.ndarray:
        return images.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()

    path = tmp_path_factory.mktemp("large_digits") / "digits.npz"
    np.savez(
        path,
        x_train=enlarged(digits.train_images[:300]),
        y_train=digits.train_targets[:300].numpy(),
        x_test=enlarged(digits.test_images[:50]),
        y_test=digits.test_targets[:50].numpy(),
    )
    return path


@pytest.fixture(scope="session")
def mnist_dir() -> str:
    """The folder with mnist.npz."""
    folder = os.environ.get("SSGAN_DATA", "")
    if not (Path(folder) / "mnist.npz").is_file():
        pytest.skip("SSGAN_DATA names no folder with mnist.npz")
    return folder


@pytest.fixture
def classifier() -> MLPClassifier:
    torch.manual_seed(0)
    return make_classifier()


def make_classifier(noise: float = 0.3, classes: int = 10) -> MLPClassifier:
    return MLPClassifier((1, 8, 8), classes, [24, 16], input_noise=noise, hidden_noise=noise, init_std=0.1)


@pytest.fixture
def generator() -> MLPGenerator:
    torch.manual_seed(1)
    return MLPGenerator((1, 8, 8), latent=20, hidden=[24, 24], output="sigmoid")


@pytest.fixture
def write_npz(tmp_path: Path) -> Callable[..., Path]:
    """write_npz(**arrays) writes tmp_path/mnist.npz: 40 valid training and test images, but for ``arrays``."""

    def write(**arrays: np.ndarray) -> Path:
        random = np.random.default_rng(0)
        valid = {
            "x_train": random.integers(0, 256, (40, 28, 28), np.uint8),
            "y_train": np.arange(40) % 10,
            "x_test": random.integers(0, 256, (40, 28, 28), np.uint8),
            "y_test": np.arange(40) % 10,
        }
        np.savez(tmp_path / "mnist.npz", **{**valid, **arrays})
        return tmp_path / "mnist.npz"

    return write


@pytest.fixture
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    reason = "needs playwright: pip install -e '.[browser]'"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as started:
        try:
            chromium = started.chromium.launch(executable_path=shutil.which("chromium"))
        except playwright.Error as error:
            pytest.skip(f"no Chromium to start ({str(error).splitlines()[0]}): playwright install chromium")
        yield chromium
        chromium.close()


def shorten_baseline(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Of `baseline=true`, whose supervised run has the epochs of its own preset."""
    full = run.baseline_config

    def short(*arguments: Any) -> Any:
        config = full(*arguments)
        config.method.epochs = epochs
        return config

    monkeypatch.setattr(run, "baseline_config", short)
