"""Pixels of a picture file, and what the file says of itself."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from ssgan.errors import DAMAGED, SsganError, first_line
from ssgan.pixels import levels_to_uint8, to_uint8
from ssgan.reading import AS_IS, PictureReading

READER = 4
"""Names the pixels that `read_picture` makes of a file: a cache of what an earlier one made is not used."""

NOT_READ = ("BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF")
"""Formats that Pillow recognizes, whatever a file is called, and cannot decode or hands to other programs (EPS: to Ghostscript, which runs it)."""

LARGEST = 1 << 26
"""Pixels of a picture, at most: 8192 x 8192. A small file can claim any number."""

DEEP = ("I", "F")
"""How the modes begin in which Pillow holds more than 8 bits of gray."""

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 26  # a long comment does not harm a picture


@dataclass(frozen=True)
class Facts:
    """What a picture file says of itself."""

    size: str
    """Width and height: "640x480"."""
    mode: str
    """Pillow's, and how many frames there are if there are several."""
    levels: tuple[float, float] | None
    """The least and the greatest value of a gray picture of more than 8 bits."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Inside, what a damaged file raises becomes the `SsganError` that names it."""
    try:
        yield
    except (*DAMAGED, MemoryError, Image.DecompressionBombError) as error:
        raise unreadable(path, error) from error


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """A picture that Pillow decodes, of `LARGEST` pixels at most; raises `SsganError` for any other file."""
    # A file and no path: Pillow would map raw pixels into memory, with the sides of a turned picture the wrong way round.
    with readable(path), quiet_pillow(), path.open("rb") as file, opened(file) as picture:
        _check_size(picture.width * picture.height)
        yield picture


def picture_facts(path: Path) -> Facts:
    """Of its header, and of its pixels if these are deep; raises `SsganError` as `read_picture` does."""
    if path.suffix.lower() == ".npy":
        with readable(path):
            array = np.load(path, allow_pickle=False, mmap_mode="r")
        sides = array.shape[1:] if array.ndim == 3 and array.shape[0] in (1, 3) else array.shape[:2]
        return Facts("x".join(map(str, reversed(sides))), str(array.dtype), None)
    with open_picture(path) as picture:
        levels = None
        if picture.mode.startswith(DEEP):
            gray = np.asarray(picture)
            if not np.isfinite([gray.min(), gray.max()]).all():
                raise ValueError("NaN or infinite values")
            levels = float(gray.min()), float(gray.max())
        frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # MPO: a camera's preview
        mode = picture.mode if frames == 1 else f"{picture.mode}, first of {frames} frames"
        return Facts(f"{picture.width}x{picture.height}", mode, levels)


def read_picture(path: Path, image_shape: tuple[int, int, int], reading: PictureReading = AS_IS) -> tuple[Tensor, bool]:
    """One picture as uint8 (C, H, W), and whether it had to be resized to ``image_shape``.

    Color becomes gray and gray color where the shape asks for it, but for those of .npy files; 16 bits become 8, a background shows through what is
    transparent (see `PictureReading`), a photograph stands as its camera was held, and of several frames the first is read.
    A .npy file holds one image: (H, W), (C, H, W) or (H, W, C), uint8 or float in [0, 1]. Resizing is bilinear and
    antialiased. Raises `SsganError` for a file that holds no such image, and for one of more than `LARGEST` pixels,
    before memory is spent on them.
    """
    channels, height, width = image_shape
    if path.suffix.lower() == ".npy":
        with readable(path):
            return _resized(_from_npy(path, channels), (height, width))
    with open_picture(path) as picture:
        if {*picture.size} != {width, height}:
            side = 2 * max(height, width)
            picture.draft(None, (side, side))  # a JPEG is decoded at a fraction of its size, at least this
        upright = _eight_bits(ImageOps.exif_transpose(picture), reading, "L" if channels == 1 else "RGB")
        same = upright.size == (width, height)
        if not same:
            upright = upright.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
        pixels = np.array(upright)
    return torch.from_numpy(pixels).reshape(height, width, channels).permute(2, 0, 1), not same


def thumbnail(path: Path, side: int, reading: PictureReading) -> Image.Image:
    """The picture, of ``side`` pixels at most, for people to look at, in color and read as by `read_picture`.

    Raises `SsganError` for a file that Pillow cannot read, a .npy file among them.
    """
    with open_picture(path) as picture:
        picture.draft(None, (side, side))
        upright = _eight_bits(ImageOps.exif_transpose(picture), reading, "RGB")
        upright.thumbnail((side, side))
        return upright


@cache
def formats() -> tuple[str, ...]:
    """What Pillow decodes, by its names."""
    Image.init()
    return tuple(kind for kind in Image.OPEN if kind not in NOT_READ)


def opened(file: BinaryIO) -> Image.Image:
    """The picture in ``file``, whose format its content says, not its name; of one of `formats`."""
    return Image.open(file, formats=formats())


def unreadable(path: Path, error: BaseException) -> SsganError:
    why = "of no known format" if isinstance(error, UnidentifiedImageError) else first_line(error)
    return SsganError(f"{path}: not a picture that can be read ({why})")


def quiet_pillow() -> warnings.catch_warnings:
    """Inside, Pillow warns of nothing: its own limit is ours or higher, and what else it warns of is harmless."""
    return warnings.catch_warnings(action="ignore")


def _eight_bits(picture: Image.Image, reading: PictureReading, mode: str) -> Image.Image:
    if picture.mode.startswith(DEEP):
        gray = np.asarray(picture)
        levels = reading.levels
        if levels is None and (picture.mode == "F" or gray.min() < 0 or gray.max() > 0xFFFF):
            raise ValueError(f"gray values in {gray.min()}..{gray.max()}; use 8 or 16 bits")
        # without levels, what Pillow takes of 16 bits a color too
        picture = Image.fromarray((gray >> 8).astype(np.uint8) if levels is None else levels_to_uint8(gray, levels))
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        behind = Image.new("RGBA", picture.size, (reading.background,) * 3 + (255,))
        picture = Image.alpha_composite(behind, picture)
    return picture.convert(mode)


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
    return torch.from_numpy(np.array(array, order="C", dtype=array.dtype.newbyteorder("=")))


def _resized(pixels: Tensor, size: tuple[int, int]) -> tuple[Tensor, bool]:
    same = pixels.shape[1:] == size
    if same and pixels.dtype == torch.uint8:
        return pixels, False
    scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    if not same:
        scaled = F.interpolate(scaled[None], size, mode="bilinear", antialias=True)[0]
    return to_uint8(scaled, (0.0, 1.0)), not same


def _check_size(pixels: int) -> None:
    if pixels > LARGEST:
        raise ValueError(f"{pixels} pixels; {LARGEST} are the most")
