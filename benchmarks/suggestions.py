"""python benchmarks/suggestions.py [mnist|svhn] [RULE ...]: error against the number of labels, chosen by rules of `ssgan.suggest` or at random.

FixMatch, in short runs: labels drawn for each of `SEEDS` splits, then twice as many more, the images that the last run's classifier
suggests, with their true labels as a person would give them. Both data sets, with the rules random and mix, by default. Needs them in
SSGAN_DATA. Runs go to runs_suggestions/ and are read if they are there. Writes benchmarks/results/suggestions.json,
benchmarks/suggestions.md and benchmarks/images/suggestions.png.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from matplotlib.figure import Figure

import ssgan
from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import write_labels
from ssgan.inference.suggestions import Query, suggest
from ssgan.markdown import table
from ssgan.suggest import candidates
from ssgan.training.api import load
from ssgan.training.environment import machine

HERE = Path(__file__).parent
RESULT = HERE / "results" / "suggestions.json"
RUNS = Path("runs_suggestions")
SEEDS, ROUNDS = 3, 2
RULES = ("random", "mix")
Errors = dict[str, dict[str, list[list[float]]]]
"""Data set -> rule -> split -> test error with each number of labels."""


@dataclass
class Plan:
    """So many labels at first, so many more in each round, and how long a run takes."""

    start: int
    more: int
    run: str
    settings: list[str]

    @property
    def numbers(self) -> list[int]:
        return [self.start + self.more * k for k in range(ROUNDS + 1)]


PLANS = {
    "mnist": Plan(20, 20, "2 epochs", ["method.epochs=2", "method.ramp_up_epochs=1"]),
    "svhn": Plan(250, 250, "5 minutes", ["budget=quick", "max_time=5m"]),
}


def train(dataset: str, name: str, seed: int, labels_file: Path | None) -> Any:
    keys = {"name": name, "split_seed": seed, "seed": seed, "runs_dir": RUNS}
    keys |= {"labels_file": str(labels_file)} if labels_file else {}
    return ssgan.train(dataset, "fixmatch", PLANS[dataset].start, settings=PLANS[dataset].settings, **keys)


def errors_of(dataset: str, data: ImageData, rule: str, seed: int) -> list[float]:
    """Test error with the first labels, and with those of this rule after each round."""
    result = train(dataset, "start", seed, None)
    errors = [result.metrics["test_error"]]
    given: list[int] = []
    for number in range(1, ROUNDS + 1):
        split = json.loads((result.folder / "split.json").read_text())
        places = candidates(data, set(split["labeled"]), 20_000, seed)
        labeled = data.train_images[split["labeled"]]
        query = Query(result.classifier, data.train_images[places], labeled, PLANS[dataset].more, seed + 100 * number)
        given += places[suggest(query, rule)].tolist()
        file = RUNS / f"labels_{dataset}_{rule}_{seed}_{number}.csv"
        file.write_text(write_labels([str(p) for p in given], [str(data.train_targets[p].item()) for p in given]))
        result = train(dataset, f"{rule}_{number}", seed, file)
        errors.append(result.metrics["test_error"])
    return errors


def part(dataset: str, rules: dict[str, list[list[float]]]) -> str:
    """The table of a data set."""
    plan, rows = PLANS[dataset], []
    for rule, runs in rules.items():
        cells = [[100 * run[k] for run in runs] for k in range(ROUNDS + 1)]
        rows.append([rule, *(f"{mean(c):.2f}" + (f" ± {stdev(c):.2f}" if len(c) > 1 else "") for c in cells)])
    lines = [
        f"{dataset.upper()}, test error (%), mean ± sample sd of {SEEDS} splits, by the number of labels and who chose those beyond {plan.start};",
        f"FixMatch, {plan.run} a run. `python benchmarks/suggestions.py {dataset}`; single runs: results/suggestions.json.\n",
        table(["", *(f"{number} labels" for number in plan.numbers)], rows, left=1),
    ]
    return "\n".join(lines)


def figure(errors: Errors) -> Figure:
    """Means as lines, single splits as points."""
    drawn = Figure(figsize=(4.5 * len(errors), 3.4), layout="constrained")
    for panel, (dataset, rules) in zip(drawn.subplots(1, len(errors), squeeze=False)[0], errors.items(), strict=True):
        numbers = PLANS[dataset].numbers
        for color, (rule, runs) in enumerate(rules.items()):
            panel.plot(
                numbers, [100 * mean(at) for at in zip(*runs, strict=True)], color=f"C{color}", marker="o", label=rule
            )
            for run in runs:
                panel.plot(numbers, [100 * error for error in run], ".", color=f"C{color}", alpha=0.5)
        panel.set(title=dataset.upper(), xlabel="labels", ylabel="test error (%)", xticks=numbers, ylim=(0, None))
        panel.grid(alpha=0.3)
        panel.legend()
    return drawn


def main(arguments: list[str]) -> None:
    chosen = [name for name in PLANS if name in arguments] or list(PLANS)
    rules = [name for name in arguments if name not in PLANS] or RULES
    errors: Errors = json.loads(RESULT.read_text())["errors"] if RESULT.exists() else {}
    RUNS.mkdir(exist_ok=True)
    for dataset in chosen:
        data, found = load(dataset), {}
        for rule in rules:
            found[rule] = [[round(error, 5) for error in errors_of(dataset, data, rule, seed)] for seed in range(SEEDS)]
            errors[dataset] = errors.get(dataset, {}) | found
            about = {"machine": machine(), "threads": torch.get_num_threads()}
            about |= {"command": " ".join(["python benchmarks/suggestions.py", *arguments]), "errors": errors}
            RESULT.write_text(json.dumps(about, indent=2) + "\n")
            (HERE / "suggestions.md").write_text(
                "\n\n".join(part(name, found) for name, found in errors.items()) + "\n"
            )
            figure(errors).savefig(HERE / "images" / "suggestions.png", dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
