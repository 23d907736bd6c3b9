"""python -m ssgan.fit: train a classifier on a few labelled and many unlabelled images, and export it."""

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from ssgan import command
from ssgan.callbacks.collapse_watch import CollapseWatch
from ssgan.callbacks.progress import RunProgress
from ssgan.callbacks.record import RunRecord
from ssgan.callbacks.samples import SampleGrid
from ssgan.checkpoint import load_classifier, save_classifier
from ssgan.curves import draw_curves
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import ImageData
from ssgan.errors import SsganError
from ssgan.metrics import evaluate
from ssgan.nets.layers import initialize_from_data
from ssgan.run_folder import RunFolder, command_line
from ssgan.seeds import derive_seed
from ssgan.splits import Split, draw_split

COLLAPSED = 3
Built = tuple[pl.LightningModule, SemiSupervisedData]
PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
TRAINING_KEYS = ("name", "epochs", "batch_size", "precision")
"""The keys of a method that say how to train; the others are arguments of its module."""


def fit(config: DictConfig) -> int:
    """Run, resume or report the run of ``config``; returns the exit code."""
    folder = RunFolder(HydraConfig.get().runtime.output_dir)
    check(config)
    data: ImageData = instantiate(config.dataset)
    split = folder.split() or draw_split(
        data.train_targets.numpy(), len(data.class_names), config.labels, config.split_seed, config.validation
    )
    # Everything that can refuse the configuration has been built before anything is written.
    method = build(config, config.method, data, split)
    baseline = build(config, config.supervised, data, split) if wants_baseline(config) else None
    logger = instantiate(config.logger) if config.logger else False
    folder.claim(config, split)
    metrics = folder.finished()
    if metrics is None:
        supervised_error = run_baseline(config, baseline, folder) if baseline else None
        metrics = run_method(config, method, folder, logger, supervised_error)
    folder.print_table(metrics)
    return COLLAPSED if metrics["status"] == "collapsed" else 0


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


def wants_baseline(config: DictConfig) -> bool:
    return bool(config.baseline) and config.method.name != "supervised"


def run_baseline(config: DictConfig, built: Built, folder: RunFolder) -> float:
    """Test error of the same classifier taught by the labelled images alone, kept in supervised.safetensors."""
    path = folder / "supervised.safetensors"
    if not path.exists():
        module, data = built
        trainer = make_trainer(config, config.supervised, [RunProgress("supervised only")])
        trainer.fit(module, datamodule=data)
        export(config, config.supervised, module, data, path)
    error: float = load_classifier(path).header["test"]["error"]
    return error


def run_method(
    config: DictConfig, built: Built, folder: RunFolder, logger: Any, supervised_error: float | None
) -> dict[str, Any]:
    """Train, or go on training, export the averaged weights, test them once; returns and writes metrics.json."""
    method, (module, data) = config.method, built
    condition = f"{config.dataset.name}@{config.labels}"
    record = RunRecord(folder.path)
    watch = CollapseWatch(**config.collapse_watch)
    callbacks: list[pl.Callback] = [watch, RunProgress(condition), record]
    if hasattr(module, "averaged_generator"):
        callbacks.append(
            SampleGrid(folder / "samples", config.trainer.samples_every, config.trainer.samples_count, config.seed)
        )
    trainer = make_trainer(config, method, callbacks, logger=logger)
    last = folder / "last.ckpt"
    train(trainer, module, data, str(last) if last.exists() else None)
    if watch.reason is not None:
        watch.restore_good(module)
        command.complain(watch.message)
    test = export(config, method, module, data, folder / "classifier.safetensors")
    draw_curves(record.rows, folder / "curves.png", condition)
    metrics = {
        "status": "finished" if watch.reason is None else "collapsed",
        "test_error": test["error"],
        "supervised_error": supervised_error,
        "ece": test["ece"],
        "nll": test["nll"],
        "epochs": len(record.rows),
        "seconds": round(record.seconds, 1),
        "condition": condition,
        "method": method.name,
        "name": config.name,
        "split_seed": config.split_seed,
        "seed": config.seed,
        "split_digest": data.split.digest,
        "command": command_line(),
    }
    folder.finish(metrics)
    return metrics


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
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def train(trainer: pl.Trainer, module: pl.LightningModule, data: SemiSupervisedData, checkpoint: str | None) -> None:
    """`Trainer.fit`, from ``checkpoint`` if there is one, read without unpickling objects; Ctrl-C comes out as such."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as exit_:
        if trainer.interrupted:
            raise KeyboardInterrupt from exit_
        raise


def export(config: DictConfig, method: DictConfig, module: Any, data: SemiSupervisedData, path: Path) -> dict[str, Any]:
    """Write the averaged classifier as a file, with its test error in the header; returns its `evaluate`."""
    network, images = module.averaged_classifier.module, data.data
    record = {
        "dataset": images.name,
        "method": method.name,
        "labels": config.labels,
        "split_seed": config.split_seed,
        "seed": config.seed,
        "split_digest": data.split.digest,
    }
    save_classifier(path, network, images.class_names, **record)
    test = evaluate(load_classifier(path).predict_log_proba(images.test_images), images.test_targets)
    save_classifier(path, network, images.class_names, **record, test=test)
    return test


def main() -> None:
    command.run("config", fit)


if __name__ == "__main__":
    main()
