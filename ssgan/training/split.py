"""Which images of a run carry a label."""

from omegaconf import DictConfig

from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import with_labels_of
from ssgan.data.splits import Split, draw_split
from ssgan.errors import SsganError
from ssgan.training.run_dir import USE_ANOTHER_NAME, RunFolder


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
        return split.with_labels(more, targets, classes) if more else split

    frozen = folder.split(data.digest)
    if frozen is not None and more and frozen != draw():
        raise SsganError(
            f"labels_file={config.labels_file}: the run in {folder.path} began with other labels. {USE_ANOTHER_NAME}"
        )
    return data, frozen or draw()
