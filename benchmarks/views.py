"""python benchmarks/views.py FOLDER: what averaging views makes of the classifiers of color images in a folder of runs.

Each finished run of CIFAR-10 and SVHN in FOLDER (`CONDITION/NAME/splitK-seedK`) is evaluated on its test images as `views=true` has
it; what it is without stands in its metrics.json. Needs the data sets in SSGAN_DATA. Adds to benchmarks/results/views.json after every
run; those that are in it stay as they were.
"""

import json
import sys
from pathlib import Path

from ssgan.evaluation.classification import evaluate
from ssgan.inference.classifier_file import load_named
from ssgan.training.api import load
from ssgan.training.environment import machine

RESULT = Path(__file__).parent / "results" / "views.json"
DATASETS = ("cifar10", "svhn")


def main(folder: Path) -> None:
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for dataset in DATASETS:
        data = load(dataset)
        for file in sorted(folder.glob(f"{dataset}@*/*/*/classifier.safetensors")):
            name = "/".join(file.parts[-4:-1])
            if name in found:
                continue
            measured = evaluate(
                load_named(str(file), views=True).predict_log_proba(data.test_images), data.test_targets
            )
            found[name] = {
                "command": f"python -m ssgan.evaluate classifier=runs/{name}/classifier.safetensors dataset={dataset} views=true",
                "machine": machine(),
                "views": {key: measured[key] for key in ("error", "ece", "nll")},
            }
            RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
