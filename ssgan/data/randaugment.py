"""RandAugment (Cubuk et al. 2020) on uint8 tensors, each image with operations and magnitudes of its own."""

from collections.abc import Callable

import torch
from torch import Tensor

Operation = Callable[[Tensor, float], Tensor]


def operations(channels: int) -> list[Operation]:
    """FixMatch's list (Sohn et al. 2020, table 12): one image (C, H, W), uint8, and a magnitude in [-1, 1].

    Magnitudes without a sign use their absolute value. Moved pixels leave gray. Operations on colors are for three channels.
    """
    import torchvision.transforms.v2.functional as F

    gray = [128.0] * channels

    def affine(
        image: Tensor, angle: float = 0.0, x: float = 0.0, y: float = 0.0, shear: tuple[float, float] = (0, 0)
    ) -> Tensor:
        height, width = image.shape[-2:]
        shift = [round(x * width), round(y * height)]
        return F.affine(image, angle, shift, 1.0, list(shear), fill=gray)

    plain: list[Operation] = [
        lambda image, m: image,
        lambda image, m: F.autocontrast(image),
        lambda image, m: F.equalize(image),
        lambda image, m: F.adjust_brightness(image, 1 + 0.9 * m),
        lambda image, m: F.adjust_contrast(image, 1 + 0.9 * m),
        lambda image, m: F.adjust_sharpness(image, 1 + 0.9 * m),
        lambda image, m: F.posterize(image, 8 - round(4 * abs(m))),
        lambda image, m: F.solarize(image, 255 * (1 - abs(m))),
        lambda image, m: affine(image, angle=30 * m),
        lambda image, m: affine(image, shear=(degrees(m), 0.0)),
        lambda image, m: affine(image, shear=(0.0, degrees(m))),
        lambda image, m: affine(image, x=0.3 * m),
        lambda image, m: affine(image, y=0.3 * m),
    ]
    return [*plain, lambda image, m: F.adjust_saturation(image, 1 + 0.9 * m)] if channels == 3 else plain


def degrees(m: float) -> float:
    """The angle whose tangent is 0.3 m, the paper's range of shears."""
    return float(torch.rad2deg(torch.atan(torch.tensor(0.3 * m))))


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
        result = []
        for index, image in enumerate(images):
            for which, magnitude in zip(drawn[::2], drawn[1::2], strict=True):
                image = self.operations[int(which[index])](image, float(magnitude[index]))  # noqa: PLW2901
            result.append(image)
        return torch.stack(result)
