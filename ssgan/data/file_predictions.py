"""A classifier's word on picture files, as a CSV file."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import torch

from ssgan.data.images import read_picture
from ssgan.data.progress import tracked
from ssgan.errors import SsganError, print_error, warn
from ssgan.files import write_atomically
from ssgan.inference.classifier import Predictor

BATCH_PIXELS = 1 << 22
"""Values of the pictures that are classified together, at most: 16 MB of floats."""


def predict_files(predictor: Predictor, paths: Sequence[Path], output: str | Path) -> int:
    """Write path, class and probability of every picture to ``output``; a broken one is named and left out.

    Returns how many are broken. Pictures are read as the classifier's file says, and resized to its ``image_shape``.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "class", "probability"])
    broken = resized = 0
    batch: list[tuple[Path, torch.Tensor]] = []
    size = max(1, BATCH_PIXELS // torch.Size(predictor.image_shape).numel())

    def write() -> None:
        if not batch:
            return
        probabilities, indices = predictor.predict_proba(torch.stack([pixels for _, pixels in batch])).max(1)
        for (path, _), probability, index in zip(batch, probabilities.tolist(), indices.tolist(), strict=True):
            writer.writerow([path, predictor.class_names[index], f"{probability:.6f}"])
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
    write_atomically(output, table.getvalue().encode(errors="surrogateescape"))  # a name may be any bytes
    print(f"{len(paths) - broken} predictions in {output}")
    if resized:
        warn(f"{resized} pictures were resized to {predictor.image_shape[1:]}")
    return broken
