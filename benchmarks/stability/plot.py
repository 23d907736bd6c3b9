"""python benchmarks/stability/plot.py RUNS_DIR: draw benchmarks/stability/collapse.png and write stability.json.

RUNS_DIR holds the runs of the commands in benchmarks/README.md, part "Stability": one folder per variant, named as in
VARIANTS, with one run per seed.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

HERE = Path(__file__).parent
VARIANTS = {
    "authors": "authors' settings (generator: Adam with betas 0.5, 0.999)",
    "beta2_9": "the same, but betas 0.5, 0.9 for the generator",
    "beta2_9999": "learning rate 1e-3, betas 0, 0.9999 for the generator",
    "mnist_100": "this package's recipe (batches of 200, learning rate 1.4e-3, betas 0, 0.9)",
}
COLUMNS = {"train/unsupervised": "unsupervised loss", "train/feature_matching": "feature-matching loss"}


def read(folder: Path) -> list[dict[str, Any]]:
    runs = []
    for run in sorted(folder.glob("split*-seed*")):
        with (run / "metrics.csv").open() as file:
            rows = [{key: float(row[key]) for key in ("epoch", *COLUMNS)} for row in csv.DictReader(file)]
        metrics = json.loads((run / "metrics.json").read_text()) if (run / "metrics.json").exists() else {}
        runs.append({"run": run.name, "status": metrics.get("status", "running"), "rows": rows[:20]})
    return runs


def main(runs_dir: Path) -> None:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    table: dict[str, Any] = {}
    for number, (name, title) in enumerate(VARIANTS.items()):
        runs = read(runs_dir / "mnist@100" / name)
        for panel, column in zip(panels, COLUMNS, strict=True):
            for index, run in enumerate(runs):
                epochs, values = ([row[key] for row in run["rows"]] for key in ("epoch", column))
                style = {"color": f"C{number}", "alpha": 0.8, "label": title if index == 0 else None}
                panel.plot(epochs, values, **style)
                if run["status"] == "collapsed":
                    panel.plot(epochs[-1:], values[-1:], "x", color=f"C{number}")
        if runs:
            table[name] = {
                "runs": len(runs),
                "collapsed": sum(run["status"] == "collapsed" for run in runs),
                "epochs_followed": [len(run["rows"]) for run in runs],
                "last_unsupervised": [round(run["rows"][-1]["train/unsupervised"], 4) for run in runs],
                "last_feature_matching": [round(run["rows"][-1]["train/feature_matching"], 3) for run in runs],
            }
    for panel, title in zip(panels, COLUMNS.values(), strict=True):
        panel.set(title=title, xlabel="epoch (x: stopped by the collapse watch)", yscale="log")
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    figure.savefig(HERE / "collapse.png", dpi=110)
    (HERE / "stability.json").write_text(json.dumps(table, indent=2) + "\n")
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
