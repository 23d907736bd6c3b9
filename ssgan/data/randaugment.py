"""RandAugment (Cubuk et al. 2020) on uint8 tensors, each image with operations and magnitudes of its own."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.data.warps import GRAY, warp_grid

Operation = Callable[[Tensor, Tensor], Tensor]
Row = tuple[Tensor | float, Tensor | float, Tensor | float]


def operations(channels: int) -> list[Operation]:
    """FixMatch's list (Sohn et al. 2020, table 12): images (N, C, H, W), uint8, and the magnitude of each in [-1, 1], (N,).

    Those without a sign use its absolute value. Moved pixels leave gray. The last operation is for three channels.
    """
    import torchvision.transforms.v2.functional as tv

    def gray(images: Tensor) -> Tensor:
        return tv.rgb_to_grayscale(images) if channels == 3 else images

    plain: list[Operation] = [
        lambda images, m: images,
        lambda images, m: tv.autocontrast(images),
        lambda images, m: tv.equalize(images),
        lambda images, m: blend(images, torch.zeros(1), m),  # brightness
        lambda images, m: blend(images, gray(images).float().mean((1, 2, 3), keepdim=True), m),  # contrast
        lambda images, m: blend(images, tv.adjust_sharpness(images, 0.0), m),
        posterize,
        lambda images, m: torch.where(images >= of_each(255 * (1 - m.abs())), 255 - images, images),  # solarize
        rotate,
        lambda images, m: move(images, to_x=(1.0, 0.3 * m, 0.0)),
        lambda images, m: move(images, to_y=(0.3 * m, 1.0, 0.0)),
        lambda images, m: move(images, to_x=(1.0, 0.0, -(0.3 * images.shape[3] * m).round())),
        lambda images, m: move(images, to_y=(0.0, 1.0, -(0.3 * images.shape[2] * m).round())),
    ]
    return [*plain, lambda images, m: blend(images, gray(images), m)] if channels == 3 else plain  # saturation


def of_each(values: Tensor) -> Tensor:
    """(N,) to go with (N, C, H, W)."""
    return values[:, None, None, None]


def blend(images: Tensor, others: Tensor, m: Tensor) -> Tensor:
    """``images`` at m = 0, ``others`` at m = -1 / 0.9, and beyond the images at m above 0."""
    factor = of_each(1 + 0.9 * m)
    return (images * factor + others * (1 - factor)).clamp_(0, 255).to(images.dtype)


def posterize(images: Tensor, m: Tensor) -> Tensor:
    """Without the last 4 |m| of 8 bits."""
    dropped = (4 * m.abs()).round().to(torch.uint8)
    return images & of_each(torch.full_like(dropped, 255) << dropped)


def rotate(images: Tensor, m: Tensor) -> Tensor:
    """Clockwise by 30 degrees times m."""
    angle = torch.deg2rad(30 * m)
    cosine, sine = angle.cos(), angle.sin()
    return move(images, to_x=(cosine, sine, 0.0), to_y=(-sine, cosine, 0.0))


def move(images: Tensor, to_x: Row = (1.0, 0.0, 0.0), to_y: Row = (0.0, 1.0, 0.0)) -> Tensor:
    """Each pixel from the nearest to where `warp_grid` says, as it is without arguments."""
    x, y = ([torch.as_tensor(value).expand(len(images)) for value in row] for row in (to_x, to_y))
    grid = warp_grid(images.shape[2], images.shape[3], x, y)
    about_gray = images.float() - GRAY  # so that the zeros from outside are gray
    sampled = F.grid_sample(about_gray, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return (sampled + GRAY).to(images.dtype)


class RandAugment:
    """``count`` operations for each image, drawn with replacement, always applied (authors' FixMatch code)."""

    def __init__(self, count: int, channels: int):
        self.count, self.operations = count, operations(channels)

    def draw(self, images: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """For each place in the sequence: the operation of each of ``images``, and its magnitude in [-1, 1], (images,)."""
        drawn: list[Tensor] = []
        for _ in range(self.count):
            drawn += [torch.randint(len(self.operations), (images,), generator=rng)]
            drawn += [torch.rand(images, generator=rng) * 2 - 1]
        return tuple(drawn)

    def __call__(self, images: Tensor, *drawn: Tensor) -> Tensor:
        """Images (N, C, H, W), uint8, each with its own of what `draw` gave."""
        for which, magnitudes in zip(drawn[::2], drawn[1::2], strict=True):
            order = which.argsort()
            counts = which.bincount(minlength=len(self.operations)).tolist()
            groups = zip(self.operations, images[order].split(counts), magnitudes[order].split(counts), strict=True)
            done = torch.cat([operation(group, m) for operation, group, m in groups if len(group)])
            images = torch.empty_like(done).index_copy_(0, order, done)
        return images
