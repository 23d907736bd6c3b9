"""What whoever is handed a classifier file should know of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from ssgan.files import write_atomically
from ssgan.inference.classifier import OUTLIER_SHARE
from ssgan.markdown import bullets, plain, table

LICENSES = {
    "mnist": "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)",
    "svhn": "for non-commercial use (Netzer et al. 2011)",
    "cifar10": "none stated (Krizhevsky 2009)",
    "digits": "CC BY 4.0 (UCI, Alpaydin and Kaynak 1998)",
}
"""Of the data sets of conf/dataset, as their authors state it."""
SELECTIVE = "0.9"


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Part:
    title: str
    blocks: Sequence[str | list[str] | Table | Code]
    """Paragraphs, lists, tables and commands, as plain text."""


def model_card(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """`card_parts` as Markdown."""
    parts = ["# Model card"]
    for part in card_parts(header, metrics):
        parts += [f"## {part.title}", *map(block_text, part.blocks)]
    return "\n\n".join(parts) + "\n"


def write_model_card(path: Path, header: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    write_atomically(path, model_card(header, metrics))


def block_text(block: str | list[str] | Table | Code) -> str:
    match block:
        case Code(text):
            return indent(text, "    ")
        case Table(head, rows):
            return table([*map(plain, head)], [[*map(plain, row)] for row in rows])
        case str():
            return plain(block)
        case _:
            return bullets(map(plain, block))


def card_parts(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[Part]:
    """From the ``header`` of a classifier file and the ``metrics`` of its run, both of this version."""
    return [
        Part("What it is", of_origin(header, metrics)),
        Part("What it gets right", of_errors(header, metrics)),
        Part("How far to trust it", of_trust(header, metrics)),
        Part("Limits", [limits(header, metrics)]),
    ]


def of_origin(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str | Table | Code]:
    channels, height, width = header["image_shape"]
    names = header["class_names"]
    kind = (
        f"vectors of {channels} numbers"
        if (height, width) == (1, 1)
        else f"images of {width} x {height} pixels, {'gray' if channels == 1 else 'color'}"
    )
    rows = [
        ("takes", kind),
        ("tells apart", f"{len(names)} classes: {', '.join(names)}"),
        ("trained by", f"{header['method']}, network {header['network']['class']}, {metrics['epochs']} epochs"),
        (
            "data",
            f"{header['dataset']}; license of the images: {LICENSES.get(header['dataset'], 'that of their owner')}",
        ),
        ("labels", f"{sum(metrics['labels_per_class'].values())}; the other images of the pool without a label"),
        (
            "which",
            f"split_seed {header['split_seed']}, seed {header['seed']}, digest {header['split_digest']} (split.json)",
        ),
    ]
    if metrics["status"] != "finished":
        rows.insert(0, ("status", f"{metrics['status']}: the weights are those of before"))
    return [Table(("", ""), rows), "The command that made it:", Code(metrics["command"])]


def of_errors(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str | Table]:
    test = header["test"]
    if test["error"] is None:
        return ["Not measured: the data set has no test images."]
    rows = [
        (name, str(metrics["labels_per_class"][name]), "-" if error is None else f"{error:.2%}")
        for name, error in zip(header["class_names"], test["per_class_error"], strict=True)
    ]
    told = f"Error on {test['n']} test images, which were used once: {test['error']:.2%}, balanced {test['balanced_error']:.2%}."
    return [told, Table(("class", "labels", "error"), rows)]


def of_trust(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    said = []
    if metrics["ece"] is not None:
        said += [
            f"Expected calibration error {metrics['ece']:.3f} (0: its probabilities are right on average), "
            f"negative log-likelihood {metrics['nll']:.3f}.",
            f"Error on the {float(SELECTIVE):.0%} most confident test images: {metrics['selective'][SELECTIVE]:.2%}.",
        ]
    calibration = metrics["calibration"]
    if calibration:
        fitted_on = (
            f"{calibration['images']} labeled images that other trainings were without ({calibration['folds']}: cross-validation)"
            if "folds" in calibration
            else f"{calibration['images']} validation images"
        )
        said.append(
            f"Logits are divided by a temperature of {header['temperature']}, fitted on {fitted_on}; "
            f"without it: {calibration['ece_before']:.3f} and {calibration['nll_before']:.3f}."
        )
    elif header["temperature"] != 1:
        said.append(
            f"Logits are divided by a temperature of {header['temperature']}, fitted on images that it did not learn from; what "
            f"that changes was not measured, without test images."
        )
    else:
        said.append(
            "Its probabilities were not calibrated: the run had no validation images (validation=) and no folds (calibration_folds=)."
        )
    said.append(
        f"Images unlike those of training have a low log Z; {OUTLIER_SHARE:.0%} of the training pool lies below "
        f"{header['log_z_quantiles'][str(OUTLIER_SHARE)]}. ssgan.predict marks such images as outliers. It does not know classes "
        f"beside its own and names one of them for every image."
    )
    return said


def limits(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    said = [
        "The errors hold for images like the test images; other cameras, crops or sizes were not tested.",
        "One run on one split of the labels: another split gives another classifier.",
    ]
    few = [name for name, count in metrics["labels_per_class"].items() if count < 5]
    if few:
        said.append(f"Fewer than five labels: {', '.join(few)}.")
    if (metrics["ood_share"] or 0) > 0:
        said.append(f"{metrics['ood_share']:.0%} or more of the unlabeled images seem to be of none of the classes.")
    if header.get("embedding"):
        said.append(f"It takes vectors of the backbone {header['embedding']['backbone']}, whose own limits it shares.")
    return said
