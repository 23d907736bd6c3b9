"""Which images of a run carry a label."""

import re

from omegaconf import DictConfig

from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import with_labels_of
from ssgan.data.splits import Split, draw_split
from ssgan.errors import SsganError
from ssgan.training.run_dir import USE_ANOTHER_NAME, RunFolder


def fold_of(config: DictConfig) -> tuple[int, int]:
    """``fold=2/5`` as numbers; raises `SsganError` for anything else."""
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", str(config.fold))
    if not found or int(found[2]) < 2 or int(found[1]) > int(found[2]):
        raise SsganError(f"fold={config.fold}: use 1/5 to 5/5, or another number of parts")
    return int(found[1]), int(found[2])


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
        for part in range(1, config.calibration_folds + 1):
            split.leaving_out(part, config.calibration_folds, targets, classes)  # it can be done
        return split.leaving_out(*fold_of(config), targets, classes) if config.fold else split

    frozen = folder.split(data.digest)
    if frozen is not None and more and frozen != draw():
        raise SsganError(
            f"labels_file={config.labels_file}: the run in {folder.path} began with other labels. {USE_ANOTHER_NAME}"
        )
    return data, frozen or draw()
