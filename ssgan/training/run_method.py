"""The training of a run, from its start or its newest checkpoint, and what comes out: classifier, test, metrics, model card."""

from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from ssgan.configuration import condition
from ssgan.data.file_predictions import predict_files
from ssgan.errors import print_error, warn
from ssgan.evaluation.curves import draw_curves
from ssgan.inference.classifier_file import load_classifier
from ssgan.training.build import Built
from ssgan.training.callbacks.checkpoints import Checkpoints
from ssgan.training.callbacks.collapse_watch import CollapseWatch
from ssgan.training.callbacks.health import HealthRecord, measured, rounded_measures
from ssgan.training.callbacks.metrics_csv import RunRecord
from ssgan.training.callbacks.progress import RunProgress
from ssgan.training.callbacks.sample_grid import SampleGrid
from ssgan.training.callbacks.time_limit import TimeEstimate, TimeLimit, time_left
from ssgan.training.environment import command_line
from ssgan.training.fit_and_export import NOT_TESTED, export, train_from_checkpoint
from ssgan.training.model_card import write_model_card
from ssgan.training.run_dir import RunFolder
from ssgan.training.trainer import make_trainer

OOD_SHARE_TOLD = 0.3
"""Of `ood_share_lower_bound`: where half of a pool of digits is of other classes it is 0.1 to 0.4, with 90 % 0.5 to 0.6, with none 0 (benchmarks/open_set.md)."""


def run_method(
    config: DictConfig,
    built: Built,
    folder: RunFolder,
    logger: Any,
    limit: float | None,
) -> dict[str, Any]:
    """Train, or go on training, export the averaged weights, test them once; returns and writes metrics.json.

    Other processes than the first return no more of it than the status.
    """
    module, data = built
    health = HealthRecord(config.trainer.samples_every, config.seed) if module.has_generator else None
    watch = CollapseWatch(**config.collapse_watch, health=health)
    record = RunRecord(folder.path, health)
    checkpoints = Checkpoints(
        folder / "last.ckpt",
        folder / "previous.ckpt",
        folder.digest(config, data.split),
        config.trainer.checkpoint_minutes,
        healthy=lambda: watch.reason is None,
        data=data.data.digest,
    )
    samples: list[pl.Callback] = []
    if module.has_generator and not data.data.of_vectors:
        keys = config.trainer
        samples = [SampleGrid(folder / "samples", keys.samples_every, keys.samples_count, config.seed)]
    callbacks: list[pl.Callback] = [
        *([TimeLimit(limit)] if limit else []),
        *([health] if health else []),  # it is read by the next ones
        watch,
        RunProgress(f"{condition(config)} {config.name}"),
        TimeEstimate(lambda seconds, module: print(time_left(seconds, module, limit), flush=True)),
        record,
        *samples,
        checkpoints,  # after all others: what they did of an epoch is then done
    ]
    validates = len(data.validation) > 0 and module.uses_labels
    trainer = make_trainer(config, callbacks, logger, folder.path, validates=validates)
    train_from_checkpoint(trainer, module, data, checkpoints)
    status = "finished" if watch.reason is None else "collapsed"
    if not trainer.is_global_zero:
        return {"status": status}
    if logger and hasattr(logger.experiment, "finish"):
        logger.experiment.finish()  # W&B would log the next job of a sweep into this one's run
    if watch.reason is not None:
        watch.restore_healthy(module)
        print_error(watch.message(module))
    test = export_and_predict(config, built, folder, trainer) if module.uses_labels else NOT_TESTED
    if record.rows:
        draw_curves(record.rows, folder / "curves.png", condition(config))
    metrics = {
        "status": status,
        "test_error": test["error"],
        **{name: test[name] for name in NOT_TESTED if name != "error"},
        "labels_per_class": dict(zip(data.data.class_names, data.split.per_class, strict=True)),
        "health": rounded_measures(health.measures or measured(module, config.seed)) if health else None,
        "epochs": len(record.rows),
        "seconds": round(record.seconds, 1),
        "condition": condition(config),
        "method": config.method.name,
        "name": config.name,
        "split_seed": config.split_seed,
        "seed": config.seed,
        "split_digest": data.split.digest,
        "command": command_line(),
    }
    if module.uses_labels:
        header = load_classifier(folder / "classifier.safetensors").header
        write_model_card(folder / "classifier.md", header, metrics)
    folder.finish(metrics)
    checkpoints.previous.unlink(missing_ok=True)
    return metrics


def export_and_predict(config: DictConfig, built: Built, folder: RunFolder, trainer: pl.Trainer) -> dict[str, Any]:
    """Write the classifier's file and what it says of pictures without a class; returns what `export` measured."""
    module, data = built
    test = export(config, module, data, folder / "classifier.safetensors", trainer.strategy.root_device)
    if (test["ood_share"] or 0.0) > OOD_SHARE_TOLD and module.learns_from_pool:
        warn(
            f"{test['ood_share']:.0%} or more of the unlabeled images seem to be of none of the classes: too many are less certain "
            f"than half of the test images. Compare with method=supervised (baseline=true); "
            f"method.terms.pseudo_label.ood_quantile leaves the strangest out of pseudo-labels."
        )
    if data.data.origin.to_predict and not config.fold:
        classifier = load_classifier(folder / "classifier.safetensors").to(trainer.strategy.root_device)
        predict_files(classifier, data.data.origin.to_predict, folder / "predictions.csv")
    return test
