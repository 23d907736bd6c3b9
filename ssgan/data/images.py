"""Pictures of a user's own, from files."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from ssgan.errors import DAMAGED, SsganError, first_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".npy")

READER = 2
"""Names the pixels that `read_picture` makes of a file: a cache of what an earlier one made is not used."""

LARGEST = 1 << 26
"""Pixels of a picture, at most: 8192 x 8192. A small file can claim any number."""


def find_pictures(images: str) -> list[Path]:
    """The picture files of a folder and its sub-folders in order of name, or the one file that ``images`` names."""
    root = Path(images)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise SsganError(f"images={images}: no such file or folder")
    found = pictures_in(root)
    if not found:
        raise SsganError(f"images={images}: holds no picture ({', '.join(SUFFIXES)})")
    return found


def pictures_in(root: Path) -> list[Path]:
    """The picture files under ``root``, in order of name."""
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def read_picture(path: Path, image_shape: tuple[int, int, int]) -> tuple[Tensor, bool]:
    """One picture as (C, H, W), uint8 or float in [0, 1], and whether it had to be resized to ``image_shape``.

    A .npy file holds one image: (H, W), (C, H, W) or (H, W, C). Color becomes gray and gray color where the shape
    asks for it; 16 bits become 8, and a photograph stands as its camera was held. Resizing is bilinear and antialiased.
    Raises `SsganError` for a file that holds no such image, and for one of more than `LARGEST` pixels, before memory is
    spent on them.
    """
    channels, height, width = image_shape
    try:
        pixels = _from_npy(path, channels) if path.suffix.lower() == ".npy" else _from_picture(path, channels)
    except (*DAMAGED, MemoryError, Image.DecompressionBombError) as error:
        raise SsganError(f"{path}: not a picture that can be read ({first_line(error)})") from error
    if pixels.shape[1:] == (height, width):
        return pixels, False
    scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    resized = F.interpolate(scaled[None], (height, width), mode="bilinear", antialias=True)[0]
    return resized.clamp(0, 1), True


def _from_picture(path: Path, channels: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit is ours or higher, and what else it warns of is harmless
        with Image.open(path) as picture:
            _check_size(picture.width * picture.height)
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I"):  # 16 bits of gray, of which Pillow would cut off what is above 255
                upright = _high_bytes(np.array(upright))
            pixels = np.array(upright.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels).reshape(*pixels.shape[:2], channels).permute(2, 0, 1)


def _high_bytes(gray: "np.ndarray[Any, Any]") -> Image.Image:
    """What Pillow takes of 16 bits a color, too."""
    if gray.min() < 0 or gray.max() > 0xFFFF:
        raise ValueError(f"gray values in {gray.min()}..{gray.max()}; use 8 or 16 bits")
    return Image.fromarray((gray >> 8).astype(np.uint8))


def _from_npy(path: Path, channels: int) -> Tensor:
    array = np.load(path, allow_pickle=False, mmap_mode="r")  # claims that the file does not keep are refused
    if not isinstance(array, np.ndarray):
        raise ValueError("an .npz file")
    _check_size(array.size)
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[-1] == channels and array.shape[0] != channels:
        array = array.transpose(2, 0, 1)
    if array.ndim != 3 or array.shape[0] != channels or 0 in array.shape:
        raise ValueError(f"shape {array.shape}, but the classifier takes {channels} channels")
    if array.dtype != np.uint8 and (array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1)):
        raise ValueError(f"{array.dtype} values; use uint8 in 0..255 or float in [0, 1]")
    return torch.from_numpy(np.array(array, order="C"))


def _check_size(pixels: int) -> None:
    if pixels > LARGEST:
        raise ValueError(f"{pixels} pixels; {LARGEST} are the most")
