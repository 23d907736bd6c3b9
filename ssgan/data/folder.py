"""A folder of pictures as a data set: one sub-folder per class, decoded once."""

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from ssgan.data.datasets import ImageData
from ssgan.data.images import READER, SUFFIXES, pictures_in, read_picture
from ssgan.data.npz import read_arrays
from ssgan.errors import SsganError
from ssgan.files import write_atomically
from ssgan.pixels import to_uint8

UNLABELED, TEST = ("unlabeled", "unlabelled"), "test"
"""Names of sub-folders that are no classes."""


def folder(name: str, path: str, size: int, channels: int, strict: bool) -> ImageData:
    """``path/<class>/*``, ``path/unlabeled/*`` and ``path/test/<class>/*`` as images of ``size`` x ``size`` pixels.

    Pictures (png, jpg, npy; sub-folders too) are resized and, with ``channels`` 1 or 3, made gray or color. The last
    two folders may be missing. The decoded array is kept in ``path`` beside a digest of the names, sizes and times of
    its files, and read back while these are the same; a folder that cannot be written to is decoded every time.
    A broken picture is named and left out; with ``strict`` it raises `SsganError`, as do a folder with fewer than two
    classes, a class without pictures, and a class of ``test`` that there is no training folder of.
    """
    root = Path(path)
    if not root.is_dir():
        raise SsganError(f"dataset.path={path}: no such folder")
    if size < 1 or channels not in (1, 3):
        raise SsganError(f"dataset.size={size}, dataset.channels={channels}: use 1 pixel or more, and 1 or 3 channels")
    classes = sub_folders(root, but=(*UNLABELED, TEST))
    if len(classes) < 2:
        raise SsganError(f"dataset.path={path}: {len(classes)} sub-folders of classes; use one for each of two or more")
    strangers = sorted(set(sub_folders(root / TEST)) - set(classes))
    if strangers:
        raise SsganError(f"dataset.path={path}: test/{strangers[0]} is no class; the classes are {', '.join(classes)}")
    train = [(file, k) for k, of_class in enumerate(classes) for file in pictures_in(root / of_class)]
    train += [(file, -1) for unlabeled in UNLABELED for file in pictures_in(root / unlabeled)]
    test = [(file, k) for k, of_class in enumerate(classes) for file in pictures_in(root / TEST / of_class)]
    images, broken = decoded(root, [file for file, _ in train + test], (channels, size, size))
    for file, reason in broken.items():
        print(f"warning: {reason}", file=sys.stderr)
        if strict:
            raise SsganError(f"{root / file}: cannot be read, and dataset.strict=true. Remove or replace it.")
    kept = torch.tensor([str(file.relative_to(root)) not in broken for file, _ in train + test])
    targets = torch.tensor([k for _, k in train + test])
    end = len(train)
    data = ImageData(
        name,
        tuple(classes),
        images[:end][kept[:end]],
        targets[:end][kept[:end]],
        images[end:][kept[end:]],
        targets[end:][kept[end:]],
    )
    for k, of_class in enumerate(classes):
        if not (data.train_targets == k).any():
            raise SsganError(
                f"dataset.path={path}: {of_class} holds no picture ({', '.join(SUFFIXES)}) that can be read"
            )
    return data


def sub_folders(root: Path, but: tuple[str, ...] = ()) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name not in but and not p.name.startswith("."))


def decoded(root: Path, files: list[Path], image_shape: tuple[int, int, int]) -> tuple[Tensor, dict[str, str]]:
    """All ``files`` as uint8 (N, C, H, W), black where one is broken, and what is wrong with each broken one."""
    names = [str(file.relative_to(root)) for file in files]
    stats = [file.stat() for file in files]
    contents = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in zip(names, stats, strict=True)]
    digest = hashlib.sha256(json.dumps([contents, image_shape, READER]).encode()).hexdigest()
    cache = root / f".ssgan_{'x'.join(map(str, image_shape))}.npz"
    kept = read_cache(cache, digest, (len(files), *image_shape))
    if kept is not None:
        return kept
    images = torch.zeros(len(files), *image_shape, dtype=torch.uint8)
    broken: dict[str, str] = {}
    for number, file in enumerate(track(files, description=f"reading {root}", transient=True)):
        try:
            pixels, _ = read_picture(file, image_shape)
            images[number] = pixels if pixels.dtype == torch.uint8 else to_uint8(pixels, (0.0, 1.0))
        except SsganError as error:
            broken[names[number]] = str(error)
    buffer = io.BytesIO()
    np.savez(buffer, digest=np.array(digest), broken=np.array(json.dumps(broken)), images=images.numpy())
    try:
        write_atomically(cache, buffer.getvalue())
    except SsganError as error:
        print(f"warning: {error} The pictures will be decoded again next time.", file=sys.stderr)
    return images, broken


def read_cache(cache: Path, digest: str, shape: tuple[int, ...]) -> tuple[Tensor, dict[str, str]] | None:
    """What `decoded` kept, if it is whole and of the same files."""
    try:
        if str(read_arrays(cache, ["digest"])["digest"]) != digest:
            return None
        arrays = read_arrays(cache, ["broken", "images"])
        broken: dict[str, str] = json.loads(str(arrays["broken"]))
        images = arrays["images"]
    except (SsganError, KeyError, ValueError):
        return None
    whole = isinstance(broken, dict) and images.dtype == np.uint8 and images.shape == shape
    return (torch.from_numpy(images), broken) if whole else None
