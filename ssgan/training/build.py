"""From a checked configuration to networks in their method, and the data that they train on."""

from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ssgan import methods, nets
from ssgan.configuration import process_count
from ssgan.data.augmentation import Augmentation
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.image_data import ImageData
from ssgan.data.splits import Split
from ssgan.errors import SsganError
from ssgan.methods.base import Method
from ssgan.nets.layers.batch_norm import batch_norms
from ssgan.seeds import derive_seed
from ssgan.training.start import trained

Built = tuple[Method, SemiSupervisedData]


def fit_to_pool(config: DictConfig, data: ImageData, split: Split) -> list[str]:
    """Make batches no larger than the unlabeled pool, whose size a preset cannot know; returns a line if they were."""
    processes = process_count(config)
    given, most = config.method.batch_size, (len(data.train_images) - len(split.validation)) // processes * processes
    if given <= most or most < 2:
        return []
    config.method.batch_size = most
    told = f"method.batch_size={given}: the unlabeled pool has {most} images; trains with {most}"
    if config.method.labeled_batch_size == given:  # as many labeled ones, which null stands for
        config.method.labeled_batch_size = most
        told += " of either kind"
    return [told]


def build(config: DictConfig, data: ImageData, split: Split, resumes: bool = False) -> Built:
    """Networks with data-dependent initialization, in their method, and the data that it trains on.

    A run that ``resumes`` has its weights from its checkpoint, and does not need those of ``start_from`` any more.
    """
    method = config.method
    torch.manual_seed(derive_seed("weights", config.seed))
    kind = methods.find(method.name)
    classes = len(data.class_names) if kind.uses_labels else 1
    _check_kind_of_data(config, data)
    networks = {"classifier": instantiate(config.net.classifier, data.image_shape, classes)}
    if batch_norms(networks["classifier"]) and min(method.batch_size, method.labeled_batch_size or 2) < 2:
        raise SsganError(
            f"method.labeled_batch_size={method.labeled_batch_size}, method.batch_size={method.batch_size}: batch norm "
            f"compares the images of a batch; use 2 or more, or a net/classifier without it"
        )
    known = type(networks["classifier"]).__name__
    if getattr(nets, known, None) is not type(networks["classifier"]):
        raise SsganError(
            f"net.classifier._target_={config.net.classifier._target_}: a classifier file names a network of ssgan.nets; put yours there, and "
            f"into its __all__"
        )
    if kind.has_generator:
        networks["generator"] = instantiate(config.net.generator, data.image_shape)
        makes = "vectors" if networks["generator"].pixel_range is None else "images"
        if (makes == "vectors") != data.of_vectors:
            raise SsganError(
                f"net.generator._target_={config.net.generator._target_}: makes {makes}, and dataset={data.name} holds "
                f"{'vectors' if data.of_vectors else 'images'}; use net/generator=vectors for vectors, and another one for images"
            )
    settings: Any = OmegaConf.to_object(method)
    module = kind(**networks, config=settings, seed=config.seed)
    weak, strong = None, None
    strongly = [name for name, view in module.all_views.items() if view.strength == "strong"]
    if data.of_vectors:
        _check_vectors(config, module, strongly)
    else:
        weak = Augmentation(data.image_shape, **config.augmentation)
    if strongly:
        strong = Augmentation(data.image_shape, **config.strong_augmentation, name="strong_augmentation")
    datamodule = SemiSupervisedData(data, split, weak=weak, strong=strong, seed=config.seed, balance=config.balance)
    module.attach(datamodule)  # refuses too few images now, before anything is written
    if config.start_from and not resumes:
        module.start_from(trained(config.start_from, module.classifier, data.class_names))
    return module, datamodule


def _check_kind_of_data(config: DictConfig, data: ImageData) -> None:
    """Raise `SsganError` if networks for images got vectors, or the other way round."""
    for_vectors = bool(config.net.classifier.get("standardized", False))
    if data.of_vectors and not for_vectors:
        raise SsganError(
            f"dataset={data.name}: holds vectors of {data.image_shape[0]} numbers, and the networks take images; use "
            f"dataset=vectors dataset.path=..., or net/classifier=vectors net/generator=vectors"
        )
    if for_vectors and not data.of_vectors:
        raise SsganError(
            f"dataset={data.name}: holds images, {' x '.join(map(str, data.image_shape))}, and the networks take vectors; use "
            f"dataset=npz dataset.path=..., or other networks (net/classifier=, net/generator=)"
        )


def _check_vectors(config: DictConfig, module: Method, strongly: list[str]) -> None:
    """Raise `SsganError` for what vectors do not have: augmentations, and networks and terms that are for pixels."""
    key = f"method={config.method.name}"
    if strongly:
        raise SsganError(
            f"{key}: learns from strongly augmented images ({', '.join(strongly)}), and vectors have no augmentation; use "
            f"improved_gan, bad_gan, manifold_gan, ct_gan, mean_teacher or supervised"
        )
    if any(name == "virtual_adversarial" for name, _ in module.terms):
        raise SsganError(f"{key}: virtual adversarial changes are measured in pixels; use another method for vectors")
    given = {key: value for key, value in config.augmentation.items() if value}
    if given:
        raise SsganError(
            f"augmentation.{next(iter(given))}={next(iter(given.values()))}: vectors have no augmentation; use 0"
        )
