"""python benchmarks/start.py: how soon commands answer, as a multiple of the time of `python -c "import torch"`.

Each is run `ROUNDS` times, in turns; the fastest of each counts. Writes benchmarks/results/start.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

import ssgan
from ssgan.nets import MLPClassifier
from ssgan.training.environment import machine

ROUNDS = 5


def commands(folder: Path) -> dict[str, list[str]]:
    """A classifier file, one picture, and what is timed."""
    ssgan.save_classifier(
        folder / "c.safetensors", MLPClassifier((1, 8, 8), 10, [32], 0.0, 0.0, 0.1), list("0123456789")
    )
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "picture.png")
    predict = [
        f"classifier={folder / 'c.safetensors'}",
        f"images={folder / 'picture.png'}",
        f"output={folder / 'p.csv'}",
    ]
    return {
        "import torch": ["-c", "import torch"],
        "a mistyped key": ["-m", "ssgan.fit", "lables=1"],
        "--help": ["-m", "ssgan.fit", "--help"],
        "predict one picture": ["-m", "ssgan.predict", *predict],
    }


if __name__ == "__main__":
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(ROUNDS):
            for what, arguments in commands(Path(name)).items():
                started = time.perf_counter()
                subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
                seconds[what].append(time.perf_counter() - started)
    base = min(seconds["import torch"])
    result = {
        what: {"seconds": round(min(s), 2), "of import torch": round(min(s) / base, 2)} for what, s in seconds.items()
    }
    print(json.dumps(result, indent=2))
    path = Path(__file__).parent / "results" / "start.json"
    path.write_text(json.dumps({"machine": machine(), "fastest_of": ROUNDS, "commands": result}, indent=2) + "\n")
