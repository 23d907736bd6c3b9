"""python -m ssgan.turing: a page on which a person tells real images from generated ones (sec. 6.1)."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from ssgan import cli
from ssgan.data.registry import load_dataset, require_own_data
from ssgan.errors import SsganError
from ssgan.files import require_writable, write_atomically
from ssgan.inference.classifier_file import load_generator
from ssgan.inference.sampling import draw_images
from ssgan.seeds import derive_seed

TEMPLATE = Path(__file__).with_name("pages") / "turing.html"


def turing(config: DictConfig) -> int:
    """Write the page: ``count`` test images and as many of the averaged generator, in one random order."""
    generator = load_generator(config.checkpoint)
    data = load_dataset(config.dataset)
    require_own_data(config.checkpoint, generator, data)
    if not 1 <= config.count <= len(data.test_images):
        raise SsganError(f"count={config.count}: use 1 to {len(data.test_images)}, the test images of {data.name}")
    require_writable(config.output)
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
    write_atomically(config.output, fill(TEMPLATE.read_text(encoding="utf-8"), content).encode())
    print(f"{config.count} real and {config.count} generated images in {config.output}; open it in a browser")
    return 0


def shuffled(count: int, purpose: str, seed: int) -> list[int]:
    """0..count-1 in an order that ``purpose`` and ``seed`` alone decide."""
    rng = torch.Generator().manual_seed(derive_seed("turing", purpose, seed))
    order: list[int] = torch.randperm(count, generator=rng).tolist()
    return order


def question(truth: str, index: int, image: Tensor) -> dict[str, Any]:
    """What the page knows of a uint8 (C, H, W) image: ``index`` is its place in the test set or among the draws."""
    buffer = io.BytesIO()
    # Uncompressed, all images are equally long: real ones, which compress better, would be known by their size.
    to_pil_image(image).save(buffer, format="PNG", compress_level=0)
    return {
        "truth": truth,
        "index": index,
        "png": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
    }


def fill(template: str, content: dict[str, Any]) -> str:
    """``template`` with ``content`` as JSON at its mark; no ``<`` is left that could end the script around it."""
    return template.replace("{{content}}", json.dumps(content).replace("<", "\\u003c"))


def main() -> None:
    cli.run("turing", turing)


if __name__ == "__main__":
    main()
