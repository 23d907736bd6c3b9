"""Augmentation: sampled independently for each image; translation, flip and cutout share one gather."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.data.randaugment import RandAugment
from ssgan.data.warps import GRAY, warp_grid
from ssgan.errors import SsganError
from ssgan.fields import key
from ssgan.pixels import reflect_indices

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the gray level of ITU-R BT.601."""

MOST_SHEAR, MOST_ZOOM = 60, 0.9
"""Upper limits for images that can still be recognized."""

Params = tuple[Tensor, ...]


@dataclass
class AugmentationConfig:
    """Each image is augmented in its own way."""

    shift: int = key(0, "translation, in pixels along each axis", at_least=0)
    flip: bool = key(False, "half of the images, left to right")
    cutout: float = key(
        0, "side of a gray square: in pixels, or, below 1, as a fraction of the shorter side", at_least=0
    )
    brightness: float = key(0.0, "0.4: a factor from 0.6 to 1.4", at_least=0, at_most=1)
    contrast: float = key(
        0.0, "0.4: a factor from 0.6 to 1.4 of the distance from the mean gray", at_least=0, at_most=1
    )
    rotation: float = key(0.0, "degrees, to either side", at_least=0, at_most=180)
    shear: float = key(0.0, "degrees, to either side", at_least=0, at_most=MOST_SHEAR)
    zoom: float = key(0.0, "0.1: a factor from 0.9 to 1.1 along each axis", at_least=0, at_most=MOST_ZOOM)
    operations: int = key(0, "of RandAugment for each image; 0: none", at_least=0, at_most=14)


class Augmentation:
    """Changes uint8 images of ``image_shape`` (C, H, W), each in a way drawn for it alone.

    ``shift``: up to so many pixels along each axis; reflection fills the gap, so that what lies inside of the border
    comes back outside of it. ``flip``: half of the images from left to right. All combinations are equally likely;
    two tables say where every row and every column comes from. ``cutout``: a square of this side (below 1, a
    fraction of the shorter side of the image) about a random pixel becomes gray, or what of it lies in the image (DeVries
    and Taylor 2017); 0 for none. ``brightness`` and ``contrast``, from 0 to 1:
    the image is scaled by a factor in 1 -+ ``brightness``, and its distance from its mean gray level by one in
    1 -+ ``contrast``, as torchvision's ColorJitter has it. ``rotation`` and ``shear``, up to so many degrees to either
    side, and ``zoom``, by a factor in 1 -+ ``zoom`` along each axis, warp the image about its center, before it is
    moved; between pixels it is interpolated, and reflection fills the gap. ``operations`` of RandAugment come first.
    ``name`` is the group of keys that errors name.

    Raises `SsganError` for values outside these ranges, and for a ``shift`` that images are too small to reflect.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        shift: int = 0,
        flip: bool = False,
        cutout: float = 0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        rotation: float = 0.0,
        shear: float = 0.0,
        zoom: float = 0.0,
        operations: int = 0,
        name: str = "augmentation",
    ):
        channels, height, width = image_shape
        shortest = min(height, width)
        if not 0 <= shift < shortest:
            raise SsganError(f"{name}.shift={shift}: use 0 to {shortest - 1} pixels for {width}x{height} images")
        if not 0 <= cutout <= shortest:
            raise SsganError(f"{name}.cutout={cutout}: use 0 to {shortest} pixels for {width}x{height} images")
        cutout_side = round(cutout * shortest) if cutout < 1 else round(cutout)
        for key_, strength in (("brightness", brightness), ("contrast", contrast)):
            if not 0 <= strength <= 1:
                raise SsganError(f"{name}.{key_}={strength}: use a number from 0 to 1")
        for key_, degrees, most in (("rotation", rotation, 180), ("shear", shear, MOST_SHEAR)):
            if not 0 <= degrees <= most:
                raise SsganError(f"{name}.{key_}={degrees}: use 0 to {most} degrees")
        if not 0 <= zoom <= MOST_ZOOM:
            raise SsganError(f"{name}.zoom={zoom}: use a number from 0 to {MOST_ZOOM}")
        self.randaugment = RandAugment(operations, channels) if operations else None
        self.brightness, self.contrast = brightness, contrast
        self.rotation, self.shear, self.zoom = rotation, shear, zoom
        self.luma = torch.tensor(LUMA if channels == 3 else [1 / channels] * channels)[:, None, None]
        offsets = range(-shift, shift + 1)
        rows = [reflect_indices(torch.arange(height) + offset, height) for offset in offsets]
        columns = [reflect_indices(torch.arange(width) + offset, width) for offset in offsets]
        if flip:
            columns += [column.flip(0) for column in columns]
        self.rows, self.columns = torch.stack(rows) * width, torch.stack(columns)
        self.translations, self.pixel_count = len(rows) * len(columns), height * width
        self.cutout_masks = (cutout_mask(height, cutout_side), cutout_mask(width, cutout_side)) if cutout_side else None

    def draw(self, count: int, rng: torch.Generator) -> Params:
        """What happens to each of ``count`` images: its translation, its cutout, two factors and a warp, (count,) each."""
        translations = torch.randint(self.translations, (count,), generator=rng)
        centers = torch.zeros_like(translations)
        if self.cutout_masks is not None:
            centers = torch.randint(self.pixel_count, (count,), generator=rng)

        def about(center: float, reach: float) -> Tensor:
            drawn = torch.full((count,), center, dtype=torch.float32)
            return drawn.uniform_(center - reach, center + reach, generator=rng) if reach else drawn

        factors = about(1, self.brightness), about(1, self.contrast)
        warp = about(0, self.rotation), about(0, self.shear), about(1, self.zoom), about(1, self.zoom)
        drawn = self.randaugment.draw(count, rng) if self.randaugment else ()
        return translations, centers, *factors, *warp, *drawn

    def __call__(self, images: Tensor, params: Params) -> Tensor:
        """Images (N, C, H, W), uint8, each with its own of ``params``."""
        translations, centers, brightness, contrast, rotation, shear, scale_x, scale_y, *drawn = params
        if self.randaugment:
            images = self.randaugment(images, *drawn)
        if self.brightness or self.contrast:
            images = self._jittered(images, brightness[:, None, None, None], contrast[:, None, None, None])
        if self.rotation or self.shear or self.zoom:
            images = affine(images, rotation, shear, scale_x, scale_y)
        if self.translations == 1 and self.cutout_masks is None:
            return images
        pixels, sides = images.flatten(2), len(self.columns)
        down, right = (
            self.rows.index_select(0, translations // sides),
            self.columns.index_select(0, translations % sides),
        )
        sources = (down[:, :, None] + right[:, None]).flatten(1)
        if self.cutout_masks is not None:
            pixels = torch.cat([pixels, pixels.new_full((*pixels.shape[:2], 1), GRAY)], 2)
            high, wide = (
                self.cutout_masks[0][centers // images.shape[3]],
                self.cutout_masks[1][centers % images.shape[3]],
            )
            sources.masked_fill_((high[:, :, None] & wide[:, None]).flatten(1), self.pixel_count)
        return pixels.gather(2, sources.unsqueeze(1).expand(-1, images.shape[1], -1)).view_as(images)

    def _jittered(self, images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
        values = (images * brightness).clamp_(0, 255)
        gray = (values * self.luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        return (gray + contrast * (values - gray)).clamp_(0, 255).round_().to(images.dtype)


def affine(images: Tensor, rotation: Tensor, shear: Tensor, scale_x: Tensor, scale_y: Tensor) -> Tensor:
    """Images (N, C, H, W), uint8, each scaled by its ``scale_x`` and ``scale_y``, then sheared, its upper part to the
    right, then turned clockwise, both in degrees, (N,) each; about the center.
    """
    height, width = images.shape[-2:]
    angle, slant = rotation.deg2rad(), shear.deg2rad().tan()
    cosine, sine = angle.cos(), angle.sin()
    to_x = (cosine - slant * sine) / scale_x, (sine + slant * cosine) / scale_x
    grid = warp_grid(height, width, to_x, (-sine / scale_y, cosine / scale_y))
    return F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False).round_().to(images.dtype)


def cutout_mask(size: int, side: int) -> Tensor:
    """For each center along an axis, which positions a cutout of ``side`` covers, (size, size)."""
    centers = torch.arange(size)
    first = centers[:, None] - side // 2
    return (centers >= first) & (centers < first + side)
