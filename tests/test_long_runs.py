"""What a run holds does not grow with its steps."""

import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Outcome

from ssgan.training.callbacks.progress import RunProgress

PROC = Path("/proc/self")


def held() -> tuple[float, int, int]:
    """Mebibytes in memory, open files and threads of this process."""
    pages = int((PROC / "statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20, len(os.listdir(PROC / "fd")), threading.active_count()


@pytest.mark.slow
@pytest.mark.skipif(not PROC.exists(), reason="needs /proc")
def test_a_thousand_steps_hold_no_more_than_three_hundred(
    ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills graphs, batches and rows that pile up, and files that stay open: 91 epochs with a checkpoint after each."""
    measured, step_end = [], RunProgress.on_train_batch_end

    def measure(self: RunProgress, trainer: Any, module: Any, *rest: Any) -> None:
        step_end(self, trainer, module, *rest)
        if (module.step_number + 1) % 100 == 0:
            measured.append(held())

    monkeypatch.setattr(RunProgress, "on_train_batch_end", measure)
    arguments = [*TINY, "method.epochs=91", "validation=100", f"runs_dir={tmp_path}"]
    assert ssgan("fit", *arguments).code == 0
    assert len(measured) == 10
    memory, files, threads = zip(*measured[2:], strict=True)
    assert memory[-1] < memory[0] + 5
    assert len(set(files)) == 1
    assert len(set(threads)) == 1
