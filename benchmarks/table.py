"""python benchmarks/table.py: write the results table of README.md, between its markers, from benchmarks/results/."""

import json
import math
from pathlib import Path
from typing import Any

from ssgan.reporting.results import Summary

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- results: written by benchmarks/table.py -->\n", "<!-- end of results -->\n"
ROWS = {
    "digits@50_improved_gan": ("scikit-learn digits, 50 labels", None),
    "mnist@20_mnist_20": ("MNIST, 20 labels", "16.77 ± 4.52 (10)"),
    "mnist@50_table": ("MNIST, 50 labels", "2.21 ± 1.36 (10)"),
    "mnist@100_table": ("MNIST, 100 labels, shortest recipe", "0.93 ± 0.07 (10)"),
    "mnist@100_mnist_100_quick": ("MNIST, 100 labels, quick recipe", "0.93 ± 0.07 (10)"),
    "mnist@100_mnist_100": ("MNIST, 100 labels, full recipe", "0.93 ± 0.07 (10)"),
    "mnist@100_mnist_100_quick_no_shift": ("MNIST, 100 labels, quick recipe without shifts", "0.93 ± 0.07 (10)"),
    "mnist@200_table": ("MNIST, 200 labels", "0.90 ± 0.04 (10)"),
    "svhn@1000_svhn_1000_cpu": ("SVHN, 1,000 labels (held-out photos)", "8.11 ± 1.3 (10)"),
    "cifar10@4000_cifar10_4000_cpu": ("CIFAR-10, 4,000 labels (batch 5)", "18.63 ± 2.32 (10)"),
}


def percent(mean: float, sd: float | None, n: int) -> str:
    return Summary(mean, math.nan if sd is None else sd, n).text(2, scale=100)


def row(result: dict[str, Any], title: str, published: str | None) -> str:
    supervised = result["supervised"]
    beside = percent(supervised["mean"], supervised["sd"], result["n"]) if supervised else "not run"
    minutes = sum(one["seconds"] for one in result["runs"]) / result["n"] / 60
    mean = f"**{percent(result['mean'], result['sd'], result['n'])}**"
    command = f"`{result['recipe']}`"
    return f"| {title} | {command} | {mean} | {beside} | {published or '-'} | {minutes:.1f} |\n"


def table() -> str:
    text = "| images | recipe | test error (%) | supervised only (%) | paper (%) | minutes a run |\n|---|---|---|---|---|---|\n"
    for name, (title, published) in ROWS.items():
        path = HERE / "results" / f"{name}.json"
        if path.exists():
            text += row(json.loads(path.read_text()), title, published)
    return text


if __name__ == "__main__":
    before, rest = README.read_text().split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1])
