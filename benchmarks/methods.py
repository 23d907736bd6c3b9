"""python benchmarks/methods.py [DATASET ...]: every method with equal time, beside what costs nothing.

Trains each method of ssgan/methods on digits (50 labels) and MNIST (100 labels) for at most `MINUTES` of wall-clock time on three
label splits, with the network and the settings of the preset for GANs, so that only the method differs; on the same splits, label spreading and logistic regression on
pixels (scikit-learn). Run it alone: time is what is held equal. Runs go to runs_methods/ and are resumed or read if they are
there. Writes benchmarks/results/methods_<data set>.json and benchmarks/methods.md.
"""

import json
import os
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import ssgan
from ssgan import methods
from ssgan.data.registry import named_dataset
from ssgan.evaluation.pixels import errors_on_pixels
from ssgan.markdown import table
from ssgan.training.environment import machine
from ssgan.training.run_dir import RunFolder

HERE = Path(__file__).parent
LABELS = {"digits": 50, "mnist": 100}
SPLITS, MINUTES = 3, 3
SETTINGS = {("mnist", name): ["method.epochs=30"] for name in methods.names() if name != "supervised"}
"""The schedule has to end: epochs that three minutes are about enough for; max_time anneals what they are not."""


def measure(dataset: str) -> dict[str, Any]:
    labels = LABELS[dataset]
    data = named_dataset(dataset, os.environ.get("SSGAN_DATA", "data"), download=True)
    rows: dict[str, list[tuple[float, float | None]]] = {}
    for split_seed in range(SPLITS):
        for name in methods.names():
            if not methods.find(name).uses_labels:
                continue
            result = ssgan.train(
                dataset,
                name,
                labels,
                settings=[f"preset={dataset}_gan", *SETTINGS.get((dataset, name), ())],
                split_seed=split_seed,
                seed=split_seed,
                max_time=f"{MINUTES}m",
                runs_dir="runs_methods",
            )
            rows.setdefault(name, []).append((result.metrics["test_error"], result.metrics["seconds"]))
        split = RunFolder(result.folder).split(data.digest)  # that of every method
        assert split is not None
        for name, error in errors_on_pixels(data, split).items():
            rows.setdefault(name.replace("_", " "), []).append((error, None))
    return {
        "condition": f"{dataset}@{labels}",
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "command": f"python benchmarks/methods.py {dataset}",
        "methods": {
            name: {
                "test_error": [round(error, 5) for error, _ in runs],
                "mean": round(mean(error for error, _ in runs), 5),
                "sd": round(stdev(error for error, _ in runs), 5),
                "seconds": [seconds and round(seconds, 1) for _, seconds in runs],
            }
            for name, runs in rows.items()
        },
    }


def seconds(cell: dict[str, Any]) -> str:
    return "-" if None in cell["seconds"] else f"{mean(cell['seconds']):.0f}"


def page(results: list[dict[str, Any]]) -> str:
    head = ["", *(cell for result in results for cell in (result["condition"], "seconds"))]
    rows = []
    for name in dict.fromkeys(name for result in results for name in result["methods"]):
        cells = [result["methods"].get(name) for result in results]
        of_cells = [(f"{100 * c['mean']:.2f} ± {100 * c['sd']:.2f}", seconds(c)) if c else ("-", "-") for c in cells]
        rows.append([name, *(text for both in of_cells for text in both)])
    lines = [
        f"Test error (%), mean ± sample sd of {SPLITS} label splits, and seconds of training, at most {MINUTES} minutes each.",
        "One network for all, that of the preset for GANs; threads and machine stand in the files.",
        "`python benchmarks/methods.py`; single runs: results/methods_*.json.\n",
        table(head, rows, left=1),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for dataset in sys.argv[1:] or LABELS:
        path = HERE / "results" / f"methods_{dataset}.json"
        path.write_text(json.dumps(measure(dataset), indent=2) + "\n")
    files = [HERE / "results" / f"methods_{dataset}.json" for dataset in LABELS]
    (HERE / "methods.md").write_text(page([json.loads(file.read_text()) for file in files if file.exists()]))
