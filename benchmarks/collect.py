"""python benchmarks/collect.py RUN_FOLDER ...: collect finished runs into benchmarks/results/<condition>_<recipe>.json.

Runs of one condition and recipe make one file; runs that it has already stay, those given again are replaced, and keep
the supervised-only error of their split if they trained no baseline.
Errors are fractions. The mean is over all runs, collapsed ones included; sd is the sample standard deviation.
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

RESULTS = Path(__file__).parent / "results"
KEYS = ("split_seed", "seed", "test_error", "supervised_error", "ece", "nll", "status", "epochs", "seconds", "command")


def summary(values: list[float]) -> dict[str, float | None]:
    return {"mean": round(mean(values), 8), "sd": round(stdev(values), 8) if len(values) > 1 else None}


def add(run: Path) -> Path:
    metrics = json.loads((run / "metrics.json").read_text())
    environment = json.loads((run / "environment.json").read_text())
    path = RESULTS / f"{metrics['condition']}_{metrics['name']}.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"runs": []}
    entry = {key: metrics[key] for key in KEYS}
    entry["command"] = " ".join(word for word in entry["command"].split() if not word.startswith("runs_dir="))
    which = (entry["split_seed"], entry["seed"])
    if entry["supervised_error"] is None:  # without baseline=true: that of the split's earlier run, if there is one
        before = next((one for one in result["runs"] if (one["split_seed"], one["seed"]) == which), None)
        if before is not None and before["supervised_error"] is not None:
            entry["supervised_error"] = before["supervised_error"]
            entry["supervised_command"] = before.get("supervised_command", before["command"])
    runs = [other for other in result["runs"] if (other["split_seed"], other["seed"]) != which] + [entry]
    runs.sort(key=lambda one: (one["split_seed"], one["seed"]))
    supervised = [one["supervised_error"] for one in runs if one["supervised_error"] is not None]
    result = {
        "condition": metrics["condition"],
        "method": metrics["method"],
        "recipe": metrics["name"],
        "runs": runs,
        **summary([one["test_error"] for one in runs]),
        "n": len(runs),
        "supervised": summary(supervised) if supervised else None,
        "collapsed": sum(one["status"] == "collapsed" for one in runs),
        "machine": environment["machine"],
        "versions": environment["versions"],
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        print(add(Path(name)))
