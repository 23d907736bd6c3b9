"""Labels that came later: a file of images of a data set and their classes, as `ssgan.suggest`'s page writes it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ssgan.data.csv_rows import csv_text, read_rows
from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError

IMAGE, LABEL, DIGEST = "image", "label", "digest"
"""The columns: the place of an image in the training images, or the file of a picture as its data set names it; a class's name; and, if
it is there, `digest_of` the image, by which a file of another data set is known."""


def with_labels_of(data: ImageData, path: str) -> tuple[ImageData, tuple[int, ...]]:
    """``data`` with the labels in the file ``path``, a table as `read_rows` takes it, and the places of the images that have one there.

    Rows without a label are images that nobody could name; they are left out. Raises `SsganError` for a file without the two
    columns, and for images, classes and labels that are not those of the data set.
    """
    key = f"labels_file={path}"
    rows = read_labels(key, path)
    pool = data.training_count
    places = by_name(data.origin.files[: len(data.train_images)])
    classes = by_name(data.class_names)
    targets = data.train_targets.clone()
    given: dict[int, int] = {}
    for line, image, label, digest in rows:
        if not label:
            continue
        place = places.get(image, -1) if places else int(image) if image.isdecimal() else -1
        if not 0 <= place < len(data.train_images):
            known = f"the file of one, like {data.origin.files[0]}" if places else f"0 to {len(data.train_images) - 1}"
            raise SsganError(f"{key}, line {line}: {image!r} is no training image of {data.name}; use {known}")
        if place >= pool:
            raise SsganError(f"{key}, line {line}: {image!r} is one of the images for validation; leave it out")
        if digest and digest != digest_of(data, place):
            raise SsganError(
                f"{key}, line {line}: image {image} is another one here than the one that was labeled ({DIGEST}); use the data set "
                f"that the file was made for"
            )
        if label not in classes:
            raise SsganError(
                f"{key}, line {line}: {label!r} is no class of {data.name}; use one of {', '.join(data.class_names)}"
            )
        before = given.get(place, targets[place].item())
        if before not in (-1, classes[label]):
            raise SsganError(
                f"{key}, line {line}: {image!r} is {label!r} here and {data.class_names[int(before)]!r} "
                f"{'in a line above' if place in given else 'in the data set'}; correct the one that is wrong"
            )
        given[place] = classes[label]
    if not given:
        raise SsganError(f"{key}: holds no label; leave the key out")
    for place, number in given.items():
        targets[place] = number
    return replace(data, train_targets=targets), tuple(sorted(given))


def by_name(names: Sequence[str]) -> dict[str, int]:
    """Maps each of ``names``, stripped as `read_rows` strips it, to its place; names that occur twice are left out."""
    read = [name.strip() for name in names]
    often = Counter(read)
    return {name: place for place, name in enumerate(read) if often[name] == 1}


def read_labels(key: str, path: str) -> list[tuple[int, str, str, str]]:
    """Line, image, label and digest, or "", of every row; raises `SsganError` for a file that is no such table."""
    names, rows, lines = read_rows(key, path, (IMAGE, LABEL), errors="surrogateescape")
    if not rows or not {IMAGE, LABEL} <= set(names):
        raise SsganError(f"{key}: needs a first line with the columns {IMAGE} and {LABEL}, and rows below it")
    return [(line, row[IMAGE], row[LABEL], row.get(DIGEST, "")) for line, row in zip(lines, rows, strict=True)]


def write_labels(names: Sequence[str], labels: Sequence[str], digests: Sequence[str] = ()) -> str:
    """The text of a labels file."""
    if not digests:
        return csv_text([(IMAGE, LABEL), *zip(names, labels, strict=True)])
    return csv_text([(IMAGE, LABEL, DIGEST), *zip(names, labels, digests, strict=True)])


def digest_of(data: ImageData, place: int) -> str:
    """8 hexadecimal digits that two images hardly share, of the training image at ``place``."""
    image = data.train_images[place].contiguous().numpy()
    return hashlib.sha256(f"{image.dtype} {image.shape} ".encode() + image.tobytes()).hexdigest()[:8]


def name_of(data: ImageData, place: int) -> str:
    """What a labels file calls the training image at ``place``."""
    return data.origin.files[place] if data.origin.files else str(place)
