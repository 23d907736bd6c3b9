"""python benchmarks/many_pictures.py [PICTURES]: a folder in STL-10's layout, time and memory: 105,000 pictures of 96x96 pixels.

5,000 of them have one of ten labels, 100,000 have none, and 8,000 more are for the test: those of CIFAR-10, enlarged, as JPEG files.
They are decoded by `python -m ssgan.inspect`, found decoded by it again, and trained on for `STEPS` steps by `python -m ssgan.fit`,
each in a process of its own. Prints seconds and the most memory of each and writes results/many_pictures.json. Needs CIFAR-10 in
SSGAN_DATA, 4 GB in the folder for temporary files, and an idle machine.

Memory is what all processes of a command hold together. "own" leaves out pages of files that are mapped, which the system takes
back where it needs them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssgan.training.environment import environment

RESULT = Path(__file__).parent / "results" / "many_pictures.json"
SIZE, LABELED, UNLABELED, TEST = 96, 5_000, 100_000, 8_000
STEPS, EPOCHS = 20, 2
WATCHED_EVERY = 0.2
"""Seconds between two looks at memory."""


def write(job: tuple[Path, np.ndarray[Any, Any]]) -> None:
    path, pixels = job
    Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(path, quality=90)


def write_folder(folder: Path, count: int) -> None:
    """``count`` pictures of the pool; a CIFAR-10 image is there as often as it has to be, each time mirrored or turned otherwise."""
    with np.load(Path(os.environ.get("SSGAN_DATA", "data")) / "cifar10.npz") as arrays:
        images, targets = arrays["x_train"], arrays["y_train"]
        test, test_targets = arrays["x_test"][:TEST], arrays["y_test"][:TEST]
    for name in ("unlabeled", *(f"{part}/{k}" for part in ("train", "test") for k in range(10))):
        (folder / name).mkdir(parents=True)

    def pool(place: int) -> np.ndarray[Any, Any]:
        image, turn = images[place % len(images)], place // len(images)
        return np.ascontiguousarray(np.rot90(image, turn // 2)[:, :: -1 if turn % 2 else 1])

    jobs = [(folder / f"train/{targets[i]}/{i:06}.jpg", images[i]) for i in range(LABELED)]
    jobs += [(folder / f"unlabeled/{i:06}.jpg", pool(i)) for i in range(LABELED, count)]
    jobs += [(folder / f"test/{test_targets[i]}/{i:06}.jpg", test[i]) for i in range(len(test))]
    with ProcessPoolExecutor() as workers:
        list(workers.map(write, jobs, chunksize=500))


def memory_of(process: int) -> tuple[int, int]:
    """Bytes that ``process`` and its descendants hold, and those that are their own."""
    total, own = 0, 0
    waiting = [process]
    while waiting:
        pid = waiting.pop()
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            total += int(status.get("VmRSS", "0 kB").split()[0]) * 1024
            own += int(status.get("RssAnon", "0 kB").split()[0]) * 1024
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has just ended
            continue
    return total, own


def watched(*command: str) -> dict[str, float]:
    """Seconds and the most memory of ``python -m`` ``command``; ends the program if it fails."""
    started, most, most_own = time.monotonic(), 0, 0
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=told, stderr=subprocess.STDOUT)
        while process.poll() is None:
            total, own = memory_of(process.pid)
            most, most_own = max(most, total), max(most_own, own)
            time.sleep(WATCHED_EVERY)
        if process.returncode:
            told.seek(0)
            sys.exit(told.read())
    row = {"seconds": round(time.monotonic() - started, 1), "gigabytes": most / 1e9, "own_gigabytes": most_own / 1e9}
    print(
        f"{' '.join(command[:2])}: {row['seconds']} s, {most / 1e9:.2f} GB, {most_own / 1e9:.2f} GB of its own",
        flush=True,
    )
    return {name: round(value, 2) for name, value in row.items()}


def seconds_per_step(runs: Path) -> float:
    (table,) = runs.rglob("metrics.csv")
    header, *rows = (line.split(",") for line in table.read_text().splitlines())
    seconds = [float(row[header.index("seconds")]) for row in rows]
    return (seconds[-1] - seconds[-2]) / STEPS


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else LABELED + UNLABELED
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        write_folder(pictures, count)
        data = ["dataset=folder", f"dataset.path={pictures}", f"dataset.size={SIZE}"]
        decoded = watched("ssgan.inspect", *data)
        found = watched("ssgan.inspect", *data)
        short = [
            "method=improved_gan",
            f"trainer.limit_train_batches={STEPS}",
            f"method.epochs={EPOCHS}",
            "trainer.samples_every=1000",
            "collapse_watch.distinct_below=0",
        ]
        trained = watched("ssgan.fit", *data, *short, f"runs_dir={folder}/runs")
        step = seconds_per_step(Path(folder) / "runs")
        cached = sum(path.stat().st_size for path in pictures.rglob(".ssgan_*"))
    print(f"{step:.2f} s a step of 50 unlabeled images; {cached / 1e9:.2f} GB decoded on disk")
    result = {
        "pictures": count + TEST,
        "size": SIZE,
        "decoded": decoded,
        "found_decoded": found,
        "trained": trained,
        "seconds_per_step": round(step, 3),
        "gigabytes_on_disk": round(cached / 1e9, 2),
        "environment": environment(),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
