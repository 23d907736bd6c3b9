"""python benchmarks/vectors.py FOLDER [CONDITION ...]: what K+1 adds on vectors, beside what costs nothing.

FOLDER holds cifar10.npz and svhn.npz, from `python -m ssgan.embed images=cifar10 output=FOLDER/cifar10.npz` and so on, and
trec50_minilm.npz (the 109 labels of GAN-BERT). What is not there, or not among the conditions if some are named (svhn@1000), is left as it
was measured before. On each split: scikit-learn's logistic regression and label spreading, and by the preset for vectors a supervised
network, a mean teacher and the K+1 GAN. Runs go to runs_vectors/ and are read if they are there. Writes benchmarks/results/vectors.json
and benchmarks/vectors.md.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.semi_supervised import LabelSpreading

import ssgan
from ssgan.data.image_data import ImageData
from ssgan.data.splits import Split, draw_split
from ssgan.markdown import code, table
from ssgan.training.api import load
from ssgan.training.environment import machine

HERE = Path(__file__).parent
CONDITIONS = [(name, labels) for labels in (40, 250, 1000, 4000) for name in ("cifar10", "svhn")]
METHODS = ("supervised", "mean_teacher", "improved_gan")
SPLITS = 3
FOLDS = 3
SPREAD_OVER = 10_000
"""Vectors that label spreading sees at most."""

Row = tuple[float, float]
"""Test error and seconds."""


def learners(data: ImageData, split: Split) -> dict[str, Row]:
    """Logistic regression on standardized vectors, its C from 0.1, 1 and 10 by cross-validation where classes have labels enough; label
    spreading over 7 neighbors, alpha 0.2, on vectors of length 1.
    """
    pool, test = (x.flatten(1).numpy().astype(np.float64) for x in (data.train_images, data.test_images))
    labeled, truth = list(split.labeled), data.test_targets.numpy()
    targets = data.train_targets[labeled].numpy()
    center, scale = pool.mean(0), pool.std(0) + 1e-9
    enough = np.bincount(targets)[np.unique(targets)].min() >= FOLDS
    regression = (
        LogisticRegressionCV(Cs=[0.1, 1, 10], cv=FOLDS, max_iter=200) if enough else LogisticRegression(max_iter=200)
    )
    rest = np.random.RandomState(split.split_seed).permutation(np.setdiff1d(np.arange(len(pool)), labeled))
    seen = np.concatenate([labeled, rest[: SPREAD_OVER - len(labeled)]])
    spreading = LabelSpreading("knn", n_neighbors=7, alpha=0.2, max_iter=100)
    out = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        regression.fit((pool[labeled] - center) / scale, targets)
        error = (regression.predict((test - center) / scale) != truth).mean()
        out["logistic regression"] = float(error), time.perf_counter() - start
        start = time.perf_counter()
        known = np.concatenate([targets, np.full(len(seen) - len(labeled), -1)])
        spreading.fit(pool[seen] / np.linalg.norm(pool[seen], axis=1, keepdims=True), known)
        error = (spreading.predict(test / np.linalg.norm(test, axis=1, keepdims=True)) != truth).mean()
        out["label spreading"] = float(error), time.perf_counter() - start
    return out


def measure(path: Path, labels: int | str) -> dict[str, Any]:
    data = load(path)
    rows: dict[str, list[Row]] = {}
    for seed in range(SPLITS):
        balanced = labels != "all"
        split = draw_split(data.train_targets.numpy(), len(data.class_names), labels, seed, balanced=balanced)
        if balanced or seed == 0:  # with all labels there is one split, and seeds are of the networks alone
            for name, row in learners(data, split).items():
                rows.setdefault(name, []).append(row)
        for method in METHODS:
            keys = {"split_seed": seed, "seed": seed, "balanced": balanced, "runs_dir": "runs_vectors"}
            result = ssgan.train(path, method, labels, settings=[f"dataset.name={path.stem}"], **keys)
            rows.setdefault(method.replace("_", " "), []).append(
                (result.metrics["test_error"], result.metrics["seconds"])
            )
    return {
        name: {
            "test_error": [round(error, 5) for error, _ in runs],
            "mean": round(mean(error for error, _ in runs), 5),
            "sd": round(stdev(error for error, _ in runs), 5) if len(runs) > 1 else None,
            "seconds": [round(seconds, 1) for _, seconds in runs],
        }
        for name, runs in rows.items()
    }


def text(cell: dict[str, Any]) -> str:
    spread = "" if cell["sd"] is None else f" ± {100 * cell['sd']:.1f}"
    return f"{100 * cell['mean']:.1f}{spread} ({mean(cell['seconds']):.0f} s)"


def page(result: dict[str, Any]) -> str:
    names = list(next(iter(result["conditions"].values())))
    rows = [[code(condition), *(text(of[name]) for name in names)] for condition, of in result["conditions"].items()]
    lines = [
        f"Test error (%) on vectors, mean ± sample sd of {SPLITS} label splits (TREC: of as many seeds), and seconds of a fit.",
        "`python benchmarks/vectors.py`; single runs: results/vectors.json.\n",
        table(["", *names], rows, left=1),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    folder, named, path = Path(sys.argv[1]), sys.argv[2:], HERE / "results" / "vectors.json"
    before = json.loads(path.read_text())["conditions"] if path.exists() else {}
    result = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "command": "python benchmarks/vectors.py",
        "conditions": before,
    }
    files = {f"{name}@{labels}": (folder / f"{name}.npz", labels) for name, labels in CONDITIONS}
    files["trec@109"] = (folder / "trec50_minilm.npz", "all")
    if unknown := set(named) - set(files):
        sys.exit(f"{', '.join(unknown)}: the conditions are {', '.join(files)}")
    for condition, (file, labels) in files.items():
        if file.exists() and condition in (named or files):
            result["conditions"][condition] = measure(file, labels)
            measured = result["conditions"]
            result["conditions"] = {name: measured[name] for name in files if name in measured}
            path.write_text(json.dumps(result, indent=2) + "\n")
            (HERE / "vectors.md").write_text(page(result))


if __name__ == "__main__":
    main()
