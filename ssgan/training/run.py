"""A whole run: configuration, data, split, and its processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ssgan import methods
from ssgan.configuration import baseline_config, check_budget, process_count, run_path
from ssgan.data.image_data import ImageData
from ssgan.data.inspection import print_summary
from ssgan.data.splits import Split
from ssgan.errors import SsganError, warn
from ssgan.precision import emulated, resolve_precision
from ssgan.training.build import build, fit_to_pool
from ssgan.training.callbacks.time_limit import parse_duration
from ssgan.training.check import check
from ssgan.training.cross_validation import calibrate
from ssgan.training.dry_run import count_images, dry_run
from ssgan.training.launch import launch, launched_world_size, limit_threads, resolve_batch_sizes
from ssgan.training.run_dir import RunFolder
from ssgan.training.run_method import run_method
from ssgan.training.split import LabeledData, check_folds, fold_configs, load_labeled, with_split
from ssgan.training.trainer import make_trainer

COLLAPSED = 3


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
    collapsed: bool = False


def run_with_baseline(
    config: DictConfig, choices: Mapping[str, str], path: str | Path, data: ImageData | None = None, logger: Any = None
) -> list[Result]:
    """`run`, and with ``baseline=true`` the supervised run of the same split after it, in a folder of its own.

    ``choices`` are the files of conf/ that ``config`` is made of, ``path`` the first run's folder, ``data`` the images if they
    are not those that ``config.dataset`` names, and ``logger`` one of Lightning's, for the first run.
    """
    uses_labels = methods.find(config.method.name).uses_labels
    if config.baseline and not uses_labels:
        warn(f"baseline=true: method={config.method.name} learns no labels, and has no supervised baseline")
    wanted = config.baseline and config.method.name != "supervised" and uses_labels
    with RunFolder.made(path, config.runs_dir) as folder:
        check_budget(config, choices)
        beside = baseline_config(config, choices) if wanted else None
        load = cache(lambda: load_labeled(config, data))
        if beside is not None or config.calibration_folds:
            split = rehearse(config, folder, load)  # its own mistakes come first
            if beside is not None:
                rehearse(beside, RunFolder(run_path(beside)), load, "baseline=true: ")
            for fold, place in folds_of(config, folder, split)[:1]:
                rehearse(fold, place, load, "calibration_folds: ")
        results = [run(config, folder, load, logger)]
    if beside is not None and not results[0].launched:
        with RunFolder.made(run_path(beside), beside.runs_dir) as folder:
            results.append(run(beside, folder, load, describes=False))
    launched = any(result.launched for result in results)  # and the folds with it
    if config.calibration_folds and not launched and not config.dry_run:
        run_folds(config, results[0], load)
    return results


def run_folds(config: DictConfig, result: Result, load: Callable[[], LabeledData]) -> None:
    """Run the folds of a run in folders inside its own, and give its classifier and ``result`` the temperature they find."""
    if result.collapsed:
        warn("calibration_folds: not trained, since the run collapsed")
        return
    images, split = with_split(config, result.folder, load())
    folds = folds_of(config, result.folder, split)
    if not folds:
        if split.validation:
            print(
                f"calibration_folds={config.calibration_folds}: not needed, the validation images give the temperature"
            )
        elif not config.fold:
            warn(
                f"calibration_folds={config.calibration_folds}: each class has one label, and none is left out; no temperature"
            )
        return
    for of_fold, place in folds:
        with RunFolder.made(place.path, config.runs_dir) as folder:
            one = run(of_fold, folder, load, describes=False)
        if one.launched:  # all that is left of the command, in processes that did it
            result.code = max(result.code, one.code)
            result.metrics = result.folder.finished()
            return
    if result.metrics is None:
        return
    healthy = [place for _, place in folds if (place.finished() or {}).get("status") != "collapsed"]
    if len(healthy) < len(folds):
        warn(
            f"calibration_folds: {len(folds) - len(healthy)} of {len(folds)} trainings collapsed, which say nothing of the temperature"
        )
    if healthy and not is_calibrated(result, healthy):
        result.metrics = calibrate(result.folder, healthy, images)


def is_calibrated(result: Result, folds: Sequence[RunFolder]) -> bool:
    """Whether a finished run has its temperature from these folds: as many, that ended before it was written."""
    known = ((result.metrics or {}).get("calibration") or {}).get("folds")
    ended = max((fold / "metrics.json").stat().st_mtime_ns for fold in folds)
    return known == len(folds) and ended <= (result.folder / "metrics.json").stat().st_mtime_ns


def folds_of(config: DictConfig, folder: RunFolder, split: Split) -> list[tuple[DictConfig, RunFolder]]:
    """The runs that give the temperature of the run in ``folder``, and their folders inside of it."""
    return [(one, RunFolder(folder / f"fold{one.fold.replace('/', 'of')}")) for one in fold_configs(config, split)]


def rehearse(config: DictConfig, folder: RunFolder, load: Callable[[], LabeledData], what: str = "") -> Split:
    """The split of a run that is to come: its mistakes, which begin with ``what``, are told before hours of training."""
    resolved = config.copy()
    try:
        prepare(resolved, folder.previous_config())
        data, split = with_split(resolved, folder, load())
        fit_to_pool(resolved, data, split)
        build(resolved, data, split, folder.has_begun)
        if what:  # of the first one the first process says it, or the others would not be there when it waits for them
            folder.require_same(resolved)
    except SsganError as error:
        raise SsganError(f"{what}{error}") from error
    return split


def prepare(config: DictConfig, previous_config: Mapping[str, Any]) -> list[str]:
    """Write out what ``config`` leaves to the machine, in place, and check it; returns what is to be told of it."""
    resolve_precision(config, previous_config)
    told = resolve_batch_sizes(config)
    check(config)
    check_folds(config)
    for name in ("ramp_up_epochs", "warm_up_epochs"):
        if config.method[name] > config.method.epochs:
            told.append(
                f"method.{name}={config.method[name]:g}: training ends after {config.method.epochs} epochs, before it has risen; use fewer"
            )
    terms: Any = OmegaConf.to_object(config.method.terms)
    for name in terms.idle():
        term = name.partition(".")[0]
        told.append(f"method.terms.{name}: does nothing without a weight; give it one (method.terms.{term}.weight=1)")
    return told


def run(
    config: DictConfig, folder: RunFolder, load: Callable[[], LabeledData], logger: Any = None, describes: bool = True
) -> Result:
    """Run or resume the run of ``config`` in ``folder``, or read its result if it is finished.

    ``load`` returns the images, once ``config`` is known to be right, ``logger`` is one of Lightning's, and what the data are is
    said if it ``describes`` them. Of several processes, the first one writes and prints; the others train with it.
    """
    told = prepare(config, folder.previous_config())
    limit_threads()
    data, split = with_split(config, folder, load())
    told += fit_to_pool(config, data, split)
    # Everything that can refuse the configuration has been built before anything is written.
    limit = None if config.max_time is None else parse_duration(config.max_time)
    method = build(config, data, split, folder.has_begun)
    images = "for the temperature: " * bool(config.fold) + count_images(method[1])
    if after := fold_configs(config, split):
        images += f"\nafter it, for the temperature: {len(after)} x {after[0].method.epochs} epochs (calibration_folds=0: none)"
    processes = process_count(config)
    to_launch = processes if launched_world_size() < processes else 0
    if config.dry_run:
        if to_launch:
            return Result(folder, launch(to_launch), launched=True)
        folder.require_same(config)
        print_summary(data)
        dry_run(config, method, limit, images)
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
                for line in told:
                    warn(line)
                if describes:
                    print_summary(data)
                print(images, flush=True)
                if emulated(config):
                    warn(
                        f"method.precision={config.method.precision}: this machine has no instructions for bfloat16; "
                        f"a new run with method.precision=auto is many times as fast"
                    )
            metrics = run_method(config, method, folder, logger, limit)
    finally:
        folder.unlock()
    collapsed = metrics["status"] == "collapsed"
    if not is_rank_zero:
        return Result(
            folder, 0, collapsed=collapsed
        )  # another code would end the first one, which still tests and writes
    return Result(folder, COLLAPSED if collapsed else 0, metrics, collapsed=collapsed)
