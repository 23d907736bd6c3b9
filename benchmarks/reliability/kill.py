"""python benchmarks/reliability/kill.py [KILLS]: kill -9 runs at random moments, let them go on, compare their ends.

A run on digits that nothing stops, then runs of the same command that are killed again and again, until there were
KILLS kills (50) and the last run has ended. A checkpoint is written after every step, so that kills hit the writing of
one, too. Prints what differed and writes results/reliability.json; exit code 1 if anything did.
"""

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from ssgan.training.environment import machine

RESULT = Path(__file__).parents[1] / "results" / "reliability.json"
SETTINGS = ["method=improved_gan", "method.epochs=100", "trainer.checkpoint_minutes=0"]
AFTER = 1.0, 6.0
"""Seconds of training before a kill, at least and at most."""


def start(runs: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ssgan.fit", *SETTINGS, f"runs_dir={runs}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def folder_of(runs: Path) -> Path:
    return runs / "digits@50" / "improved_gan" / "split0-seed0"


def complete(runs: Path) -> Path:
    """Let the run go on to its end; returns its folder."""
    process = start(runs)
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"a run that nothing stopped ended with {process.returncode}:\n{output.decode()}")
    return folder_of(runs)


def kill(runs: Path, rng: random.Random) -> str | None:
    """Kill the run some time after it has begun to train; returns what it was at, or None if it ended before."""
    process = start(runs)
    assert process.stdout is not None
    process.stdout.readline()  # it says how many images there are when all is built
    time.sleep(rng.uniform(*AFTER))
    if process.poll() is not None:
        return None
    process.kill()
    process.communicate()
    return "writing a checkpoint" if list(folder_of(runs).glob(".*.ckpt.partial")) else "training"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def differences(one: Path, other: Path) -> list[str]:
    """What is not the same, to the last bit, at the ends of two runs."""
    ends = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (one, other)]
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "epoch")
    found = [key for key in parts if not same(ends[0][key], ends[1][key])]
    rows, errors = [], []
    for folder in (one, other):
        with (folder / "metrics.csv").open() as file:
            rows.append([{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)])
        errors.append(json.loads((folder / "metrics.json").read_text())["test_error"])
    return found + ["metrics.csv"] * (rows[0] != rows[1]) + ["test error"] * (errors[0] != errors[1])


def main(kills: int) -> int:
    rng, runs, moments = random.Random(0), [], []
    with tempfile.TemporaryDirectory() as place:
        straight = complete(Path(place) / "straight")
        while len(moments) < kills:
            here, before = Path(place) / str(len(runs)), len(moments)
            while len(moments) < kills and (moment := kill(here, rng)) is not None:
                moments.append(moment)
            runs.append({"kills": len(moments) - before, "different": differences(straight, complete(here))})
            print(
                f"run {len(runs)}: {runs[-1]['kills']} kills, different: {runs[-1]['different'] or 'nothing'}",
                flush=True,
            )
    identical = sum(not run["different"] for run in runs)
    result = {
        "command": f"python benchmarks/reliability/kill.py {kills}",
        "run": " ".join(["python -m ssgan.fit", *SETTINGS]),
        "kills": len(moments),
        "while_writing_a_checkpoint": moments.count("writing a checkpoint"),
        "runs": runs,
        "identical": identical,
        "machine": machine(),
        "torch": torch.__version__,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{len(moments)} kills in {len(runs)} runs, {identical} of them identical to the straight one")
    return 0 if identical == len(runs) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
