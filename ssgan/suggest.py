"""python -m ssgan.suggest: the unlabeled images of a run whose labels would help most, on a page on which a person labels them."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from ssgan import cli
from ssgan.data.image_data import ImageData
from ssgan.data.images import thumbnail
from ssgan.data.labels_file import digest_of, name_of, read_labels, write_labels
from ssgan.data.registry import files_read, require_known
from ssgan.errors import SsganError
from ssgan.files import require_writable, write_atomically
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import load_classifier
from ssgan.inference.suggestions import Query, suggest
from ssgan.page import FOLDER, data_uri, fill, png
from ssgan.reporting.predictions import data_of
from ssgan.reporting.runs import run_in
from ssgan.seeds import derive_seed

TEMPLATE = FOLDER / "suggest.html"
PAGES = (".html", ".htm")
SIDE, SMALL = 384, 64
"""Pixels a side of pictures on the page, at most, and of those that are small enough to be shown without loss."""


def suggest_images(config: DictConfig) -> int:
    """Write the page, or a table to fill in if ``output`` ends with .csv."""
    run = run_in(config.run)
    classifier = load_classifier(run.folder / "classifier.safetensors")
    data = data_of(run, config.data_dir, config.download)
    require_known(data, classifier, f"run={config.run}")
    if data.of_vectors:
        raise SsganError(f"run={config.run}: was trained on vectors, which nobody can look at")
    described = run.config()
    read = [described.get("labels_file"), *files_read(described["dataset"] | {"data_dir": config.data_dir})]
    require_writable(config.output, *filter(None, read), *run.folder.iterdir())
    is_table = Path(config.output).suffix.lower() == ".csv"
    if is_table:
        require_unlabeled(config.output)
    elif Path(config.output).suffix.lower() not in PAGES:
        raise SsganError(
            f"output={config.output}: use a name that ends with .html, for a page, or .csv, for a table to fill in"
        )
    split = run.split()
    places = candidates(data, {*split.labeled, *split.validation}, config.pool, config.seed)
    labeled = data.train_images[list(split.labeled)]
    query = Query(classifier, data.train_images[places], labeled, config.count, config.seed)
    chosen = places[suggest(query, config.rule)].tolist()
    names = [name_of(data, place) for place in chosen]
    if is_table:
        text = write_labels(names, [""] * len(names), [digest_of(data, place) for place in chosen])
    else:
        require_unicode(config.output, [*names, *data.class_names])
        about = {"dataset": data.name, "rule": config.rule, "hints": config.hints}
        images = shown(classifier, data, chosen)
        text = fill(
            TEMPLATE.read_text(encoding="utf-8"), about | {"class_names": list(data.class_names), "images": images}
        )
    write_atomically(config.output, text)
    filled = config.output if is_table else "labels.csv"
    print(
        f"{len(chosen)} of {len(places)} unlabeled images in {config.output}; label them, and train with labels_file={filled} and a "
        f"name of its own (name=...)"
    )
    return 0


def require_unlabeled(output: str) -> None:
    """Raise `SsganError` for a table in which somebody has named images: it would be gone."""
    if not Path(output).is_file():
        return
    named = sum(bool(label) for _, _, label, _ in read_labels(f"output={output}", output))
    if named:
        raise SsganError(f"output={output}: holds {named} labels already; name another file")


def require_unicode(output: str, names: list[str]) -> None:
    """Raise `SsganError` for the name of a file or class that a page would change."""
    for name in names:
        if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
            raise SsganError(
                f"output={output}: a page cannot hold the name {name!a}, which is no Unicode; rename it, or use a name that "
                f"ends with .csv"
            )


def candidates(data: ImageData, taken: set[int], most: int, seed: int) -> Tensor:
    """Places of the training images that are not ``taken``, or of so many of them, drawn by ``seed``."""
    free = torch.tensor([place for place in range(len(data.train_images)) if place not in taken], dtype=torch.int64)
    rng = torch.Generator().manual_seed(derive_seed("candidates", seed))
    return free if len(free) <= most else free[torch.randperm(len(free), generator=rng)[:most].sort().values]


def shown(classifier: Classifier, data: ImageData, chosen: list[int]) -> list[dict[str, Any]]:
    """What the page knows of each image: its name in a labels file, the picture, and what the classifier takes it for."""
    images = data.train_images[chosen]
    probabilities, classes = classifier.predict_proba(images).max(1)
    rows = zip(chosen, images, classes.tolist(), probabilities.tolist(), strict=True)
    return [
        {
            "image": name_of(data, place),
            "digest": digest_of(data, place),
            "picture": picture_of(data, place, image),
            "guess": guess,
            "probability": round(p, 4),
        }
        for place, image, guess, p in rows
    ]


def picture_of(data: ImageData, place: int, image: Tensor) -> str:
    """What a person sees of ``image``: its file, if there is one, or the few pixels that the classifier sees."""
    if data.origin.root is None or data.origin.files[place].lower().endswith(".npy"):
        return png(image)
    picture = thumbnail(data.origin.root / data.origin.files[place], SIDE, data.origin.reading)
    return data_uri(picture, "png") if max(picture.size) <= SMALL else data_uri(picture, "jpeg", quality=85)


def main() -> None:
    cli.run("suggest", suggest_images)


if __name__ == "__main__":
    main()
