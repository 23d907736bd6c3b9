"""Which images of a run carry a label, and which runs without a part of them give its temperature."""

import math
import re
from typing import NamedTuple

from omegaconf import DictConfig

from ssgan.configuration import process_count
from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import with_labels_of
from ssgan.data.registry import load_dataset
from ssgan.data.splits import Split, draw_split
from ssgan.errors import SsganError
from ssgan.training.callbacks.time_limit import parse_duration
from ssgan.training.run_dir import USE_ANOTHER_NAME, RunFolder


def fold_of(config: DictConfig) -> tuple[int, int]:
    """``fold=2/5`` as numbers; raises `SsganError` for anything else."""
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", str(config.fold))
    if not found or int(found[2]) < 2 or int(found[1]) > int(found[2]):
        raise SsganError(f"fold={config.fold}: use 1/5 to 5/5, or another number of parts")
    return int(found[1]), int(found[2])


def check_folds(config: DictConfig) -> None:
    """Raises `SsganError` for numbers of parts and runs that give no temperature."""
    folds, runs = config.calibration_folds, config.calibration_runs
    if folds == 1:
        raise SsganError("calibration_folds=1: use 2 or more, or 0")
    if runs is not None and runs > folds > 0:
        raise SsganError(f"calibration_runs={runs}: calibration_folds={folds} makes as many; use 1 to {folds}, or null")


def fold_configs(config: DictConfig, split: Split) -> list[DictConfig]:
    """The runs of ``config`` with a part of its labels each left out that give its temperature.

    None if validation images do, in a fold itself, and where every class has one label, which it keeps.
    """
    if split.validation or config.fold or max(split.per_class) < 2:
        return []
    folds, length = config.calibration_folds, config.calibration_length
    beside = [config.copy() for _ in range(folds)][: config.calibration_runs]
    for number, one in enumerate(beside, 1):
        one.fold, one.calibration_folds, one.baseline, one.logger = f"{number}/{folds}", 0, False, None
        one.start_from = None  # it may have learned the labels that are left out
        one.method.epochs = max(1, round(length * config.method.epochs))
        one.method.warm_up_epochs = length * config.method.warm_up_epochs
        one.method.ramp_up_epochs = math.ceil(length * config.method.ramp_up_epochs)
        if config.max_time is not None:
            one.max_time = f"{length * parse_duration(config.max_time):.1f}s"
    return beside


class LabeledData(NamedTuple):
    """A data set with the labels of ``labels_file=``, read once: all runs of a command are of the same labels."""

    data: ImageData
    without: ImageData
    """The same without them."""
    more: tuple[int, ...]
    """The images that have one there."""


def load_labeled(config: DictConfig, data: ImageData | None = None) -> LabeledData:
    """The data set that ``config`` names, or ``data``, with the labels that ``labels_file`` adds."""
    without = load_dataset(config.dataset) if data is None else data
    if not config.labels_file:
        return LabeledData(without, without, ())
    data, more = with_labels_of(without, config.labels_file)
    return LabeledData(data, without, more)


def with_split(config: DictConfig, folder: RunFolder, labeled: LabeledData) -> tuple[ImageData, Split]:
    """The images of a run, and its split: the one that an earlier start froze, or a new one."""
    data, without, more = labeled
    targets, classes = data.train_targets.numpy(), len(data.class_names)

    def drawn(images: ImageData) -> Split:
        return draw_split(
            images.train_targets.numpy(),
            classes,
            config.labels,
            config.split_seed,
            config.validation,
            config.balanced,
            data.held_out,
            data.class_names,
        )

    def draw() -> Split:
        try:
            split = drawn(without)  # the same labels and validation images as without the file
        except SsganError:
            if config.labels != "all" or not more:
                raise
            split = drawn(data)  # the file has the first labels of a class
        added = sorted({*more} - {*split.validation}) if config.labels == "all" else more
        split = split.with_labels(added, targets, classes) if added else split
        return split.leaving_out(*fold_of(config), targets, classes, f"fold={config.fold}") if config.fold else split

    frozen = folder.split(data.digest)
    if frozen is not None and more and frozen != draw():
        raise SsganError(
            f"labels_file={config.labels_file}: the run in {folder.path} began with other labels. {USE_ANOTHER_NAME}"
        )
    split = frozen or draw()
    require_enough(split, config)
    for one in fold_configs(config, split):  # raises if it cannot be done
        require_enough(split.leaving_out(*fold_of(one), targets, classes), config)
    return data, split


def require_enough(split: Split, config: DictConfig) -> None:
    """Raise `SsganError` for fewer validation images than processes, which share them."""
    processes = process_count(config)
    if 0 < len(split.validation) < processes:
        raise SsganError(
            f"devices={config.devices}, num_nodes={config.num_nodes}: {processes} processes share the validation images, and there "
            f"are {len(split.validation)}; use fewer processes, or calibration_folds=0 if none were asked for"
        )
