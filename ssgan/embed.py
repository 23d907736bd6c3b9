"""python -m ssgan.embed: vectors of a data set's images, by a backbone that was trained on others."""

import io
import json
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from ssgan import cli
from ssgan.data.image_data import ImageData
from ssgan.data.inspection import print_summary
from ssgan.data.progress import tracked
from ssgan.errors import SsganError
from ssgan.fields import quoted
from ssgan.files import require_writable, write_atomically
from ssgan.inference.devices import find_device
from ssgan.inference.embedding import Embedder

CHUNK = 500


def embed(config: DictConfig) -> int:
    """Write x_train, y_train and so on as ``dataset=vectors`` takes them, and by which backbone they were made."""
    from ssgan.training.api import load

    archive = Path(config.data_dir) / f"{config.images}.npz"  # if the images are a data set's
    require_writable(config.output, *filter(None, [config.images, config.weights]), archive)
    shaped = [setting for setting in config.settings if setting.startswith(("dataset.size=", "dataset.channels="))]
    if shaped:
        raise SsganError(
            f"settings={shaped[0]}: pictures are embedded in color, with size={config.size} pixels a side, and so those to predict "
            f"are; leave it out, or change size="
        )
    device = find_device(config.device)
    # Its mistakes are told before anything is read.
    embedder = Embedder(config.backbone, config.size, config.weights).to(device)
    own = [f"data_dir={quoted(config.data_dir)}", f"download={str(config.download).lower()}", *config.settings]
    data = load(config.images, own, size=config.size)
    if data.of_vectors:
        raise SsganError(f"images={config.images}: holds vectors already")
    print_summary(data)
    arrays = {
        "class_names": np.array(data.class_names),
        "embedding": np.array(json.dumps(embedder.embedding.to_json() | {"reading": data.origin.reading.to_json()})),
    }
    for part, images, targets in parts_of(data):
        chunks = images.split(CHUNK)
        vectors = [embedder(chunk) for chunk in tracked(chunks, f"embedding {part}", len(chunks))]
        arrays |= {f"x_{part}": torch.cat(vectors).numpy(), f"y_{part}": targets.numpy()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(config.output, buffer.getvalue())
    count = sum(len(array) for name, array in arrays.items() if name.startswith("x_"))
    print(f"{count} vectors of {embedder.backbone.numbers} numbers in {config.output}")
    return 0


def parts_of(data: ImageData) -> list[tuple[str, Tensor, Tensor]]:
    """Name, images and targets of each part that there is."""
    pool = data.training_count
    parts = [
        ("train", data.train_images[:pool], data.train_targets[:pool]),
        ("validation", data.train_images[pool:], data.train_targets[pool:]),
        ("test", data.test_images, data.test_targets),
    ]
    return [(part, images, targets) for part, images, targets in parts if len(images)]


def main() -> None:
    cli.run("embed", embed)


if __name__ == "__main__":
    main()
