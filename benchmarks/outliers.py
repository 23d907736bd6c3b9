"""python benchmarks/outliers.py [runs=FOLDER]: can a classifier tell what is of no class?

MNIST with 100 labels, short runs of each method, `SEEDS` splits. Digits of the test set against pictures of other things in the same
format: house numbers and photographs in gray, the digits themselves upside down, and noise. By two scores: log Z, which of a net without class
K+1 is the energy score of Liu et al. 2020, and of one with it orders as D(x) does; and the greatest probability. AUROC (%), and the share
of others that pass where 95 % of digits do. Needs MNIST, SVHN and CIFAR-10 in SSGAN_DATA. Runs go to runs_outliers/ and are read if they are there.

With ``runs=`` a folder of finished runs: no training, but each classifier of CIFAR-10 in it on house numbers, each of SVHN on photographs,
and both on noise. Writes benchmarks/results/outliers.json and benchmarks/outliers.md; conditions and methods that are not measured stay as they were.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

import ssgan
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import load_classifier
from ssgan.markdown import table
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
COLOR = {"cifar10": ("svhn", "house numbers"), "svhn": ("cifar10", "photographs")}
RESULT = HERE / "results" / "outliers.json"
Separation = dict[str, dict[str, list[list[float]]]]
"""Score -> what is strange -> AUROC and share that passes, of each run."""


def gray(images: Tensor) -> Tensor:
    """Color images 32 x 32 as gray ones of 28 x 28, uint8."""
    luminance = (images.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    return F.interpolate(luminance, size=28, mode="bilinear", antialias=True).round().clamp(0, 255).byte()


def noise(shape: Sequence[int]) -> Tensor:
    return torch.randint(0, 256, (COUNT, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def others(digits: Tensor) -> dict[str, Tensor]:
    found = {name: gray(load(name).test_images[:COUNT]) for name in ("svhn", "cifar10")}
    return {
        "house numbers": found["svhn"],
        "photographs": found["cifar10"],
        "upside down": digits.flip(2),
        "noise": noise(digits.shape[1:]),
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


def separations(classifier: Classifier, own: Tensor, strange: dict[str, Tensor]) -> dict[str, dict[str, list[float]]]:
    """`separation` of ``own`` images from each of ``strange`` ones, by each score."""
    of_own = scores_of(classifier, own)
    of_strange = {name: scores_of(classifier, images) for name, images in strange.items()}
    return {
        score: {
            name: [round(x, 4) for x in separation(of_own[score], scores[score])] for name, scores in of_strange.items()
        }
        for score in SCORES
    }


def add(to: Separation, found: dict[str, dict[str, list[float]]]) -> None:
    for score, of_name in found.items():
        for name, values in of_name.items():
            to.setdefault(score, {}).setdefault(name, []).append(values)


def rows(found: dict[str, Separation]) -> list[list[str]]:
    """Those of each name and score: AUROC and, in brackets, the share that passes, means of the runs."""
    lines = []
    for name, of_score in found.items():
        for score, of_name in of_score.items():
            means = [[100 * fmean(run[k] for run in runs) for k in (0, 1)] for runs in of_name.values()]
            lines.append([f"{name}, {score.replace('_', ' ')}", *(f"{a:.1f} ({b:.1f})" for a, b in means)])
    return lines


def page(result: dict[str, Any]) -> str:
    names = list(next(iter(next(iter(result["separation"].values())).values())))
    lines = [
        f"MNIST with 100 labels, mean of {SEEDS} splits: AUROC (%), and in brackets the share (%) of others that pass where 95 % of digits do.",
        "`python benchmarks/outliers.py`; single runs: results/outliers.json.\n",
        table(["method, score", *names], rows(result["separation"]), left=1),
    ]
    if "color" in result:
        lines += [
            "\nClassifiers of CIFAR-10 on house numbers, of SVHN on photographs, and both on noise, means of the runs that there are.",
            "`python benchmarks/outliers.py runs=runs`\n",
            table(["condition, method, score", "the other data set", "noise"], rows(result["color"]), left=1),
        ]
    return "\n".join(lines) + "\n"


def of_digits() -> dict[str, Any]:
    digits = load("mnist").test_images[:COUNT]
    strange = others(digits)
    result: dict[str, Separation] = {}
    errors: dict[str, list[float]] = {}
    for method, settings in METHODS.items():
        for seed in range(SEEDS):
            keys = {"split_seed": seed, "seed": seed, "runs_dir": "runs_outliers"}
            run = ssgan.train("mnist", method, 100, settings=settings, **keys)
            errors.setdefault(method, []).append(run.metrics["test_error"])
            add(result.setdefault(method, {}), separations(run.classifier, digits, strange))
    about = {"machine": machine(), "command": "python benchmarks/outliers.py", "test_error": errors}
    return about | {"separation": result}


def of_runs(folder: Path) -> dict[str, Separation]:
    result: dict[str, Separation] = {}
    for dataset, (other, kind) in COLOR.items():
        own, unlike = (load(name).test_images[:COUNT] for name in (dataset, other))
        for file in sorted(folder.glob(f"{dataset}@*/*/*/classifier.safetensors")):
            name = f"`{file.parts[-4]}`, {file.parts[-3].replace('_', ' ')}"
            found = separations(load_classifier(file), own, {kind: unlike, "noise": noise(own.shape[1:])})
            add(result.setdefault(name, {}), found)
    return result


if __name__ == "__main__":
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if sys.argv[1:]:
        result["color"] = result.get("color", {}) | of_runs(Path(sys.argv[1].removeprefix("runs=")))
    else:
        result |= of_digits()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    (HERE / "outliers.md").write_text(page(result))
