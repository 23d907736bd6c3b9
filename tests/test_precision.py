"""precision=auto takes what the machine is fast in, once, and a run that moves to another machine keeps it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY, Outcome
from omegaconf import OmegaConf

from ssgan.precision import has_bfloat16

Command = Callable[..., Outcome]
AUTO = ("method.precision=auto",)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """machine(True): one whose processor has instructions for bfloat16."""

    def become(has: bool) -> None:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return become


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto(ssgan: Command, machine: Callable[[bool], None], tmp_path: Path, has: bool, expected: str) -> None:
    machine(has)
    outcome = ssgan("fit", *TINY, *AUTO, f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "warning" not in outcome.err
    [config] = tmp_path.rglob("config.yaml")
    assert OmegaConf.load(config).method.precision == expected


def test_a_run_goes_on_elsewhere_as_it_began(ssgan: Command, machine: Callable[[bool], None], tmp_path: Path) -> None:
    command = ("fit", *TINY, *AUTO, f"runs_dir={tmp_path}")
    machine(True)
    assert ssgan(*command).code == 0
    [metrics] = tmp_path.rglob("metrics.json")
    first = metrics.read_text()
    machine(False)
    assert ssgan(*command).code == 0
    assert metrics.read_text() == first
    metrics.unlink()
    outcome = ssgan(*command)
    assert outcome.code == 0, outcome.err
    assert "warning: method.precision=bf16-mixed: this machine has no instructions for bfloat16" in outcome.err
    outcome = ssgan(*command, "method.precision=32-true")
    assert outcome.code == 1
    assert "method.precision was 'bf16-mixed', is '32-true'" in outcome.err


def test_what_has_bfloat16(monkeypatch: pytest.MonkeyPatch, machine: Callable[[bool], None]) -> None:
    machine(False)
    assert not has_bfloat16("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert has_bfloat16("auto")
    assert has_bfloat16("gpu")
    assert not has_bfloat16("cpu")
    machine(True)
    assert has_bfloat16("cpu")


def test_this_processor() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("no /proc/cpuinfo to compare with")
    assert has_bfloat16("cpu") == ("avx512_bf16" in cpuinfo.read_text())
