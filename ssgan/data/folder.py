"""A folder of pictures as a data set: one sub-folder for each class."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ssgan.data.image_data import ImageData
from ssgan.data.labels import natural
from ssgan.data.no_label import NO_LABEL
from ssgan.data.picture_files import OWN, junk, pictures_in, skipped_file
from ssgan.data.pictures import Listing, read_listing
from ssgan.errors import SsganError

PARTS = {
    "train": ("train", "training", "trainset", "trainingset"),
    "validation": ("val", "valid", "validation", "valset", "validset", "validationset"),
    "test": ("test", "testing", "testset", "testingset"),
    "unlabeled": ("unlabeled", "unlabelled", "unlabeledimages", "unlabelledimages"),
}
"""Names of sub-folders that are no classes, in any case and with any of `` -_`` in them."""

LOOSE = "in no class folder"
"""Why a picture is skipped that stands beside the folders of classes."""


def folder(name: str, path: str, size: int, channels: int, strict: bool, background: int = 255) -> ImageData:
    """``path/<class>/*``, ``path/unlabeled/*``, ``path/valid/<class>/*`` and ``path/test/<class>/*`` as images of ``size`` x
    ``size`` pixels.

    The classes may be in ``path/train`` as well, and ``path/test`` may hold pictures without classes, which are to be
    predicted; all but the classes may be missing. Every format that Pillow decodes is read, and .npy, in sub-folders
    too. Pictures are resized and, with ``channels`` 1 or 3, made gray or color; ``background`` is the gray level behind
    transparent ones. See `read_listing` for the rest. Raises `SsganError` for a layout that could mean two things.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise SsganError(f"dataset.path={path}: no such folder")
    shape = (channels, size, size)
    cache = root / f".ssgan_{'x'.join(map(str, shape))}"
    return read_listing(name, list_folder(root), root, cache, f"dataset.path={path}", shape, background, strict)


def list_folder(root: Path) -> Listing:
    """The pictures of ``root`` and what its sub-folders say of them."""
    key = f"dataset.path={root}"
    parts, classes = sorted_out(root)
    for part, places in parts.items():
        if len(places) > 1 and part != "unlabeled":
            raise SsganError(f"{key}: {' and '.join(p.name for p in places)} are both for {part}; join or rename them")
    base, notes = root, []
    if parts["train"] and not classes:
        base = parts["train"][0]
        notes = [f"the classes are the folders of {base.name}/"]
        inside = _sub_folders(base)
        classes = [place for place in inside if part_of(place.name) != "unlabeled"]
        parts["unlabeled"] += [place for place in inside if part_of(place.name) == "unlabeled"]
    elif parts["train"]:
        classes += _class_named_train(parts["train"][0], classes[0], key)
    names = sorted((place.name for place in classes), key=natural)
    _refuse_parts(classes, key)
    if len(names) < 2:
        raise SsganError(f"{key}: {len(names)} sub-folders of classes; use one for each of two or more{_hint(base)}")
    found = Finder(names, key)
    for place in {root, base}:
        found.count_loose(place)
    train = [(file, target) for target, of_class in enumerate(names) for file in found.pictures(base / of_class)]
    train += [(file, NO_LABEL) for place in parts["unlabeled"] for file in found.pictures(place)]
    validation = [pair for place in parts["validation"] for pair in found.of_classes(place)]
    flat = [place for place in parts["test"] if found.is_flat(place)]
    test = [pair for place in parts["test"] if place not in flat for pair in found.of_classes(place)]
    to_predict = [file for place in flat for file in found.pictures(place)]
    del found.skipped[OWN]
    return Listing(tuple(names), train, validation, test, to_predict, found.skipped, tuple(notes))


class Finder:
    """Finds pictures below folders, and counts what it skips."""

    def __init__(self, class_names: Sequence[str], key: str):
        self.class_names, self.key = class_names, key
        self.skipped: Counter[str] = Counter()

    def pictures(self, place: Path) -> list[Path]:
        found = pictures_in(place)
        self.skipped.update(found.skipped)
        return found.pictures

    def of_classes(self, place: Path) -> list[tuple[Path, int]]:
        """Those of the sub-folders of ``place``, with the target of each."""
        others = [p.name for p in _sub_folders(place) if p.name not in self.class_names]
        if others:
            raise SsganError(
                f"{self.key}: {place.name}/{others[0]} is no class; the classes are {', '.join(self.class_names)}"
            )
        if self.count_loose(place) and not _sub_folders(place):
            raise SsganError(
                f"{self.key}: {place.name}/ holds pictures, but no folders of classes. Make one for each class, or rename it if it "
                f"is a class"
            )
        there = [(place / name, target) for target, name in enumerate(self.class_names) if (place / name).is_dir()]
        return [(file, target) for of_class, target in there for file in self.pictures(of_class)]

    def is_flat(self, place: Path) -> bool:
        """Whether its pictures are in no class: in ``place`` itself, or all in one sub-folder of another name."""
        inside = _sub_folders(place)
        return len(inside) <= 1 and not any(p.name in self.class_names for p in inside)

    def count_loose(self, place: Path) -> int:
        """Count the files of ``place`` and its junk folders as skipped; returns how many of them are pictures."""
        pictures = 0
        for path in place.iterdir():
            if path.is_dir() and junk(path):
                self.skipped.update(pictures_in(path, junk(path)).skipped)
            elif path.is_file():
                what = skipped_file(path)
                self.skipped[what or LOOSE] += 1
                pictures += what is None
        return pictures


def sorted_out(root: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """The sub-folders of ``root`` by the `PARTS` that they are, and those that are classes."""
    parts: dict[str, list[Path]] = {part: [] for part in PARTS}
    classes: list[Path] = []
    for place in _sub_folders(root):
        parts.get(part_of(place.name) or "", classes).append(place)
    return parts, classes


def part_of(word: str) -> str | None:
    """Which of `PARTS` a folder's name, or a cell of a table, says; None for a class."""
    plain = re.sub("[ _-]", "", word.casefold())
    return next((part for part, names in PARTS.items() if plain in names), None)


def _sub_folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not junk(path))


def _class_named_train(place: Path, other: Path, key: str) -> list[Path]:
    """``place``, if it can be a class beside ``other``: trains among other vehicles."""
    if _sub_folders(place):
        raise SsganError(
            f"{key}: {place.name}/ holds folders, and beside it stands {other.name}/: is {place.name} a class, or does it hold "
            f"the classes? Rename or move one of them"
        )
    return [place]


def _refuse_parts(classes: Sequence[Path], key: str) -> None:
    """Raise `SsganError` if one of the folders of ``classes`` holds folders of classes, and so is a part of the data."""
    inside = {place.name: {folder.name for folder in _sub_folders(place)} for place in classes}
    for name, within in inside.items():
        others = {other for one, of_one in inside.items() if one != name for other in of_one}
        named_so = re.match("(train|test|val|eval|dev|hold)", name.casefold()) and len(within & others) > 1
        same = sorted(within & inside.keys()) or (sorted(within & others) if named_so else [])
        if same:
            raise SsganError(
                f"{key}: {name}/ holds {same[0]}/, as a folder of classes does: is {name} a class, or a part of the data? Name it "
                f"train, valid, test or unlabeled, or rename one of the two"
            )


def _hint(base: Path) -> str:
    """Where the classes may be instead."""
    tables = [path.name for path in base.iterdir() if path.suffix.lower() in (".csv", ".tsv") and not junk(path)]
    if tables:
        return f", or dataset=table dataset.path={base / tables[0]} if that file says which picture shows what"
    inside = _sub_folders(base)
    deeper = len(inside) == 1 and len(_sub_folders(inside[0])) > 1
    return f"; did you mean dataset.path={inside[0]}?" if deeper else ""
