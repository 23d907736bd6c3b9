"""python -m ssgan.turing: a page on which a person tells real images from generated ones (sec. 6.1)."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from ssgan import cli
from ssgan.data.registry import files_read, load_dataset, require_own_data
from ssgan.errors import SsganError
from ssgan.files import require_writable, write_atomically
from ssgan.inference.classifier_file import load_generator
from ssgan.inference.sampling import draw_images
from ssgan.page import FOLDER, fill, png
from ssgan.seeds import derive_seed

TEMPLATE = FOLDER / "turing.html"


def turing(config: DictConfig) -> int:
    """Write the page: ``count`` test images and as many of the averaged generator, in one random order."""
    generator = load_generator(config.checkpoint)
    data = load_dataset(config.dataset)
    require_own_data(config.checkpoint, generator, data)
    if not 1 <= config.count <= len(data.test_images):
        raise SsganError(f"count={config.count}: use 1 to {len(data.test_images)}, the test images of {data.name}")
    require_writable(config.output, config.checkpoint, *files_read(config.dataset))
    chosen = shuffled(len(data.test_images), "real", config.seed)[: config.count]
    images = [question("real", index, data.test_images[index]) for index in chosen]
    drawn = torch.cat(list(draw_images(generator, config.count, config.seed)))
    images += [question("generated", index, image) for index, image in enumerate(drawn)]
    content = {
        "dataset": data.name,
        "checkpoint": config.checkpoint,
        "seed": config.seed,
        "feedback": config.feedback,
        "images": [images[i] for i in shuffled(len(images), "order", config.seed)],
    }
    write_atomically(config.output, fill(TEMPLATE.read_text(encoding="utf-8"), content))
    print(f"{config.count} real and {config.count} generated images in {config.output}; open it in a browser")
    return 0


def shuffled(count: int, purpose: str, seed: int) -> list[int]:
    """0..count-1 in an order that ``purpose`` and ``seed`` alone decide."""
    rng = torch.Generator().manual_seed(derive_seed("turing", purpose, seed))
    order: list[int] = torch.randperm(count, generator=rng).tolist()
    return order


def question(truth: str, index: int, image: Tensor) -> dict[str, Any]:
    """What the page knows of a uint8 (C, H, W) image: ``index`` is its place in the test set or among the draws."""
    return {
        "truth": truth,
        "index": index,
        # Uncompressed, all images are equally long: real ones, which compress better, would be known by their size.
        "png": png(image, compressed=False),
    }


def main() -> None:
    cli.run("turing", turing)


if __name__ == "__main__":
    main()
