"""python benchmarks/scaling.py [PAIR ...]: what a second process gains on one machine, at the same global batch.

For each network pair, in turn and as often as `ROUNDS` says: one process of one thread; two of them that share its
batches (`trainer=ddp devices=2`); and two that do not know of each other, with half a batch each, which is what two
would take if talking cost nothing. Prints the medians of the seconds per step, the gain, and the share of the step that
talking and waiting take; writes results/scaling.json. Needs SVHN and MNIST in SSGAN_DATA, and two idle cores.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from ssgan.training.environment import environment

RESULT = Path(__file__).parent / "results" / "scaling.json"
ROUNDS, EPOCHS = 3, 3
BFLOAT16 = "method.precision=bf16-mixed"
PAIRS: dict[str, tuple[list[str], int, int]] = {
    "MNIST, fully connected": (["dataset=mnist", "method=improved_gan", "labels=100", BFLOAT16], 200, 150),
    "SVHN, lean, batches of 200": (["dataset=svhn", "method=improved_gan", "labels=1000", BFLOAT16], 200, 24),
    "SVHN, lean, batches of 200, float32": (
        ["dataset=svhn", "method=improved_gan", "labels=1000", "method.precision=32-true"],
        200,
        16,
    ),
    "SVHN, the paper's": (["experiment=svhn_1000"], 100, 4),
}
"""Overrides, unlabeled images in a batch, and steps in an epoch. The labeled batch is half of it."""


def start(overrides: list[str], batch: int, steps: int, runs: str, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ssgan.fit", *overrides, f"method.batch_size={batch}", f"runs_dir={runs}"]
    command += [f"method.labeled_batch_size={batch // 2}", f"trainer.limit_train_batches={steps}", *more]
    command += ["method.epochs=1000", "trainer.samples_every=1000000", "method.initialization_images=100"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quiet)


def clock(folder: str) -> list[float]:
    """The seconds at the end of every epoch so far of the run in ``folder``."""
    for table in Path(folder).rglob("metrics.csv"):
        with table.open() as file:
            return [float(row["seconds"]) for row in csv.DictReader(file)]
    return []


def seconds_per_step(started: "list[subprocess.Popen[str]]", folders: list[str], steps: int) -> float:
    """The longest of the median seconds per step of these runs, over all epochs but the first. Then they are stopped."""
    try:
        while any(len(clock(folder)) < EPOCHS for folder in folders):
            time.sleep(0.5)
            for process in started:
                if process.poll() is not None:
                    sys.exit(process.communicate()[0])
    finally:  # a run beside one that failed would not end for long
        for process in started:
            process.terminate()
        for process in started:
            process.wait()
    clocks = [clock(folder)[:EPOCHS] for folder in folders]
    return max(median(after - before for before, after in pairwise(seconds)) / steps for seconds in clocks)


def measure(overrides: list[str], batch: int, steps: int) -> dict[str, float]:
    """Seconds per step of one process, of two that share a batch, and of two strangers with half of it each."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [f"{folder}/{name}" for name in ("one", "two", "half", "other_half")]
        one = seconds_per_step([start(overrides, batch, steps, runs[0])], runs[:1], steps)
        two = [start(overrides, batch, steps, runs[1], "trainer=ddp", "devices=2")]
        seconds = {"one": one, "two": seconds_per_step(two, runs[1:2], steps)}
        halves = [start(overrides, batch // 2, steps, path) for path in runs[2:]]
        return seconds | {"halves": seconds_per_step(halves, runs[2:], steps)}


def main() -> None:
    results: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in sys.argv[1:] or PAIRS:
        overrides, batch, steps = PAIRS[name]
        rounds = [measure(overrides, batch, steps) for _ in range(ROUNDS)]
        medians = {kind: median(seconds[kind] for seconds in rounds) for kind in rounds[0]}
        gain, talking = medians["one"] / medians["two"], 1 - medians["halves"] / medians["two"]
        told = "  ".join(f"{kind} {1000 * seconds:.1f} ms" for kind, seconds in medians.items())
        print(f"{name}, batches of {batch}: {told}  gain {gain:.2f}  talking and waiting {talking:.0%}", flush=True)
        results[name] = {
            "batch_size": batch,
            "rounds": rounds,
            "gain": round(gain, 3),
            "talking": round(talking, 3),
            "environment": environment(),
        }
        RESULT.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
