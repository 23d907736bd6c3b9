"""Grids of generated images."""

import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchvision.utils import make_grid, save_image

from ssgan.files import write_atomically
from ssgan.nets.contract import ImageGenerator
from ssgan.sampling import draw_images


def sample_grid(generator: ImageGenerator, count: int, per_row: int, seed: int, scale: int = 2) -> Tensor:
    """A grid of ``count`` images in [0, 1], (3, H, W), from the z of ``seed``; enlarged ``scale`` times."""
    images = torch.cat(list(draw_images(generator, count, seed))).float() / 255
    return make_grid(nn.functional.interpolate(images, scale_factor=scale), nrow=per_row, pad_value=0.5)


def write_grid(path: Path, grid: Tensor) -> None:
    buffer = io.BytesIO()
    save_image(grid, buffer, format="png")
    write_atomically(path, buffer.getvalue())


class SampleGrid(pl.Callback):
    """samples/epoch_NNNN.png of the averaged generator, always from the same z: after epochs 1, every, 2 every, ..."""

    def __init__(self, folder: Path, every: int, count: int, seed: int):
        self.folder, self.every, self.count, self.seed = folder, every, count, seed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch + 1
        wanted = epoch in (1, trainer.max_epochs) or epoch % self.every == 0
        if not (wanted and trainer.is_global_zero):
            return
        per_row = max(1, round(self.count**0.5))
        generator = pl_module.averaged_generator.module
        write_grid(self.folder / f"epoch_{epoch:04d}.png", sample_grid(generator, self.count, per_row, self.seed))
