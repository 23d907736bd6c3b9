"""Lightning's trainer for a run: devices, processes, precision, and what it keeps quiet about."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ssgan.configuration import process_count
from ssgan.training.launch import ManualDDPStrategy, cluster


def devices(config: DictConfig) -> int | list[int]:
    """How many; but the jobs of a sweep that are one process each take turns at the GPUs of a machine."""
    gpus = 0 if config.trainer.accelerator == "cpu" else torch.cuda.device_count()
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    if gpus < 2 or process_count(config) > 1 or hydra is None or hydra.mode != RunMode.MULTIRUN:
        return int(config.devices)
    return [hydra.job.num % gpus]


def make_trainer(
    config: DictConfig,
    callbacks: list[pl.Callback],
    logger: Any = False,
    folder: Path | None = None,
    validates: bool = False,
) -> pl.Trainer:
    """A trainer that keeps what it writes, if anything, in ``folder``, and ``validates`` after every epoch."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if not torch.cuda.is_available():  # Lightning sets it to 1: on a CPU every optimizer step then looks for NVML anew
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    warnings.filterwarnings("ignore", ".*(module.s. in eval mode at the start|treespec, LeafSpec).*")
    warnings.filterwarnings("ignore", ".*AMP with fp16 is not supported on CPU.*")  # `check` refuses it
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")  # `TrainingBatches` looks where it was
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=devices(config),
        num_nodes=config.num_nodes,
        strategy=ManualDDPStrategy() if process_count(config) > 1 else "auto",
        plugins=[*cluster()],
        default_root_dir=folder,
        precision=config.method.precision,
        max_epochs=config.method.epochs,
        limit_train_batches=config.trainer.limit_train_batches,
        limit_val_batches=1.0 if validates else 0,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=logger,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
