"""What whoever is handed a classifier file should know of it, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

LICENSES = {
    "mnist": "CC BY-SA 3.0 (Yann LeCun, Corinna Cortes)",
    "svhn": "for non-commercial use (Netzer et al. 2011)",
    "cifar10": "none stated (Krizhevsky 2009)",
    "digits": "CC BY 4.0 (UCI, Alpaydin and Kaynak 1998)",
}
"""Of the data sets of conf/dataset, as their authors state it."""
OUTLIERS = 0.01


def model_card(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """``header`` of the classifier file and ``metrics`` of its run -> the card's text."""
    channels, height, width = header["image_shape"]
    names, test = header["class_names"], header["test"]
    kind = (
        f"vectors of {channels} numbers"
        if (height, width) == (1, 1)
        else f"images of {width} x {height} pixels, {'gray' if channels == 1 else 'color'}"
    )
    rows = [
        ("takes", kind),
        ("tells apart", f"{len(names)} classes: {', '.join(names)}"),
        ("trained by", f"`{header['method']}`, network `{header['network']['class']}`, {metrics['epochs']} epochs"),
        (
            "data",
            f"{header['dataset']}; license of the images: {LICENSES.get(header['dataset'], 'that of their owner')}",
        ),
        ("labels", f"{sum(metrics['labels_per_class'].values())}; the other images of the pool without a label"),
        (
            "which",
            f"split_seed {header['split_seed']}, seed {header['seed']}, digest {header['split_digest']} (split.json)",
        ),
        ("command", f"`{metrics['command']}`"),
    ]
    if metrics["status"] != "finished":
        rows.insert(0, ("status", f"**{metrics['status']}**: the weights are those of before"))
    parts = ["# Model card", table(("", ""), rows), "## What it gets right", *of_errors(names, test, metrics)]
    parts += ["## How far to trust it", *of_trust(header, metrics), "## Limits", *limits(header, metrics)]
    return "\n\n".join(parts) + "\n"


def of_errors(names: list[str], test: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    if test["error"] is None:
        return ["Not measured: the data set has no test images."]
    counts = metrics["labels_per_class"]
    rows = [
        (plain(name), str(counts[name]), "-" if error is None else f"{error:.2%}")
        for name, error in zip(names, test["per_class_error"], strict=True)
    ]
    told = f"Error on {test['n']} test images, which were looked at once: **{test['error']:.2%}**, balanced {test['balanced_error']:.2%}."
    return [told, table(("class", "labels", "error"), rows)]


def of_trust(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    parts = []
    if metrics["ece"] is not None:
        parts.append(
            f"Expected calibration error {metrics['ece']:.3f} (0: its probabilities are right on average), "
            f"negative log-likelihood {metrics['nll']:.3f}."
        )
    calibration = metrics["calibration"]
    if calibration:
        parts.append(
            f"Probabilities are divided by a temperature of {header['temperature']}, fitted on {calibration['images']} validation images; "
            f"without it: {calibration['ece_before']:.3f} and {calibration['nll_before']:.3f}."
        )
    elif header["temperature"] != 1:
        parts.append(
            f"Probabilities are divided by a temperature of {header['temperature']}, fitted on validation images; what that changes was "
            f"not measured, without test images."
        )
    else:
        parts.append("Its probabilities were not calibrated: the run had no validation images (`validation=`).")
    parts.append(
        f"Images unlike those of training have a low log Z; {OUTLIERS:.0%} of the training pool lies below "
        f"{header['log_z_quantiles'][str(OUTLIERS)]}. `ssgan.predict` marks such images as outliers. It does not know classes "
        f"beside its own and names one of them for every image."
    )
    return parts


def limits(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    said = [
        "- The errors hold for images like the test images; other cameras, crops or sizes were not tested.",
        "- One run on one split of the labels: another split gives another classifier.",
    ]
    few = [name for name, count in metrics["labels_per_class"].items() if count < 5]
    if few:
        said.append(f"- Fewer than five labels: {', '.join(map(plain, few))}.")
    if (metrics["strangers"] or 0) > 0:
        said.append(f"- {metrics['strangers']:.0%} or more of the unlabeled images seem to be of none of the classes.")
    if header.get("embedding"):
        said.append(
            f"- It takes vectors of the backbone {header['embedding']['backbone']}, whose own limits it shares."
        )
    return ["\n".join(said)]


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in line)} |" for line in lines
    )


def plain(text: str) -> str:
    """``text`` without meaning to Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_<>[]#" else letter for letter in text)
