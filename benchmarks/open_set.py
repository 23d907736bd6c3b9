"""python benchmarks/open_set.py [ood|long_tail]: unlabeled images of unknown classes, and few labels of some classes.

scikit-learn's digits. Out-of-distribution images: the classes are 0 to 4, ten labels of each, tested on these alone; in the pool of 600 images a share of 0, 50
or 90 % shows 5 to 9. Long tail: of class k there are 25 to 2 labels, falling by the same factor, the pool as it is. Three splits of the
labels. Runs go to runs_open_set/ and are read if they are there. Writes benchmarks/results/open_set.json and benchmarks/open_set.md.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import ssgan
from ssgan.data.datasets import digits
from ssgan.data.image_data import ImageData
from ssgan.training.environment import machine

HERE = Path(__file__).parent
SPLITS, POOL, LABELS = 3, 600, 10
KNOWN = 5
OOD = (0, 50, 90)
MASK = "method.terms.pseudo_label.ood_quantile=0.1"
PRESET = ["preset=digits_classifier", "validation=0"]
RECIPES: dict[str, tuple[str, list[str]]] = {
    "supervised": ("supervised", PRESET),
    "fixmatch": ("fixmatch", PRESET),
    "fixmatch, mask by log Z": ("fixmatch", [*PRESET, MASK]),
}
TAIL = [round(25 * (2 / 25) ** (k / 9)) for k in range(10)]
TAIL_RECIPES: dict[str, tuple[str, list[str]]] = {
    "supervised": RECIPES["supervised"],
    "supervised, balance=1": ("supervised", [*PRESET, "balance=1"]),
    "fixmatch": RECIPES["fixmatch"],
    "fixmatch, balance=1": ("fixmatch", [*PRESET, "balance=1"]),
    "fixmatch, balance=1, aligned": ("fixmatch", [*PRESET, "balance=1", "method.terms.pseudo_label.align=true"]),
}
Positions = NDArray[np.int64]


def part(name: str, labeled: Sequence[Positions], rest: Positions, classes: int) -> ImageData:
    """Images of digits at these positions: ``labeled``, for each class, and a pool without labels; tested on the classes."""
    data = digits(name)
    order = np.concatenate([*labeled, rest])
    targets = torch.full((len(order),), -1)
    known = np.concatenate(labeled)
    targets[: len(known)] = data.train_targets[known]
    test = data.test_targets < classes
    names = tuple(map(str, range(classes)))
    return ImageData(name, names, data.train_images[order], targets, data.test_images[test], data.test_targets[test])


def with_ood(percent: int, split: int) -> ImageData:
    random = np.random.RandomState(split)
    targets = digits("digits").train_targets.numpy()
    members = [random.permutation(np.flatnonzero(targets == k)) for k in range(10)]
    own = random.permutation(np.concatenate([of_class[LABELS:] for of_class in members[:KNOWN]]))
    others = random.permutation(np.concatenate(members[KNOWN:]))
    count = POOL * percent // 100
    rest = np.concatenate([own[: POOL - count], others[:count]])
    return part(f"ood{percent}", [of_class[:LABELS] for of_class in members[:KNOWN]], rest, KNOWN)


def long_tailed(split: int) -> ImageData:
    random = np.random.RandomState(split)
    targets = digits("digits").train_targets.numpy()
    members = [random.permutation(np.flatnonzero(targets == k)) for k in range(10)]
    labeled = [of_class[:count] for of_class, count in zip(members, TAIL, strict=True)]
    rest = np.concatenate([of_class[count:] for of_class, count in zip(members, TAIL, strict=True)])
    return part("long_tail", labeled, rest, 10)


def measure(datas: Sequence[ImageData], recipes: dict[str, tuple[str, list[str]]], key: str) -> dict[str, Any]:
    out = {}
    for name, (method, settings) in recipes.items():
        errors, seen = [], []
        for split, data in enumerate(datas):
            label = "".join(letter if letter.isalnum() else "_" for letter in name)
            keys = {"name": f"{label}_{split}", "seed": split, "runs_dir": "runs_open_set"}
            metrics = ssgan.train(data, method, "all", settings=settings, **keys).metrics
            errors.append(metrics[key])
            seen.append(metrics["ood_share"])
        out[name] = {
            "errors": [round(error, 5) for error in errors],
            "mean": round(mean(errors), 5),
            "sd": round(stdev(errors), 5),
            "ood_share": seen,
        }
    return out


def table(result: dict[str, Any]) -> str:
    def row(head: str, cells: Sequence[str]) -> str:
        return f"| {head} | " + " | ".join(cells) + " |"

    def cell(of: dict[str, Any]) -> str:
        return f"{100 * of['mean']:.1f} ± {100 * of['sd']:.1f}"

    def share(of: dict[str, Any]) -> str:
        return ", ".join(f"{100 * seen:.0f}" for seen in of["ood_share"]) + " %"

    columns = list(result["ood"])
    lines = [
        f"Test error (%) on the five known classes, mean ± sample sd of {SPLITS} splits, by the share of out-of-distribution images in the pool.",
        "`python benchmarks/open_set.py`; single runs: results/open_set.json.\n",
        row("", columns),
        row("---", ["---:"] * len(columns)),
        *(row(name, [cell(result["ood"][column][name]) for column in columns]) for name in RECIPES),
        row(
            "out-of-distribution share at least, as a run of fixmatch estimates",
            [share(result["ood"][column]["fixmatch"]) for column in columns],
        ),
        f"\nLong tail, {', '.join(map(str, TAIL))} labels of the classes: balanced error (%) on digits.\n",
        row("", ["balanced error"]),
        "|---|---:|",
        *(row(name, [cell(result["long_tail"][name])]) for name in TAIL_RECIPES),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    path = HERE / "results" / "open_set.json"
    parts = sys.argv[1:] or ("ood", "long_tail")
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    result |= {"machine": machine(), "threads": torch.get_num_threads(), "command": "python benchmarks/open_set.py"}
    if "ood" in parts:
        result["ood"] = {
            f"{percent} %": measure([with_ood(percent, split) for split in range(SPLITS)], RECIPES, "test_error")
            for percent in OOD
        }
    if "long_tail" in parts:
        datas = [long_tailed(split) for split in range(SPLITS)]
        result["long_tail"] = measure(datas, TAIL_RECIPES, "balanced_error")
    path.write_text(json.dumps(result, indent=2) + "\n")
    (HERE / "open_set.md").write_text(table(result))


if __name__ == "__main__":
    main()
