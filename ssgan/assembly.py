"""From a checked configuration to networks in their method, the data that they train on, and a trainer."""

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import ImageData
from ssgan.errors import SsganError
from ssgan.nets.layers import initialize_from_data
from ssgan.seeds import derive_seed
from ssgan.splits import Split

Built = tuple[pl.LightningModule, SemiSupervisedData]
PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
TRAINING_KEYS = ("name", "epochs", "batch_size", "precision")
"""The keys of a method that say how to train; the others are arguments of its module."""


def check(config: DictConfig) -> None:
    """Raise `SsganError` for values that no type can refuse."""
    for name in ("method", "supervised"):
        method = config[name]
        positive = {"epochs": method.epochs, "classifier_optimizer.lr": method.classifier_optimizer.lr}
        for key, value in positive.items():
            if not value > 0:
                raise SsganError(f"{name}.{key}={value}: use a positive number")
        for key in ("average_rate", "constant_fraction"):
            if not 0 <= method[key] <= 1:
                raise SsganError(f"{name}.{key}={method[key]}: use a fraction from 0 to 1")
        if method.average_every < 1:
            raise SsganError(f"{name}.average_every={method.average_every}: use 1 or more steps")
        if method.precision not in PRECISIONS:
            raise SsganError(f"{name}.precision={method.precision}: use one of {', '.join(PRECISIONS)}")
    for name in ("classifier", "generator"):
        hidden = config.net[name].hidden
        if not hidden or min(hidden) < 1:
            raise SsganError(f"net.{name}.hidden={hidden}: name the width, 1 or more, of at least one layer")
    try:
        make_trainer(config, config.method, [])
    except (ValueError, MisconfigurationException) as error:
        raise SsganError(
            f"trainer.accelerator={config.trainer.accelerator}: cannot be had ({error}). Use auto or cpu."
        ) from error
    if config.seed < 0:
        raise SsganError(f"seed={config.seed}: use 0 or more")
    norm = config.method.get("feature_norm", "l2")
    if norm not in ("l1", "l2"):
        raise SsganError(f"method.feature_norm={norm}: use l1 or l2")
    output = config.net.generator.output
    if output not in ("sigmoid", "softplus"):
        raise SsganError(f"net.generator.output={output}: use sigmoid or softplus")


def build(config: DictConfig, method: DictConfig, data: ImageData, split: Split) -> Built:
    """Networks with data-dependent initialisation, in their method, and the data that it trains on."""
    torch.manual_seed(derive_seed("weights", config.seed))
    networks = {"classifier": instantiate(config.net.classifier, data.image_shape, len(data.class_names))}
    if "generator_optimizer" in method:
        networks["generator"] = instantiate(config.net.generator, data.image_shape)
    pixel_range = networks["classifier"].pixel_range
    dtype = PRECISIONS[method.precision]
    datamodule = SemiSupervisedData(data, split, method.batch_size, pixel_range, config.seed, dtype)
    images = datamodule.initialisation_images(config.net.initialisation_images)
    initialize_from_data(networks["classifier"], images)
    if "generator" in networks and config.net.start_from_mean:
        networks["generator"].start_from_mean(images)
    arguments = {key: value for key, value in method.items() if key not in TRAINING_KEYS}
    module: pl.LightningModule = instantiate(arguments, **networks, seed=config.seed)
    return module, datamodule


def make_trainer(
    config: DictConfig, method: DictConfig, callbacks: list[pl.Callback], logger: Any = False
) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*(module.s. in eval mode at the start|treespec, LeafSpec).*")
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=method.precision,
        max_epochs=method.epochs,
        limit_train_batches=config.trainer.limit_train_batches,
        limit_val_batches=1.0 if config.validation else 0,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=logger,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
