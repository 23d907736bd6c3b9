"""A whole run: data, split, training or its resumption, export, test, metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from ssgan import methods
from ssgan.configuration import check_budget, condition, run_path, supervised_beside
from ssgan.data.file_predictions import predict_files
from ssgan.data.image_data import ImageData
from ssgan.data.inspection import tell
from ssgan.data.registry import load_dataset
from ssgan.errors import print_error, warn
from ssgan.evaluation.curves import draw_curves
from ssgan.files import write_atomically
from ssgan.inference.classifier_file import load_classifier
from ssgan.precision import emulated, resolve_precision
from ssgan.training.build import Built, build, check, make_trainer
from ssgan.training.callbacks.checkpoints import Checkpoints
from ssgan.training.callbacks.collapse_watch import CollapseWatch
from ssgan.training.callbacks.health import HealthRecord, measured
from ssgan.training.callbacks.metrics_csv import RunRecord
from ssgan.training.callbacks.progress import RunProgress
from ssgan.training.callbacks.sample_grid import SampleGrid
from ssgan.training.callbacks.time_limit import TimeEstimate, TimeLimit, parse_duration, time_left
from ssgan.training.dry_run import count_images, dry_run
from ssgan.training.environment import command_line
from ssgan.training.fit_and_export import NOT_TESTED, export, train_from_checkpoint
from ssgan.training.launch import launch, launched_world_size, limit_threads, resolve_batch_sizes
from ssgan.training.model_card import model_card
from ssgan.training.run_dir import RunFolder
from ssgan.training.split import with_split

COLLAPSED = 3
TOLD_STRANGERS = 0.3
"""Of `least_strangers`: where half of a pool of digits are strangers it is 0.1 to 0.4, with 90 % 0.5 to 0.6, with none 0 (benchmarks/strangers.md)."""


@dataclass
class Result:
    """What came of a run: exit ``code``, and metrics.json, None where there is none: of a dry run, and of all processes of a run
    but the first.
    """

    folder: RunFolder
    code: int
    metrics: dict[str, Any] | None = None
    launched: bool = False
    """Other processes ran it, and all that the command asks for."""


def run_with_baseline(
    config: DictConfig, choices: Mapping[str, str], path: str | Path, data: ImageData | None = None, logger: Any = None
) -> list[Result]:
    """`run`, and with ``baseline=true`` the supervised run of the same split after it, in a folder of its own.

    ``choices`` are the files of conf/ that ``config`` is made of, ``path`` the first run's folder, ``data`` the images if they
    are not those that ``config.dataset`` names, and ``logger`` one of Lightning's, for the first run.
    """
    wanted = config.baseline and config.method.name != "supervised" and methods.find(config.method.name).uses_labels
    with RunFolder.made(path, config.runs_dir) as folder:
        check_budget(config, choices)
        beside = supervised_beside(config, choices) if wanted else None
        if beside is not None:  # its mistakes are told before hours of training
            there, resolved = RunFolder(run_path(beside)), beside.copy()
            prepare(resolved, there.previous_config())
            there.require_same(resolved)
        load = cache(lambda: load_dataset(config.dataset) if data is None else data)
        results = [run(config, folder, load, logger)]
    if beside is not None and not results[0].launched:
        with RunFolder.made(run_path(beside), beside.runs_dir) as folder:
            results.append(run(beside, folder, load, describes=False))
    return results


def prepare(config: DictConfig, previous_config: Mapping[str, Any]) -> list[str]:
    """Write out what ``config`` leaves to the machine, in place, and check it; returns a line for each batch that was rounded."""
    resolve_precision(config, previous_config)
    rounded = resolve_batch_sizes(config)
    check(config)
    return rounded


def run(
    config: DictConfig, folder: RunFolder, load: Callable[[], ImageData], logger: Any = None, describes: bool = True
) -> Result:
    """Run or resume the run of ``config`` in ``folder``, or read its result if it is finished.

    ``load`` returns the images, once ``config`` is known to be right, ``logger`` is one of Lightning's, and what the data are is
    said if it ``describes`` them. Of several processes, the first one writes and prints; the others train with it.
    """
    rounded = prepare(config, folder.previous_config())
    limit_threads()
    data, split = with_split(config, folder, load())
    # Everything that can refuse the configuration has been built before anything is written.
    limit = parse_duration(config.max_time) if config.max_time else None
    method = build(config, data, split)
    processes = config.devices * config.num_nodes
    to_launch = processes if launched_world_size() < processes else 0
    if config.dry_run:
        if to_launch:
            return Result(folder, launch(to_launch), launched=True)
        tell(data)
        dry_run(config, method, limit)
        return Result(folder, 0)
    logger = logger or (instantiate(config.logger) if config.logger else False)
    is_rank_zero = make_trainer(config, []).is_global_zero
    try:
        if is_rank_zero:
            folder.acquire(config, split, data.digest)
        metrics = folder.finished()
        if metrics is None and to_launch:
            folder.unlock()
            return Result(folder, launch(to_launch), launched=True)
        if metrics is None:
            if is_rank_zero:
                for line in rounded:
                    warn(line)
                if describes:
                    tell(data)
                print(count_images(method[1]), flush=True)
                if emulated(config):
                    warn(
                        f"method.precision={config.method.precision}: this machine has no instructions for bfloat16; "
                        f"a new run with method.precision=auto is many times as fast"
                    )
            metrics = run_method(config, method, folder, logger, limit)
    finally:
        folder.unlock()
    if not is_rank_zero:
        return Result(folder, 0)  # another code would end the first one, which still tests and writes
    return Result(folder, COLLAPSED if metrics["status"] == "collapsed" else 0, metrics)


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
    has_generator = module.players == "gan"
    health = HealthRecord(config.trainer.samples_every, config.seed) if has_generator else None
    watch = CollapseWatch(**config.collapse_watch, health=health)
    record = RunRecord(folder.path, health)
    checkpoints = Checkpoints(
        folder / "last.ckpt",
        folder / "previous.ckpt",
        folder.digest(config, data.split),
        config.trainer.checkpoint_minutes,
        healthy=lambda: watch.reason is None,
    )
    estimate = TimeEstimate(lambda seconds, module: print(time_left(seconds, module, limit), flush=True))
    callbacks: list[pl.Callback] = [health] if health else []  # it is read by the next ones
    callbacks += [watch, RunProgress(f"{condition(config)} {config.name}"), estimate, record]
    if limit:
        callbacks.insert(0, TimeLimit(limit))
    if has_generator and not data.data.of_vectors:
        callbacks.append(
            SampleGrid(folder / "samples", config.trainer.samples_every, config.trainer.samples_count, config.seed)
        )
    callbacks.append(checkpoints)  # after all others: what they did of an epoch is then done
    trainer = make_trainer(config, callbacks, logger, folder.path, validates=len(data.validation) > 0)
    train_from_checkpoint(trainer, module, data, checkpoints)
    status = "finished" if watch.reason is None else "collapsed"
    if not trainer.is_global_zero:
        return {"status": status}
    if logger and hasattr(logger.experiment, "finish"):
        logger.experiment.finish()  # W&B would log the next job of a sweep into this one's run
    if watch.reason is not None:
        watch.restore_healthy(module)
        print_error(watch.message(module, exports=module.uses_labels))
    test = NOT_TESTED
    if module.uses_labels:
        test = export(config, module, data, folder / "classifier.safetensors")
        if (test["strangers"] or 0.0) > TOLD_STRANGERS and module.learns_from_pool:
            warn(
                f"{test['strangers']:.0%} or more of the unlabeled images seem to be of none of the classes: too many are less certain "
                f"than half of the test images. Compare with method=supervised (baseline=true); "
                f"method.terms.pseudo_label.strangers leaves the strangest out of pseudo-labels."
            )
        classifier = load_classifier(folder / "classifier.safetensors")
        if data.data.origin.to_predict:
            predict_files(classifier, data.data.origin.to_predict, folder / "predictions.csv")
    if record.rows:
        draw_curves(record.rows, folder / "curves.png", condition(config))
    measures = None
    if health:
        last = health.measures or measured(module, config.seed)
        measures = {name: round(value, 4) for name, value in last.items()}
    metrics = {
        "status": status,
        "test_error": test["error"],
        **{name: test[name] for name in NOT_TESTED if name != "error"},
        "labels_per_class": dict(zip(data.data.class_names, data.split.per_class, strict=True)),
        "health": measures,
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
        card = model_card(classifier.header, metrics)
        write_atomically(folder / "classifier.md", card.encode(errors="surrogateescape"))
    folder.finish(metrics)
    checkpoints.previous.unlink(missing_ok=True)
    return metrics
