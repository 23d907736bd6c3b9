"""A classifier's word on picture files, as a CSV file."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ssgan.data.csv_rows import csv_text
from ssgan.data.images import read_picture
from ssgan.data.progress import tracked
from ssgan.errors import SsganError, print_error, warn
from ssgan.files import write_atomically
from ssgan.inference.classifier import OUTLIER_SHARE, Predictor

BATCH_PIXELS = 1 << 22
"""Values of the pictures that are classified together, at most: 16 MB of floats."""


def predict_files(
    predictor: Predictor,
    paths: Sequence[Path],
    output: str | Path,
    min_probability: float = 0.0,
    outliers: float = OUTLIER_SHARE,
) -> int:
    """Write path, class, probability, log Z and whether it is an outlier of every picture to ``output``; a broken one is named and
    left out.

    Returns how many are broken. Pictures are read as the classifier's file says, and resized to its ``image_shape``. Below
    ``min_probability`` the class is left empty. An outlier has a lower log Z than all but a share ``outliers`` of the training
    pool; 0, or a file that does not know the pool's: the column is empty.
    """
    threshold = None
    if outliers and predictor.header.get("log_z_quantiles"):
        threshold = predictor.outlier_threshold(outliers)
    elif outliers:
        warn(
            f"outliers={outliers:g}: the classifier's file does not know log Z of its training images; the column is empty"
        )
    unsure = strange = 0
    rows: list[list[object]] = [["path", "class", "probability", "log_z", "outlier"]]
    broken = resized = 0
    batch: list[tuple[Path, torch.Tensor]] = []
    size = max(1, BATCH_PIXELS // torch.Size(predictor.image_shape).numel())

    def write() -> None:
        nonlocal unsure, strange
        if not batch:
            return
        answers = predictor.answers(torch.stack([pixels for _, pixels in batch]))
        probabilities, indices = answers.log_probabilities.exp().max(1)
        columns = (probabilities.tolist(), indices.tolist(), answers.log_z.tolist())
        for (path, _), probability, index, log_z in zip(batch, *columns, strict=True):
            sure = probability >= min_probability
            outlier = threshold is not None and log_z < threshold
            unsure, strange = unsure + (not sure), strange + outlier
            name = predictor.class_names[index] if sure else ""
            rows.append(
                [path, name, f"{probability:.6f}", f"{log_z:.4f}", "" if threshold is None else str(outlier).lower()]
            )
        batch.clear()

    for path in tracked(paths, "predict", len(paths)):
        try:
            pixels, was_resized = read_picture(path, predictor.image_shape, predictor.reading)
        except SsganError as error:
            print_error(str(error))
            broken += 1
            continue
        resized += was_resized
        batch.append((path, pixels))
        if len(batch) == size:
            write()
    write()
    if broken == len(paths):
        return broken  # ``output`` stays as it was
    write_atomically(output, csv_text(rows))
    print(f"{len(paths) - broken} predictions in {output}")
    if unsure:
        print(f"{unsure} without a class: less probable than min_probability={min_probability:g}")
    if strange:
        print(f"{strange} outliers: a lower log Z than {1 - outliers:.1%} of the training images")
    if resized:
        warn(f"{resized} pictures were resized to {predictor.image_shape[1:]}")
    return broken
