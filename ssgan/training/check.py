"""What a configuration's types cannot express, checked before any data are read."""

from typing import Any

import torch
from hydra.errors import HydraException
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from ssgan import methods
from ssgan.configuration import require_folder_name
from ssgan.data.registry import is_another
from ssgan.errors import SsganError, first_line
from ssgan.fields import check_ranges
from ssgan.methods.optimizers import make_optimizer
from ssgan.methods.schedule import make_schedule
from ssgan.training.launch import check_processes
from ssgan.training.trainer import make_trainer


def check(config: DictConfig) -> None:
    """Validate what the schema's types cannot express, or raise `SsganError`: ranges first, then what keys ask of each other."""
    for group in ("net.classifier", "net.generator", "augmentation", "strong_augmentation"):
        value = OmegaConf.select(config, group)
        if not isinstance(value, DictConfig):
            raise SsganError(f"{group}={value}: it has keys of its own, {group}.<key>=; --cfg job lists them")
    check_ranges(OmegaConf.to_object(config))
    _check_names(config)
    check_processes(config)
    for key in ("classifier_optimizer", "generator_optimizer"):
        if key in config.method:
            _check_optimizer(f"method.{key}", config.method[key])
    _check_schedule("method.schedule", config.method.schedule)
    _check_widths(config)
    _check_what_is_trained(config)
    _check_trainer(config)


def _check_names(config: DictConfig) -> None:
    """The method is that of its keys, the data set that of its name, and both name folders."""
    method, dataset = config.method.name, config.dataset.name
    if OmegaConf.get_type(config.method) is not methods.find(method).Config:
        raise SsganError(f"method.name={method}: has no keys of that method; use method={method}")
    if is_another(config.dataset):
        raise SsganError(
            f"dataset.name={dataset}: is the name of another data set than this one; use dataset={dataset}, or another name"
        )
    for key in ("name", "dataset.name"):
        require_folder_name(key, OmegaConf.select(config, key))


def _check_widths(config: DictConfig) -> None:
    for key in ("net.classifier.hidden", "net.generator.hidden", "net.generator.channels"):
        widths = OmegaConf.select(config, key, default=[1])
        if not widths or any(not isinstance(width, int) or width < 1 for width in widths):
            raise SsganError(f"{key}={widths}: name the width, 1 or more, of at least one layer")
    if config.net.classifier.get("minibatch_kernels"):
        for name in ("batch_size", "labeled_batch_size"):
            if config.method[name] < 2:
                raise SsganError(
                    f"method.{name}={config.method[name]}: minibatch discrimination compares the images of a batch; "
                    f"use 2 or more"
                )


def _check_what_is_trained(config: DictConfig) -> None:
    """No term and no key asks for a generator or for classes that the method does not have."""
    method = methods.find(config.method.name)
    terms: Any = OmegaConf.to_object(config.method.terms)
    lacking = [("classifier", "classes")] * (not method.uses_labels)
    lacking += [("generator", "generator")] * (not method.has_generator)
    for player, missing in lacking:
        for name, term in terms.active(player):
            raise SsganError(
                f"method.terms.{name}.weight={term.weight}: method={config.method.name} has no {missing}; use 0"
            )
    for key in ("validation", "calibration_folds"):
        if config[key] and not method.uses_labels:
            raise SsganError(f"{key}={config[key]}: method={config.method.name} has no classes; use {key}=0")


def _check_trainer(config: DictConfig) -> None:
    """The machine has the devices and the precision that are asked for."""
    try:
        trainer = make_trainer(config, [])
    except (ValueError, MisconfigurationException) as error:
        raise SsganError(
            f"trainer.accelerator={config.trainer.accelerator}, devices={config.devices}: not available ({error}). "
            f"Use trainer.accelerator=auto or cpu, or fewer devices."
        ) from error
    precision = config.method.precision
    if trainer.precision != precision:
        raise SsganError(f"method.precision={precision}: wants a GPU; use method.precision=auto or 32-true")


def _check_optimizer(key: str, settings: DictConfig) -> None:
    given: Any = OmegaConf.to_container(settings, resolve=True)
    try:
        make_optimizer(given, [torch.nn.Parameter(torch.zeros(2, 2))])
    except (ValueError, TypeError, IndexError, HydraException) as error:
        raise SsganError(f"{key}: {reason(error)}; given were {listed(given)}") from error


def _check_schedule(key: str, settings: DictConfig) -> None:
    given: Any = OmegaConf.to_container(settings, resolve=True)
    try:
        factors = [make_schedule(given)(progress) for progress in (0.0, 0.5, 1.0)]
    except (ValueError, TypeError, HydraException) as error:
        raise SsganError(f"{key}: {reason(error)}; given were {listed(given)}") from error
    if not all(isinstance(factor, int | float) and factor >= 0 for factor in factors):
        raise SsganError(f"{key}: gives {factors} at the start, the middle and the end; use factors of 0 or more")


def reason(error: Exception) -> str:
    """The first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__  # type: ignore[assignment]
    return first_line(error)


def listed(settings: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())
