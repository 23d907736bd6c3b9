"""python -m ssgan.sample: a grid of generated images from a training checkpoint."""

from pathlib import Path

from omegaconf import DictConfig

from ssgan import cli
from ssgan.files import require_writable
from ssgan.inference.classifier_file import load_generator
from ssgan.inference.sampling import sample_grid, write_grid


def sample(config: DictConfig) -> int:
    generator = load_generator(config.checkpoint)
    require_writable(config.output, config.checkpoint)
    write_grid(Path(config.output), sample_grid(generator, config.count, config.per_row, config.seed, config.scale))
    print(f"{config.count} images in {config.output}")
    return 0


def main() -> None:
    cli.run("sample", sample)


if __name__ == "__main__":
    main()
