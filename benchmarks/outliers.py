"""python benchmarks/outliers.py: can a classifier of digits tell what is no digit?

MNIST with 100 labels, short runs of each method, `SEEDS` splits. Digits of the test set against pictures of other things in the same
format: house numbers and photographs in gray, the digits themselves upside down, and noise. By two scores: log Z, which of a net without class
K+1 is the energy score of Liu et al. 2020, and of one with it orders as D(x) does; and the greatest probability. AUROC (%), and the share
of others that pass where 95 % of digits do. Needs MNIST, SVHN and CIFAR-10 in SSGAN_DATA. Runs go to runs_outliers/ and are read if they are there. Writes benchmarks/results/outliers.json and benchmarks/outliers.md.
"""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

import ssgan
from ssgan.inference.classifier import Classifier
from ssgan.training.api import load
from ssgan.training.environment import machine

HERE = Path(__file__).parent
SEEDS, COUNT = 2, 5000
METHODS: dict[str, list[str]] = {
    "supervised": ["preset=mnist_classifier", "method.epochs=2"],
    "fixmatch": ["method.epochs=2", "method.ramp_up_epochs=1"],
    "improved_gan": ["method.epochs=3"],
}
SCORES = ("log_z", "probability")


def gray(images: Tensor) -> Tensor:
    """Color images 32 x 32 as gray ones of 28 x 28, uint8."""
    luminance = (images.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    return F.interpolate(luminance, size=28, mode="bilinear", antialias=True).round().clamp(0, 255).byte()


def others(digits: Tensor) -> dict[str, Tensor]:
    noise = torch.randint(0, 256, (COUNT, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = {name: gray(load(name).test_images[:COUNT]) for name in ("svhn", "cifar10")}
    return {
        "house numbers": found["svhn"],
        "photographs": found["cifar10"],
        "upside down": digits.flip(2),
        "noise": noise,
    }


def scores_of(classifier: Classifier, images: Tensor) -> dict[str, Tensor]:
    answers = classifier.answers(images)
    return {"log_z": answers.log_z, "probability": answers.log_probabilities.max(1).values}


def separation(own: Tensor, other: Tensor) -> tuple[float, float]:
    """AUROC, and the share of ``other`` above the score that 95 % of ``own`` exceed."""
    targets = torch.cat([torch.ones(len(own)), torch.zeros(len(other))]).long()
    ranks = torch.cat([own, other]).double()
    unit = (ranks - ranks.min()) / (ranks.max() - ranks.min()).clamp_min(1e-12)  # else a sigmoid would be taken of them
    return float(binary_auroc(unit, targets)), float((other > own.quantile(0.05)).double().mean())


def table(result: dict[str, dict[str, dict[str, list[list[float]]]]]) -> str:
    names = list(next(iter(next(iter(result.values())).values())))
    lines = [
        f"MNIST with 100 labels, mean of {SEEDS} splits: AUROC (%), and in brackets the share (%) of others that pass where 95 % of digits do.",
        "`python benchmarks/outliers.py`; single runs: results/outliers.json.\n",
        "| method, score |" + "".join(f" {name} |" for name in names),
        "|---|" + "---:|" * len(names),
    ]
    for method, of_score in result.items():
        for score, of_name in of_score.items():
            cells = [[100 * fmean(run[k] for run in of_name[name]) for k in (0, 1)] for name in names]
            lines.append(
                f"| {method}, {score.replace('_', ' ')} |" + "".join(f" {a:.1f} ({b:.1f}) |" for a, b in cells)
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    digits = load("mnist").test_images[:COUNT]
    strange = others(digits)
    result: dict[str, Any] = {}
    errors: dict[str, list[float]] = {}
    for method, settings in METHODS.items():
        of_score: dict[str, dict[str, list[list[float]]]] = {score: {name: [] for name in strange} for score in SCORES}
        for seed in range(SEEDS):
            keys = {"split_seed": seed, "seed": seed, "runs_dir": "runs_outliers"}
            run = ssgan.train("mnist", method, 100, settings=settings, **keys)
            errors.setdefault(method, []).append(run.metrics["test_error"])
            own = scores_of(run.classifier, digits)
            for name, images in strange.items():
                other = scores_of(run.classifier, images)
                for score in SCORES:
                    of_score[score][name].append([round(x, 4) for x in separation(own[score], other[score])])
        result[method] = of_score
        about = {"machine": machine(), "command": "python benchmarks/outliers.py", "test_error": errors}
        (HERE / "results" / "outliers.json").write_text(json.dumps(about | {"separation": result}, indent=2) + "\n")
        (HERE / "outliers.md").write_text(table(result))


if __name__ == "__main__":
    main()
