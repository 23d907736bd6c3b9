"""The pictures of a report: made or copied, written, and explained."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ssgan.errors import SsganError
from ssgan.evaluation.classification import BINS, at_coverage, evaluate, risk_coverage
from ssgan.evaluation.curves import curves_figure
from ssgan.files import write_atomically, write_figure
from ssgan.reporting.content import Picture, Section
from ssgan.reporting.efficiency import power_law
from ssgan.reporting.figures import (
    calibration_figure,
    confusion_figure,
    confusion_matrix,
    labels_figure,
    selection_figure,
    shown,
    with_label_budgets,
)
from ssgan.reporting.predictions import predict_test_images
from ssgan.reporting.results import Group

SELECTED = 0.9
PICTURE_BYTES = 300_000
"""No picture of a report is larger: a page of many conditions should still open at once."""


def draw_label_budgets(groups: Sequence[Group], folder: Path) -> list[Picture]:
    pictures = []
    for number, (dataset, tested) in enumerate(with_label_budgets(groups).items()):
        path = folder / f"labels-{number}.png"
        write_figure(path, labels_figure(tested))
        caption = (
            f"Test error on {dataset} against the number of labeled images: mean of the runs, bars of one sample "
            f"standard deviation. Dashed: the same network, taught by the labeled images alone."
        )
        laws = [
            f"{recipe}: {law.told()}"
            for recipe in sorted({group.recipe for group in tested})
            if (law := power_law([group for group in tested if group.recipe == recipe]))
        ]
        if laws:
            caption += f" Dotted: a power law of single runs, and what is 95 % sure of it. {'; '.join(laws)}."
        pictures.append(Picture(path, f"Test error on {dataset} by number of labels", caption))
    return pictures


def add_samples(section: Section, folder: Path) -> None:
    """The last grid of generated images, if the run made any."""
    grids = sorted((section.group.runs[0].folder / "samples").glob("*.png"))
    if not grids:
        return
    try:
        content = small_png(grids[-1])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        section.missing.append(f"No generated images: {grids[-1]} cannot be read ({error}).")
        return
    path = folder / f"{section.slug}-samples.png"
    write_atomically(path, content)
    when = re.fullmatch(r"epoch_0*(\d+)", grids[-1].stem)
    caption = f"Images that the generator invented{f', after epoch {when[1]}' if when else ''}. None of them is real."
    section.pictures.append(Picture(path, f"Generated images of {title(section.group)}", caption, pixels=True))


def small_png(path: Path) -> bytes:
    """The picture at ``path``, with fewer colors and then fewer pixels if it has more than `PICTURE_BYTES`."""
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGB")
    while len(content) > PICTURE_BYTES:
        buffer = io.BytesIO()
        picture.quantize(256).save(buffer, format="PNG", optimize=True)
        content = buffer.getvalue()
        picture = picture.resize((max(1, picture.width * 3 // 4), max(1, picture.height * 3 // 4)))
    return content


def add_curves(section: Section, folder: Path) -> None:
    run = section.group.runs[0]
    rows = run.epochs()
    if not rows or "epoch" not in rows[0] or not any(name.startswith("train/") for name in rows[0]):
        section.missing.append(f"No learning curves: {run.folder / 'metrics.csv'} is missing or broken.")
        return
    path = folder / f"{section.slug}-curves.png"
    write_figure(path, curves_figure(rows, shown(section.group.condition, 40)))
    caption = "The terms of the losses, epoch by epoch."
    if "val/error" in rows[0]:
        caption += " Beside them, the error of the averaged weights on labeled images that were kept aside."
    section.pictures.append(
        Picture(path, f"Learning curves of {title(section.group)}", caption, wide="val/error" in rows[0])
    )


def add_predictions(section: Section, folder: Path, data_dir: str, download: bool) -> None:
    """Calibration, selection and confusion on the test images; without data or classifier, the reason."""
    run = section.group.runs[0]
    if run.metrics["test_error"] is None and not (run.folder / "classifier.safetensors").exists():
        return  # a method without classes
    try:
        log_probabilities, data = predict_test_images(run, data_dir, download)
    except SsganError as error:
        section.missing.append(f"No calibration plot and no confusion matrix: {error}")
        return
    measured = evaluate(log_probabilities, data.test_targets)
    risks = risk_coverage(log_probabilities, data.test_targets)
    matrix = confusion_matrix(log_probabilities, data.test_targets)
    wrong = int(matrix.sum() - matrix.trace())
    pictures = (
        (
            "calibration",
            calibration_figure(log_probabilities, data.test_targets),
            f"Calibration: of the images to which the classifier gives about this probability, how many it gets right; "
            f"below the dashed line it is too sure of itself. ECE {measured['ece']:.3f} in {BINS} bins. The lower part "
            f"counts the images.",
        ),
        (
            "selection",
            selection_figure(log_probabilities, data.test_targets),
            f"Selection: how many errors are left if the classifier answers only where it is surest. With {SELECTED:.0%} of the test images it "
            f"is {at_coverage(risks, SELECTED):.2%}. The lower part shows the min_probability= that chooses as many.",
        ),
        (
            "confusion",
            confusion_figure(matrix, data.class_names),
            f"Confusion matrix: which class is taken for which. {wrong:,} of {measured['n']:,} test images are "
            f"misclassified, {measured['error']:.2%}; the gray diagonal counts the others.",
        ),
    )
    for name, figure, caption in pictures:
        path = folder / f"{section.slug}-{name}.png"
        write_figure(path, figure)
        section.pictures.append(Picture(path, f"{name.capitalize()} of {title(section.group)}", caption))


def title(group: Group) -> str:
    return f"{group.condition} {group.recipe}"
