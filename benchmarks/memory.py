"""python benchmarks/memory.py: what memory that is used again is worth to a step.

Forward and backward passes of the networks `air` (128 color images) and `small` (180 gray ones) in bfloat16 on one thread, in processes that
keep freed memory (`ssgan.allocator`) and that do not, in turns: images per processor second, and page faults per pass. Writes
benchmarks/results/memory.json.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ssgan.allocator import keep_freed_memory
from ssgan.nets import AirClassifier, SmallClassifier
from ssgan.training.environment import environment

RESULT = Path(__file__).parent / "results" / "memory.json"
ROUNDS, PASSES = 3, 10
NETS = {
    "air": (lambda: AirClassifier((3, 32, 32), 10, [64, 128, 256]), (128, 3, 32, 32)),
    "small": (lambda: SmallClassifier((1, 28, 28), 10, [32, 64], 2), (180, 1, 28, 28)),
}


def passes(name: str) -> tuple[float, float]:
    """Images per processor second, and page faults per pass."""
    torch.set_num_threads(1)
    make, shape = NETS[name]
    network, images = make().train(), torch.randn(shape).bfloat16()

    def one() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(images).float().logsumexp(1).mean()
        loss.backward()

    one()
    faults, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
    for _ in range(PASSES):
        one()
    seconds = time.process_time() - start
    return PASSES * len(images) / seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / PASSES


def measure() -> dict[str, Any]:
    rows: dict[str, dict[str, list[tuple[float, float]]]] = {name: {"given back": [], "kept": []} for name in NETS}
    for _ in range(ROUNDS):
        for name, by_way in rows.items():
            for way, found in by_way.items():
                command = [sys.executable, __file__, name, way]
                found.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
    return {
        name: {
            way: {
                "images_per_processor_second": round(median(rate for rate, _ in found)),
                "page_faults_per_pass": round(median(faults for _, faults in found)),
            }
            for way, found in by_way.items()
        }
        for name, by_way in rows.items()
    }


if __name__ == "__main__":
    if len(sys.argv) == 3:
        if sys.argv[2] == "kept":
            keep_freed_memory()
        print(json.dumps(passes(sys.argv[1])))
    else:
        result = {"what": __doc__.splitlines()[0], **environment(), "nets": measure()}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result["nets"], indent=2))
