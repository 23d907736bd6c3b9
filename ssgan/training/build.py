"""From a checked configuration to networks in their method, the data that they train on, and a trainer."""

import logging
import os
import warnings
from math import isfinite
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from ssgan.data.augmentation import Augmentation
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import ImageData
from ssgan.data.splits import Split
from ssgan.errors import SsganError, first_line
from ssgan.methods.base import Method
from ssgan.methods.improved_gan import GENERATOR_LOSSES
from ssgan.nets.base import NORMS
from ssgan.nets.initialization import initialize_from_data
from ssgan.schema import trained
from ssgan.seeds import derive_seed
from ssgan.training.launch import ManualDDPStrategy, check_processes, slurm
from ssgan.training.precision import AUTO, PRECISIONS
from ssgan.training.run_dir import flatten

Built = tuple[Method, SemiSupervisedData]
AT_LEAST = {
    "seed": 0,
    "validation": 0,
    "method.epochs": 1,
    "method.labeled_batch_size": 1,
    "method.ema_every": 1,
    "method.noise_pool": 0,
    "supervised.epochs": 1,
    "supervised.labeled_batch_size": 1,
    "supervised.ema_every": 1,
    "supervised.noise_pool": 0,
    "net.initialization_images": 2,
    "net.generator.latent": 1,
    "net.generator.width": 1,
    "net.generator.size": 1,
    "net.generator.reference": 1,
    "net.classifier.input_noise": 0,
    "net.classifier.hidden_noise": 0,
    "net.classifier.stem": 1,
    "net.classifier.width": 1,
    "net.classifier.minibatch_kernels": 0,
    "net.classifier.minibatch_dims": 1,
    "method.unlabeled_weight": 0,
    "method.pull_away_weight": 0,
    "method.consistency_weight": 0,
    "method.balance_weight": 0,
    "method.ramp_up_epochs": 0,
    "method.warm_up_epochs": 0,
    "supervised.warm_up_epochs": 0,
    "method.historical_averaging.classifier": 0,
    "method.historical_averaging.generator": 0,
    "collapse_watch.window": 1,
    "devices": 1,
    "num_nodes": 1,
    "trainer.limit_train_batches": 1,
    "trainer.samples_every": 1,
    "trainer.samples_count": 1,
}
ABOVE_0 = ("net.generator.init_std", "net.classifier.init_std", "net.classifier.output_std")
ONE_OF = {
    "method.precision": (AUTO, *PRECISIONS),
    "supervised.precision": (AUTO, *PRECISIONS),
    "method.feature_norm": ("l1", "l2"),
    "method.generator_loss": GENERATOR_LOSSES,
    "net.generator.norm": NORMS,
    "net.generator.output": ("sigmoid", "softplus"),
    "trainer.strategy": ("auto", "ddp"),
}
TRAINING_KEYS = ("name", "epochs", "batch_size", "labeled_batch_size", "precision", "uses_labels")
"""The keys of a method that say how to train; the others are arguments of its module."""


def check(config: DictConfig) -> None:
    """Raise `SsganError` for values that no type can refuse."""
    for key, value in flatten(config).items():
        if isinstance(value, float) and not isfinite(value):
            raise SsganError(f"{key}={value}: use a finite number")
    for key, least in AT_LEAST.items():
        value = OmegaConf.select(config, key)
        if value is not None and value < least:
            raise SsganError(f"{key}={value}: use {least} or more")
    for key in ABOVE_0:
        value = OmegaConf.select(config, key)
        if value is not None and value <= 0:
            raise SsganError(f"{key}={value}: use a number above 0")
    for key, choices in ONE_OF.items():
        value = OmegaConf.select(config, key)
        if value is not None and value not in choices:
            raise SsganError(f"{key}={value}: use {' or '.join(choices)}")
    check_processes(config)
    for method in ("method", "supervised"):
        if not 0 < config[method].average_rate <= 1:
            raise SsganError(f"{method}.average_rate={config[method].average_rate}: use a fraction above 0, up to 1")
        for name in ("constant_fraction", "real_target"):
            if not 0 <= config[method].get(name, 0) <= 1:
                raise SsganError(f"{method}.{name}={config[method][name]}: use a fraction from 0 to 1")
        for player in ("classifier_optimizer", "generator_optimizer"):
            if player in config[method]:
                _check_optimizer(f"{method}.{player}", config[method][player])
    for key in ("net.classifier.hidden", "net.generator.hidden", "net.generator.channels"):
        widths = OmegaConf.select(config, key, default=[1])
        if not widths or any(not isinstance(width, int) or width < 1 for width in widths):
            raise SsganError(f"{key}={widths}: name the width, 1 or more, of at least one layer")
    if config.net.classifier.minibatch_kernels:
        for method in trained(config):
            for name in ("batch_size", "labeled_batch_size"):
                if config[method][name] < 2:
                    raise SsganError(
                        f"{method}.{name}={config[method][name]}: minibatch discrimination compares the images of a batch; "
                        f"use 2 or more"
                    )
    for name in ("consistency_weight", "balance_weight"):
        if config.method.get(name) and not config.method.uses_labels:
            raise SsganError(
                f"method.{name}={config.method[name]}: method={config.method.name} has no classes; use method.{name}=0"
            )
    if config.validation and not config.method.uses_labels:
        raise SsganError(
            f"validation={config.validation}: method={config.method.name} has no classes; use validation=0"
        )
    try:
        trainers = {method: make_trainer(config, config[method], []) for method in trained(config)}
    except (ValueError, MisconfigurationException) as error:
        raise SsganError(
            f"trainer.accelerator={config.trainer.accelerator}, devices={config.devices}: cannot be had ({error}). "
            f"Use trainer.accelerator=auto or cpu, or fewer devices."
        ) from error
    for method, trainer in trainers.items():
        precision = config[method].precision
        if trainer.precision != precision:
            raise SsganError(f"{method}.precision={precision}: wants a GPU; use {method}.precision=auto or 32-true")


def _check_optimizer(key: str, settings: DictConfig) -> None:
    try:
        instantiate(settings)([torch.zeros(1, requires_grad=True)])
    except (ValueError, TypeError, IndexError) as error:
        given = ", ".join(f"{name!s}={value}" for name, value in settings.items() if not str(name).startswith("_"))
        raise SsganError(f"{key}: {first_line(error)}; given were {given}") from error


def build(config: DictConfig, method: DictConfig, data: ImageData, split: Split) -> Built:
    """Networks with data-dependent initialization, in their method, and the data that it trains on."""
    torch.manual_seed(derive_seed("weights", config.seed))
    classes = len(data.class_names) if method.uses_labels else 1
    networks = {"classifier": instantiate(config.net.classifier, data.image_shape, classes)}
    if "generator_optimizer" in method:
        networks["generator"] = instantiate(config.net.generator, data.image_shape)
    pixel_range = networks["classifier"].pixel_range
    dtype = PRECISIONS[method.precision]
    datamodule = SemiSupervisedData(
        data,
        split,
        method.batch_size,
        pixel_range,
        config.seed,
        dtype,
        method.labeled_batch_size,
        Augmentation(data.image_shape, **config.augmentation),
        second_view=bool(method.get("consistency_weight")),
    )
    images = datamodule.initialization_images(config.net.initialization_images)
    initialize_from_data(networks["classifier"], images)
    if "generator" in networks:
        networks["generator"].initialize(len(images))
        if config.net.start_from_mean:
            networks["generator"].start_from_mean(images)
    arguments = {key: value for key, value in method.items() if key not in TRAINING_KEYS}
    module: Method = instantiate(arguments, **networks, seed=config.seed)
    module.real_images = images
    module.recalibrate()  # refuses too few images now, before anything is written
    return module, datamodule


def make_trainer(
    config: DictConfig,
    method: DictConfig,
    callbacks: list[pl.Callback],
    logger: Any = False,
    folder: Path | None = None,
) -> pl.Trainer:
    """A trainer that keeps what it writes, if anything, in ``folder``."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not torch.cuda.is_available():  # Lightning sets it to 1: on a CPU every optimizer step then looks for NVML anew
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    warnings.filterwarnings("ignore", ".*(module.s. in eval mode at the start|treespec, LeafSpec).*")
    warnings.filterwarnings("ignore", ".*AMP with fp16 is not supported on CPU.*")  # `check` refuses it
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")  # `TrainingBatches` looks where it was
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=ManualDDPStrategy() if config.devices * config.num_nodes > 1 else "auto",
        plugins=[*slurm()],
        default_root_dir=folder,
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
