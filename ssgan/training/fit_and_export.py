"""The two halves of a run: training from its newest checkpoint, and the classifier file that comes out."""

import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from ssgan.data.datamodule import SemiSupervisedData
from ssgan.distributed import exit_without_teardown, is_lost_connection, world_size
from ssgan.errors import SsganError, print_error
from ssgan.evaluation.calibration import evaluate_scaled, fit_temperature, with_temperature
from ssgan.evaluation.classification import evaluate, ood_share_lower_bound
from ssgan.inference.classifier import QUANTILES, Classifier
from ssgan.inference.classifier_file import header_of, load_classifier, save_classifier
from ssgan.training.callbacks.checkpoints import Checkpoints, Stopped, StopSignal, agree

NOT_TESTED: dict[str, Any] = dict.fromkeys(
    ("error", "balanced_error", "per_class_error", "ece", "nll", "aurc", "selective", "calibration", "ood_share")
)
"""What a run records of its test images, without any."""
OF_POOL = 2_000
"""Unlabeled images, at most, that give the quantiles of log Z and `ood_share_lower_bound`."""


def train_from_checkpoint(
    trainer: pl.Trainer, module: pl.LightningModule, data: SemiSupervisedData, checkpoints: Checkpoints
) -> None:
    """`Trainer.fit`, from the newest of ``checkpoints``, one of its callbacks, read without unpickling objects.

    Raises `Stopped` when a signal ended it, and `SsganError` when another process did not go on.
    """
    path, complaints = checkpoints.find()
    if path is not None and complaints and trainer.is_global_zero:
        print_error(f"{'; '.join(complaints)}. Going on from {path}.")
    with StopSignal() as checkpoints.stop:
        try:
            trainer.fit(module, datamodule=data, ckpt_path=path, weights_only=True)
        except SystemExit as exit_:
            if trainer.interrupted:
                raise Stopped(checkpoints.stop.number or signal.SIGINT) from exit_
            raise
        except Exception as error:
            exit_without_teardown()
            if isinstance(error, RuntimeError) and world_size() > 1 and is_lost_connection(error):
                raise SsganError(
                    "another process of this run has ended, and this one cannot go on alone; the same command goes on "
                    "from the last checkpoint"
                ) from error
            raise
        _, number = agree(True, checkpoints.stop.number)
        if number is not None:  # it came during the last checkpoint, after which nobody asks
            raise Stopped(number)


def export(
    config: DictConfig, module: Any, data: SemiSupervisedData, path: Path, device: torch.device
) -> dict[str, Any]:
    """Write the averaged classifier as a file, with what `evaluate` says of it on ``device`` in the header; returns that.

    Validation images, if there are any, give its temperature, and "calibration" says what ECE and NLL are without it; "ood_share" is
    `ood_share_lower_bound` of the pool. What is tested is the file as it is read. ``path`` appears when that is done.
    """
    module.recalibrate()
    network, images = module.ema_classifier.module, data.data
    record = {
        "dataset": images.name,
        "method": config.method.name,
        "labels": len(data.split.labeled),
        "split_seed": config.split_seed,
        "seed": config.seed,
        "split_digest": data.split.digest,
        "reading": images.origin.reading.to_json(),
        **({"embedding": dict(images.origin.embedding)} if images.origin.embedding else {}),
        "fake_logit": module.fake_logit,
        "views": {"shift": config.augmentation.shift > 0, "flip": config.augmentation.flip},
    }
    plain = Classifier(network, header_of(network, images.class_names)).to(device)
    pool = plain.answers(images.train_images[data.pool[:: -(-len(data.pool) // OF_POOL)]])
    known = plain.predict_log_proba(images.train_images[data.validation])
    plain.to("cpu")
    temperature = fit_temperature(known, images.train_targets[data.validation]) if len(known) else 1.0
    record["temperature"] = round(temperature, 4)
    record["log_z_quantiles"] = {str(q): round(pool.log_z.double().quantile(q).item(), 4) for q in QUANTILES}
    test = NOT_TESTED
    if len(images.test_images):
        untested = path.with_name(f".{path.name}.untested")
        save_classifier(untested, network, images.class_names, **record)
        tested = load_classifier(untested).to(device)
        log_p = tested.predict_log_proba(images.test_images)
        untested.unlink()
        unscaled = with_temperature(log_p, 1 / record["temperature"])
        if len(known):
            test = evaluate_scaled(unscaled, images.test_targets, record["temperature"], images=len(known))
        else:
            test = evaluate(log_p, images.test_targets) | {"calibration": None}
        test["ood_share"] = round(ood_share_lower_bound(pool.log_probabilities, unscaled), 4)
    save_classifier(path, network, images.class_names, **record, test=test)
    return test
