"""Which images of a run carry a label, and which runs without a part of them give its temperature."""

import re

from omegaconf import DictConfig

from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import with_labels_of
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


def folds_beside(config: DictConfig) -> list[DictConfig]:
    """The runs of ``config`` with a part of its labels each left out that give its temperature; none if validation images do.

    Raises `SsganError` where they give none.
    """
    folds, runs, length = config.calibration_folds, config.calibration_runs, config.calibration_length
    if folds == 1:
        raise SsganError("calibration_folds=1: use 2 or more, or 0")
    if runs is not None and runs > folds > 0:
        raise SsganError(f"calibration_runs={runs}: calibration_folds={folds} makes as many; use 1 to {folds}, or null")
    if config.validation or config.fold:
        return []
    beside = [config.copy() for _ in range(folds)][:runs]
    for number, one in enumerate(beside, 1):
        one.fold, one.calibration_folds, one.baseline = f"{number}/{folds}", 0, False
        one.method.epochs = max(1, round(length * config.method.epochs))
        one.method.warm_up_epochs = length * config.method.warm_up_epochs
        one.method.ramp_up_epochs = round(length * config.method.ramp_up_epochs)
        one.max_time = config.max_time and f"{length * parse_duration(config.max_time):.1f}s"
    return beside


def can_be_divided(split: Split) -> bool:
    """Whether there are no validation images, and labeled ones that can be left out: a class with one label keeps it."""
    return not split.validation and max(split.per_class) > 1


def with_split(config: DictConfig, folder: RunFolder, data: ImageData) -> tuple[ImageData, Split]:
    """``data`` with the labels that ``labels_file`` adds, and the run's split: the one that an earlier start froze, or a new one."""
    drawn_from, more = data, tuple[int, ...]()
    if config.labels_file:
        data, more = with_labels_of(data, config.labels_file)
        drawn_from = data if config.labels == "all" else drawn_from  # a number of labels draws the same ones as without
    targets, classes = data.train_targets.numpy(), len(data.class_names)

    def draw() -> Split:
        split = draw_split(
            drawn_from.train_targets.numpy(),
            classes,
            config.labels,
            config.split_seed,
            config.validation,
            config.balanced,
            data.held_out,
            data.class_names,
        )
        split = split.with_labels(more, targets, classes) if more else split
        for one in folds_beside(config) if can_be_divided(split) else ():
            split.leaving_out(*fold_of(one), targets, classes)  # raises if it cannot be done
        return split.leaving_out(*fold_of(config), targets, classes) if config.fold else split

    frozen = folder.split(data.digest)
    if frozen is not None and more and frozen != draw():
        raise SsganError(
            f"labels_file={config.labels_file}: the run in {folder.path} began with other labels. {USE_ANOTHER_NAME}"
        )
    return data, frozen or draw()
