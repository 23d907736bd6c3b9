"""python benchmarks/what_k1_adds/run.py [minutes=12] [splits=3] [CONDITION ...]: what class K+1 adds to other methods.

For every condition (all, if none is named) and label split: labels alone, a mean teacher, and the best of FixMatch and MixMatch, each
without and with a generator and class K+1, the same network and augmentation, each for so many minutes of wall-clock time, in which the
learning rate falls to 0. Give each of several such commands a processor core of its own (OMP_NUM_THREADS=1, taskset). Runs go to
runs_what_k1_adds/ and are resumed, or read if they are there. Writes benchmarks/results/what_k1_adds.json and table.md beside this file.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import ssgan
from ssgan.markdown import code, table
from ssgan.reporting.results import summarize
from ssgan.training.environment import machine

HERE = Path(__file__).parent
RESULT = HERE.parent / "results" / "what_k1_adds.json"
TIMED = ["method.epochs=1000", "calibration_folds=0"]
"""max_time ends a run, and epochs of warm-up and ramp-up are thousandths of it."""
WEAK_ALONE = [f"{views}.{key}=0" for views in ("augmentation", "strong_augmentation") for key in ("shift", "rotation", "shear", "zoom")]  # fmt: skip
AIR = ["net.classifier.widths=[32,64,128]", "method.warm_up_epochs=167"]
OF_GENERATOR = [
    "method.generated_batch_size=64",  # a third of the unlabeled ones: as many would take most of the time
    "method.unlabeled_weight=0.3",
    "method.fake_logit=log_classes",
    "method.reuse_features=true",
    "method.feature_norm=l1",
    "method.terms.pull_away.weight=0.8",
    "method.ramp_up_epochs=333",
]


@dataclass
class Condition:
    """Data, labels, what all arms share, what those with a generator do, and the best method without one."""

    dataset: str
    labels: int
    shared: list[str]
    of_generator: list[str]
    best: str
    consistency: int
    """Weight of the mean teacher's loss: the authors' 10, or less where held-out images say so."""
    ramp_up: int
    """Thousandths of the time in which that weight rises."""

    def arms(self) -> dict[str, tuple[str, list[str]]]:
        """Method and settings of each arm: three without class K+1, and the same with it."""
        with_k1 = [*self.shared, *self.of_generator]
        consistent = [f"method.terms.consistency.weight={self.consistency}", f"method.ramp_up_epochs={self.ramp_up}"]
        best = {
            "fixmatch": ("improved_gan", [*with_k1, "method.terms.pseudo_label.weight=1"]),
            "mixmatch": ("mixmatch_gan", with_k1),
        }
        return {
            "labels alone": ("supervised", self.shared),
            "mean teacher": ("mean_teacher", [*self.shared, *consistent]),
            self.best: (self.best, self.shared),
            "labels alone, K+1": ("improved_gan", with_k1),
            "mean teacher, K+1": ("improved_gan", [*with_k1, *consistent]),
            f"{self.best}, K+1": best[self.best],
        }


CONDITIONS = {
    "mnist@100": Condition("mnist", 100, ["preset=mnist_gan", *WEAK_ALONE], [], "mixmatch", 10, 33),
    "svhn@250": Condition("svhn", 250, ["preset=svhn_classifier", *AIR], OF_GENERATOR, "fixmatch", 1, 333),
    "svhn@1000": Condition("svhn", 1000, ["preset=svhn_classifier", *AIR], OF_GENERATOR, "fixmatch", 1, 333),
    "cifar10@4000": Condition("cifar10", 4000, ["preset=cifar10_classifier", *AIR], OF_GENERATOR, "mixmatch", 1, 333),
}
"""MNIST without any augmentation, so that its pixels might come in any order; MixMatch is then mixtures alone."""


def train(condition: Condition, minutes: float, split_seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each arm and its metrics."""
    seconds = round(60 * minutes)
    for arm, (method, settings) in condition.arms().items():
        result = ssgan.train(
            condition.dataset,
            method,
            condition.labels,
            settings=[*settings, *TIMED],
            split_seed=split_seed,
            seed=split_seed,
            max_time=f"{seconds}s",
            name=f"{arm.replace(', ', '_').replace(' ', '_').replace('+', '')}_{seconds}s",
            runs_dir="runs_what_k1_adds",
        )
        yield arm, result.metrics


def measure(condition: Condition, minutes: float, splits: int) -> Iterator[dict[str, Any]]:
    """What is known after each split."""
    kept = ("test_error", "seconds", "epochs", "health", "status", "ece")
    runs: dict[str, list[dict[str, Any]]] = {}
    for split_seed in range(splits):
        for arm, metrics in train(condition, minutes, split_seed):
            runs.setdefault(arm, []).append({name: metrics[name] for name in kept})
        yield {"minutes": minutes, "machine": machine(), "threads": torch.get_num_threads(), "arms": runs}


def rows(condition: str, result: dict[str, Any]) -> Iterator[list[str]]:
    """A line for each pair of arms: errors, the paired difference with its standard error, and the generator's health."""
    arms = result["arms"]
    for name in [name for name in arms if not name.endswith("K+1")]:
        without, with_k1 = arms[name], arms[f"{name}, K+1"]
        pairs = list(zip(*([run["test_error"] for run in runs] for runs in (without, with_k1)), strict=True))
        *errors, gain = (summarize(values) for values in (*zip(*pairs, strict=True), [a - b for a, b in pairs]))
        health = [run["health"] for run in with_k1]
        seen = " / ".join(f"{mean(h[key] for h in health):.2f}" for key in ("d_real", "d_generated", "distinct"))
        taken_off = gain.text(2, gain.standard_error, scale=100)
        yield [code(condition), name, *(error.text(2, scale=100) for error in errors), taken_off, seen]


HEAD = ("", "beside", "without", "with K+1", "taken off", "D real / generated / distinct")


def page(results: dict[str, dict[str, Any]]) -> str:
    lines = [
        "Test error (%), mean ± sample sd (number of label splits); what K+1 takes off it, mean ± standard error of the paired difference;",
        "D of real and of generated images and the share of distinct nearest images among 1,000 generated ones, means.",
        "`python benchmarks/what_k1_adds/run.py`; single runs, minutes and machine: ../results/what_k1_adds.json.\n",
        table(HEAD, [row for name, result in results.items() for row in rows(name, result)]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments if "=" in argument)
    minutes, splits = float(options.get("minutes", 12)), int(options.get("splits", 3))
    names = [argument for argument in arguments if "=" not in argument] or CONDITIONS
    for name in names:
        for result in measure(CONDITIONS[name], minutes, splits):
            results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
            results = {key: (results | {name: result})[key] for key in CONDITIONS if key in results or key == name}
            RESULT.write_text(json.dumps(results, indent=2) + "\n")
            (HERE / "table.md").write_text(page(results))


if __name__ == "__main__":
    main(sys.argv[1:])
