"""python -m ssgan.predict: classes of a folder of pictures, as a CSV file."""

import csv
import io

import torch
from omegaconf import DictConfig
from rich.progress import track

from ssgan import cli
from ssgan.data.images import find_pictures, read_picture
from ssgan.errors import SsganError, print_error, warn
from ssgan.files import require_writable, write_atomically
from ssgan.inference.classifier_file import load_named


def predict(config: DictConfig) -> int:
    """Write path, class and probability of every picture; a broken one is named, skipped and counted (exit code 1)."""
    classifier = load_named(config.classifier, config.views)
    paths = find_pictures(config.images)
    require_writable(config.output)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "class", "probability"])
    broken = resized = 0
    for path in track(paths, description="predict", transient=True):
        try:
            pixels, was_resized = read_picture(path, classifier.image_shape)
        except SsganError as error:
            print_error(str(error))
            broken += 1
            continue
        resized += was_resized
        probability, index = torch.max(classifier.predict_proba(pixels[None])[0], dim=0)
        writer.writerow([path, classifier.class_names[index], f"{probability:.6f}"])
    write_atomically(config.output, table.getvalue().encode(errors="surrogateescape"))  # a name may be any bytes
    print(f"{len(paths) - broken} predictions in {config.output}")
    if resized:
        warn(f"{resized} pictures were resized to {classifier.image_shape[1:]}")
    if broken:
        print_error(f"{broken} of {len(paths)} pictures could not be read and were skipped")
    return 1 if broken else 0


def main() -> None:
    cli.run("predict", predict)


if __name__ == "__main__":
    main()
