"""python -m ssgan.sample: a grid of generated images from a training checkpoint."""

import pickle
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from ssgan import command
from ssgan.callbacks.samples import sample_grid, write_grid
from ssgan.checkpoint import rebuild
from ssgan.errors import SsganError
from ssgan.files import require_writable
from ssgan.nets.contract import ImageGenerator


def load_generator(path: str | Path) -> ImageGenerator:
    """The averaged generator of a ``last.ckpt``, read without unpickling objects; raises `SsganError` if it has none."""
    if not Path(path).is_file():
        raise SsganError(f"checkpoint={path}: no such file")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        prefix = "averaged_generator.module."
        weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
        return rebuild(checkpoint["generator"], weights, ImageGenerator)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SsganError(
            f"checkpoint={path}: not a whole checkpoint with a generator ({reason}). Name the last.ckpt of a run."
        ) from error


def sample(config: DictConfig) -> int:
    for key in ("count", "per_row", "scale"):
        if config[key] < 1:
            raise SsganError(f"{key}={config[key]}: use 1 or more")
    generator = load_generator(config.checkpoint)
    require_writable(config.output)
    write_grid(Path(config.output), sample_grid(generator, config.count, config.per_row, config.seed, config.scale))
    print(f"{config.count} images in {config.output}")
    return 0


def main() -> None:
    command.run("sample", sample)


if __name__ == "__main__":
    main()
