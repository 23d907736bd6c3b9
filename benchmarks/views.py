"""python benchmarks/views.py FOLDER: what averaging views adds to the classifiers of color images in a folder of runs.

Each finished run of CIFAR-10 and SVHN in FOLDER (`CONDITION/NAME/splitK-seedK`) is evaluated on its test images as it is and as
`views=true` has it. Needs the data sets in SSGAN_DATA. Adds to benchmarks/results/views.json; runs that are in it stay as they were.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ssgan.evaluation.classification import evaluate
from ssgan.inference.classifier_file import load_named
from ssgan.training.api import load
from ssgan.training.environment import machine

RESULT = Path(__file__).parent / "results" / "views.json"
DATASETS = ("cifar10", "svhn")


def measure(folder: Path, found: dict[str, dict[str, Any]]) -> None:
    """Adds to ``found`` what the runs of ``folder`` have that are not in it."""
    for dataset in DATASETS:
        for file in sorted(folder.glob(f"{dataset}@*/*/*/classifier.safetensors")):
            name = "/".join(file.parts[-4:-1])
            if name in found:
                continue
            data = load(dataset)
            command = (
                f"python -m ssgan.evaluate classifier=runs/{name}/classifier.safetensors dataset={dataset} views=true"
            )
            found[name] = {"command": command, "machine": machine()}
            for which, views in {"single": False, "views": True}.items():
                log_probabilities = load_named(str(file), views).predict_log_proba(data.test_images)
                measured = evaluate(log_probabilities, data.test_targets)
                found[name][which] = {key: measured[key] for key in ("error", "ece", "nll")}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    measure(Path(sys.argv[1]), found)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
