"""Every sweep composes for each of its jobs, gives its command, and leaves finished runs alone."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import TINY, Outcome, shorten_baseline
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from test_configs import CONF, compose

from ssgan.sweeps import jobs_of, mistakes_of
from ssgan.training.environment import command_line

SWEEPS = sorted((CONF / "sweep").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_job_composes(path: Path) -> None:
    assert f"# python -m ssgan.fit -m sweep={path.stem}" in path.read_text()
    params: dict[str, Any] = yaml.safe_load(path.read_text())["hydra"]["sweeper"]["params"]
    choices = [[f"{key}={value}" for value in str(values).split(",")] for key, values in params.items()]
    folders = set()
    for job in product(*choices):
        config = compose(f"sweep={path.stem}", *job)
        OmegaConf.to_container(config, resolve=True)
        folders.add((config.dataset.name, config.labels, config.name, config.split_seed, config.seed))
    assert len(folders) == len(list(product(*choices)))


@pytest.mark.slow
def test_a_sweep_that_is_started_again_runs_what_is_left(
    ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a second start that trains finished runs anew, or skips those that never ended."""
    shorten_baseline(monkeypatch, 2)
    sweep = ["-m", "sweep=seeds", *TINY, "method.epochs=1", "trainer.limit_train_batches=2", f"runs_dir={tmp_path}"]
    assert ssgan("fit", *sweep, "hydra.sweeper.params.split_seed='0,1'").code == 0
    folders = sorted(tmp_path.glob("digits@50/improved_gan/*"))
    assert [folder.name for folder in folders] == ["split0-seed0", "split1-seed1"]
    written = [(folder / "classifier.safetensors").stat().st_mtime_ns for folder in folders]
    (folders[1] / "metrics.json").unlink()
    outcome = ssgan("fit", *sweep, "hydra.sweeper.params.split_seed='0,1'")
    assert outcome.code == 0, outcome.err
    again = [(folder / "classifier.safetensors").stat().st_mtime_ns for folder in folders]
    assert again[0] == written[0]
    assert again[1] > written[1]
    assert (folders[1] / "metrics.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["balance=0,1"],
            r"two jobs of this sweep have the folder .*: balance=0, and balance=1\. .*'name=balance_\$\{balance\}'",
        ),
        (["method.epochs=1,2"], r"'name=epochs_\$\{method.epochs\}'"),
        (["sweep=seeds", "split_seed=0,1", "seed=1,1"], "two jobs of this sweep"),
        (["method=fixmatch,nothing"], "method=nothing: there is none of that name"),
    ],
)
def test_jobs_are_looked_at_before_the_first(words: list[str], message: str) -> None:
    """Catches a night's sweep that yields one run."""
    [found] = mistakes_of(words)
    assert re.search(message, found)


def test_jobs_with_folders_of_their_own() -> None:
    words = ["labels=50,100", "split_seed=range(0,2)", "balance=0,1", "name='balance${balance}'"]
    assert len(jobs_of(words)) == 8
    assert not list(mistakes_of(words))
    assert jobs_of(["labels=50,", "balance=("]) == []


def test_one_run_of_a_sweep_is_told(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = ssgan("fit", "sweep=seeds", *TINY, "dry_run=true", "baseline=false", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "sweep=seeds: without -m this is one run of it" in outcome.err


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_jobs_in_processes_of_their_own(launcher: str, tmp_path: Path) -> None:
    """Kills an exit code that stays behind in the process of a job, and a failing job that takes others with it."""
    plugin = f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher"
    pytest.importorskip(plugin, reason=f"needs the extra {'ray' if launcher == 'ray' else 'sweep'}")
    sweep = ["-m", f"hydra/launcher={launcher}", "labels=50,51", f"runs_dir={tmp_path}"]
    command = [sys.executable, "-m", "ssgan.fit", *sweep, *TINY, "method.epochs=1"]
    outcome = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert outcome.returncode == 1, outcome.stderr
    told = [outcome.stdout, outcome.stderr, *(log.read_text() for log in tmp_path.rglob("*log.err"))]
    assert any("error: labels=51: not divisible" in text for text in told)
    assert not any("Traceback" in text for text in told)
    (metrics,) = tmp_path.rglob("metrics.json")
    assert metrics.relative_to(tmp_path).parts[0] == "digits@50"
    command = shlex.split(json.loads(metrics.read_text())["command"])
    assert command[:3] == ["python", "-m", "ssgan.fit"]
    assert {"labels=50", "labels=50,51"} & {*command}


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/there/ssgan/fit.py", "labels=50"], "python -m ssgan.fit labels=50"),
        (["/bin/ssgan-fit", "name=a b"], "ssgan-fit 'name=a b'"),
        (["benchmarks/scaling.py"], "python benchmarks/scaling.py"),
    ],
)
def test_what_is_told_of_a_command_can_be_typed(argv: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # tests before this one leave theirs
    assert command_line() == told
