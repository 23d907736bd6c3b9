"""python benchmarks/suggestions.py [RULE ...]: error against the number of labels, chosen by rules of `ssgan.suggest` or at random.

MNIST with FixMatch, in short runs of `EPOCHS` epochs: 20 labels drawn for each of `SEEDS` splits, then twice 20 more, the images that
the last run's classifier suggests, with their true labels as a person would give them. Rules: mix and random by default. Needs MNIST in
SSGAN_DATA. Runs go to runs_suggestions/ and are read if they are there. Writes benchmarks/results/suggestions.json and
benchmarks/suggestions.md.
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import ssgan
from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import write_rows
from ssgan.inference.suggestions import Question, suggest
from ssgan.markdown import table
from ssgan.suggest import candidates
from ssgan.training.api import load
from ssgan.training.environment import machine

HERE = Path(__file__).parent
SEEDS, START, MORE, ROUNDS, EPOCHS = 3, 20, 20, 2, 2
RUNS = Path("runs_suggestions")
SETTINGS = [f"method.epochs={EPOCHS}", "method.ramp_up_epochs=1"]


def train(name: str, seed: int, labels_file: Path | None) -> Any:
    keys = {"name": name, "split_seed": seed, "seed": seed, "runs_dir": RUNS}
    keys |= {"labels_file": str(labels_file)} if labels_file else {}
    return ssgan.train("mnist", "fixmatch", START, settings=SETTINGS, **keys)


def errors_of(data: ImageData, rule: str, seed: int) -> list[float]:
    """Test error with `START` labels, and with `MORE` of this rule after each round."""
    result = train("start", seed, None)
    errors = [result.metrics["test_error"]]
    given: list[int] = []
    for number in range(1, ROUNDS + 1):
        split = json.loads((result.folder / "split.json").read_text())
        places = candidates(data, set(split["labeled"]), 20_000, seed)
        labeled = data.train_images[split["labeled"]]
        question = Question(result.classifier, data.train_images[places], labeled, MORE, seed + 100 * number)
        given += places[suggest(question, rule)].tolist()
        file = RUNS / f"labels_{rule}_{seed}_{number}.csv"
        file.write_text(write_rows([str(p) for p in given], [str(data.train_targets[p].item()) for p in given]))
        result = train(f"{rule}_{number}", seed, file)
        errors.append(result.metrics["test_error"])
    return errors


def page(rules: dict[str, list[list[float]]]) -> str:
    numbers = [START + MORE * k for k in range(ROUNDS + 1)]
    rows = []
    for rule, runs in rules.items():
        cells = [[100 * run[k] for run in runs] for k in range(len(numbers))]
        rows.append([rule, *(f"{mean(c):.2f}" + (f" ± {stdev(c):.2f}" if len(c) > 1 else "") for c in cells)])
    lines = [
        f"MNIST, test error (%), mean ± sample sd of {SEEDS} splits, by the number of labels and who chose those beyond {START};",
        f"FixMatch, {EPOCHS} epochs. `python benchmarks/suggestions.py`; single runs: results/suggestions.json.\n",
        table(["", *(f"{number} labels" for number in numbers)], rows, left=1),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    data = load("mnist")
    path = HERE / "results" / "suggestions.json"
    rules: dict[str, list[list[float]]] = json.loads(path.read_text())["errors"] if path.exists() else {}
    for rule in sys.argv[1:] or ("random", "mix"):
        rules[rule] = []
        for seed in range(SEEDS):
            rules[rule].append([round(error, 5) for error in errors_of(data, rule, seed)])
            about = {"machine": machine(), "threads": torch.get_num_threads(), "epochs": EPOCHS}
            about |= {"command": "python benchmarks/suggestions.py", "errors": rules}
            path.write_text(json.dumps(about, indent=2) + "\n")
            (HERE / "suggestions.md").write_text(page(rules))


if __name__ == "__main__":
    main()
