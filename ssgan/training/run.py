"""A whole run: data, split, training or its resumption, export, test, metrics."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from ssgan.configuration import condition, trained
from ssgan.data.datasets import ImageData
from ssgan.data.splits import draw_split
from ssgan.errors import print_error, warn
from ssgan.evaluation.curves import draw_curves
from ssgan.inference.classifier_file import load_classifier
from ssgan.precision import emulated, resolve_precision
from ssgan.training.build import Built, build, check, make_trainer
from ssgan.training.callbacks.checkpoints import Checkpoints
from ssgan.training.callbacks.collapse_watch import CollapseWatch
from ssgan.training.callbacks.metrics_csv import RunRecord
from ssgan.training.callbacks.progress import RunProgress
from ssgan.training.callbacks.sample_grid import SampleGrid
from ssgan.training.callbacks.time_limit import TimeEstimate, TimeLimit, parse_duration, time_left
from ssgan.training.dry_run import count_images, dry_run
from ssgan.training.environment import command_line
from ssgan.training.fit_and_export import NOT_TESTED, export, train_from_checkpoint
from ssgan.training.launch import launch, launched_world_size, limit_threads, resolve_batch_sizes
from ssgan.training.run_dir import RunFolder

COLLAPSED = 3


@dataclass
class Result:
    """What came of a run: exit ``code``, and metrics.json, None where there is none: of a dry run, and of all processes of a run
    but the first.
    """

    code: int
    metrics: dict[str, Any] | None = None


def run(config: DictConfig, folder: RunFolder, data: ImageData | None = None, logger: Any = None) -> Result:
    """Run or resume the run of ``config`` in ``folder``, or read its result if it is finished.

    ``data`` are the images, if they are not those that ``config.dataset`` names, and ``logger`` is one of Lightning's. Of
    several processes, the first one writes and prints; the others train with it.
    """
    resolve_precision(config, folder.previous_config())
    rounded = resolve_batch_sizes(config)
    check(config)
    limit_threads()
    if data is None:
        data = instantiate(config.dataset)
    assert data is not None
    split = folder.split(data.digest) or draw_split(
        data.train_targets.numpy(),
        len(data.class_names),
        config.labels,
        config.split_seed,
        config.validation,
        config.balanced,
    )
    # Everything that can refuse the configuration has been built before anything is written.
    limit = parse_duration(config.max_time) if config.max_time else None
    method = build(config, config.method, data, split)
    processes = config.devices * config.num_nodes
    to_launch = processes if launched_world_size() < processes else 0
    if config.dry_run:
        if to_launch:
            return Result(launch(to_launch))
        dry_run(config, data, split, method, limit)
        return Result(0)
    baseline = build(config, config.supervised, data, split) if "supervised" in trained(config) else None
    logger = logger or (instantiate(config.logger) if config.logger else False)
    is_first = make_trainer(config, config.method, []).is_global_zero
    try:
        if is_first:
            folder.claim(config, split, data.digest)
        metrics = folder.finished()
        if metrics is None and to_launch:
            folder.unlock()
            return Result(launch(to_launch))
        if metrics is None:
            if is_first:
                for line in rounded:
                    warn(line)
                print(count_images(data, split), flush=True)
                if emulated(config, config.method):
                    warn(
                        f"method.precision={config.method.precision}: this machine has no instructions for bfloat16; "
                        f"a new run with method.precision=auto is many times as fast"
                    )
            supervised_error = run_baseline(config, baseline, folder) if baseline else None
            metrics = run_method(config, method, folder, logger, supervised_error, limit)
    finally:
        folder.unlock()
    if not is_first:
        return Result(0)  # another code would end the first one, which still tests and writes
    return Result(COLLAPSED if metrics["status"] == "collapsed" else 0, metrics)


def run_baseline(config: DictConfig, built: Built, folder: RunFolder) -> float | None:
    """Test error of the same classifier taught by the labeled images alone, kept in supervised.safetensors.

    None without test images, and in other processes than the first.
    """
    path = folder / "supervised.safetensors"
    last, previous = folder / "supervised.ckpt", folder / "supervised_previous.ckpt"
    if not path.exists():
        module, data = built
        checkpoints = Checkpoints(
            last,
            previous,
            folder.digest(config, data.split),
            config.trainer.checkpoint_minutes,
        )
        trainer = make_trainer(
            config, config.supervised, [RunProgress("supervised only"), checkpoints], folder=folder.path
        )
        train_from_checkpoint(trainer, module, data, checkpoints)
        if not trainer.is_global_zero:
            return None
        export(config, config.supervised, module, data, path)
    for checkpoint in (last, previous):
        checkpoint.unlink(missing_ok=True)
    error: float | None = load_classifier(path).header["test"]["error"]
    return error


def run_method(
    config: DictConfig,
    built: Built,
    folder: RunFolder,
    logger: Any,
    supervised_error: float | None,
    limit: float | None,
) -> dict[str, Any]:
    """Train, or go on training, export the averaged weights, test them once; returns and writes metrics.json.

    Other processes than the first return no more of it than the status.
    """
    method, (module, data) = config.method, built
    watch = CollapseWatch(**config.collapse_watch)
    record = RunRecord(folder.path)
    checkpoints = Checkpoints(
        folder / "last.ckpt",
        folder / "previous.ckpt",
        folder.digest(config, data.split),
        config.trainer.checkpoint_minutes,
        healthy=lambda: watch.reason is None,
    )
    estimate = TimeEstimate(lambda seconds, module: print(time_left(seconds, module, limit), flush=True))
    callbacks: list[pl.Callback] = [watch, RunProgress(condition(config)), estimate, record]
    if limit:
        callbacks.insert(0, TimeLimit(limit))
    if hasattr(module, "ema_generator"):
        callbacks.append(
            SampleGrid(folder / "samples", config.trainer.samples_every, config.trainer.samples_count, config.seed)
        )
    callbacks.append(checkpoints)  # after all others: what they did of an epoch is then done
    trainer = make_trainer(config, method, callbacks, logger, folder.path)
    train_from_checkpoint(trainer, module, data, checkpoints)
    status = "finished" if watch.reason is None else "collapsed"
    if not trainer.is_global_zero:
        return {"status": status}
    if logger and hasattr(logger.experiment, "finish"):
        logger.experiment.finish()  # W&B would log the next job of a sweep into this one's run
    if watch.reason is not None:
        watch.restore_good(module)
        print_error(watch.message(module, exports=module.uses_labels))
    test = NOT_TESTED
    if module.uses_labels:
        test = export(config, method, module, data, folder / "classifier.safetensors")
    if record.rows:
        draw_curves(record.rows, folder / "curves.png", condition(config))
    metrics = {
        "status": status,
        "test_error": test["error"],
        "supervised_error": supervised_error,
        "ece": test["ece"],
        "nll": test["nll"],
        "epochs": len(record.rows),
        "seconds": round(record.seconds, 1),
        "condition": condition(config),
        "method": method.name,
        "name": config.name,
        "split_seed": config.split_seed,
        "seed": config.seed,
        "split_digest": data.split.digest,
        "command": command_line(),
    }
    folder.finish(metrics)
    checkpoints.previous.unlink(missing_ok=True)
    return metrics
