"""Data sets by the name that they have in conf/dataset/."""

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from ssgan.data.datasets import ImageData
from ssgan.errors import SsganError
from ssgan.nets.base import ImageGenerator
from ssgan.schema import CONFIG_DIR


def named_dataset(name: str | None, data_dir: str, download: bool) -> ImageData:
    """The data set of conf/dataset/<name>.yaml; raises `SsganError` if there is none of that name."""
    path = Path(CONFIG_DIR) / "dataset" / f"{name}.yaml"
    known = sorted(file.stem for file in path.parent.glob("*.yaml"))
    if name not in known:
        raise SsganError(f"dataset {name}: there is none of that name; use dataset={' or dataset='.join(known)}")
    settings = OmegaConf.create({"data_dir": data_dir, "download": download, "dataset": OmegaConf.load(path)})
    settings.dataset.pop("defaults", None)
    data: ImageData = instantiate(settings.dataset)
    return data


def require_own_data(checkpoint: str | Path, generator: ImageGenerator, data: ImageData) -> None:
    """Raise `SsganError` if ``generator`` makes images of another shape than ``data``, or it has no test images."""
    if not len(data.test_images):
        raise SsganError(f"dataset={data.name}: has no test images to compare generated ones with")
    if generator.image_shape != data.image_shape:
        raise SsganError(
            f"checkpoint={checkpoint}: its generator makes {generator.image_shape} images, but those of "
            f"dataset={data.name} are {data.image_shape}; name the data set that it was trained on"
        )
