"""The three training streams: labeled images, unlabeled ones, and unlabeled ones for the generator's turn."""

from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from ssgan.data.augmentation import Augmentation
from ssgan.data.datasets import ImageData
from ssgan.data.splits import Split
from ssgan.distributed import local_shard, rank, world_size
from ssgan.errors import SsganError
from ssgan.pixels import PixelRange, scale_pixels
from ssgan.seeds import derive_seed

EVALUATION_BATCH = 1000


class Batch(TypedDict):
    """One step's images, (N, C, H, W), uint8 as drawn and in the network's pixel range, and ``dtype``, as trained on."""

    labeled: Tensor
    targets: Tensor
    unlabeled: Tensor
    generator_unlabeled: Tensor
    second_view: NotRequired[Tensor]


class SemiSupervisedData(pl.LightningDataModule):
    """Batches of ``batch_size`` images from each stream, by one index_select and one gather per step.

    ``labeled_batch_size`` gives the labeled stream a size of its own: a few labeled images repeat many times in an
    epoch, and batches of unlabeled ones may grow without them.

    An epoch is one pass over the unlabeled pool, less what does not fill a batch. The pool is every training image
    but the validation images: the labeled ones are in it. ``generator_unlabeled`` is a second, independent
    permutation of the pool (authors' code: trainx_unl2). ``augmentation`` changes every image of every stream; with
    ``second_view``, the images of ``unlabeled`` come a second time, changed in other ways. What is
    drawn depends on (seed, epoch, step) alone. ``dtype`` is that of the pixels in training: that of a mixed precision
    saves a conversion per step.
    """

    def __init__(
        self,
        data: ImageData,
        split: Split,
        batch_size: int,
        pixel_range: PixelRange,
        seed: int,
        dtype: torch.dtype = torch.float32,
        labeled_batch_size: int | None = None,
        augmentation: Augmentation | None = None,
        second_view: bool = False,
    ):
        super().__init__()
        self.dtype = dtype
        self.data, self.split, self.pixel_range, self.seed = data, split, pixel_range, seed
        self.batch_size, self.second_view = batch_size, second_view
        self.augmentation = augmentation or Augmentation(data.image_shape)
        self.labeled_batch_size = batch_size if labeled_batch_size is None else labeled_batch_size
        held_out = torch.zeros(len(data.train_images), dtype=torch.bool)
        held_out[list(split.validation)] = True
        self.pool = (~held_out).nonzero().flatten()
        self.labeled = torch.tensor(split.labeled)
        self.validation = torch.tensor(split.validation, dtype=torch.int64)
        if not 2 <= batch_size <= len(self.pool):
            raise SsganError(
                f"method.batch_size={batch_size}: use 2 to {len(self.pool)}, the size of the unlabeled pool"
            )
        self.steps_per_epoch = len(self.pool) // batch_size

    def train_dataloader(self) -> "TrainingBatches":
        return TrainingBatches(self)

    def val_dataloader(self) -> "EvaluationBatches":
        data = self.data
        own = self.validation[rank() :: world_size()]
        return EvaluationBatches(data.train_images[own], data.train_targets[own])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """On a CPU it is there already."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: "Batch | tuple[Tensor, Tensor]", dataloader_idx: int):  # type: ignore[no-untyped-def]
        if isinstance(batch, dict):
            tensors = cast(dict[str, Tensor], batch)
            return {key: value if key == "targets" else self._scale(value) for key, value in tensors.items()}
        images, targets = batch
        return self._scale(images), targets

    def _scale(self, images: Tensor) -> Tensor:
        return scale_pixels(images, self.pixel_range, self.dtype)

    def initialization_images(self, count: int) -> Tensor:
        """Up to ``count`` images of the pool, in the network's pixel range, for data-dependent initialization."""
        return scale_pixels(self.data.train_images[self.order("initialization", 0)[:count]], self.pixel_range)

    def order(self, stream: str, epoch: int) -> Tensor:
        """The pool, permuted for one stream and epoch."""
        return self.pool[torch.randperm(len(self.pool), generator=self._rng(stream, epoch))]

    def labeled_order(self, epoch: int) -> Tensor:
        """The labeled images, tiled to the length of an epoch; every tile is a permutation of its own."""
        rng = self._rng("labeled", epoch)
        tiles = -(-self.steps_per_epoch * self.labeled_batch_size // len(self.labeled))
        return torch.cat([self.labeled[torch.randperm(len(self.labeled), generator=rng)] for _ in range(tiles)])

    def draws(self, stream: str, order: Tensor, size: int, epoch: int) -> tuple[Tensor, ...]:
        """For this process's part of every batch of an epoch of a stream: which images, and what happens to each.

        (steps, own part of ``size``) each.
        """
        changes = self.augmentation.draw(len(order), self._rng(f"{stream} shifts", epoch))
        steps = self.steps_per_epoch
        return tuple(local_shard(drawn[: steps * size].view(steps, size), 1) for drawn in (order, *changes))

    def _rng(self, stream: str, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, stream, epoch))


class TrainingBatches:
    """The batches of the trainer's current epoch that it has not had yet; iterating again gives the same ones."""

    def __init__(self, source: SemiSupervisedData):
        self.source = source

    def __len__(self) -> int:
        return self.source.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        source, size = self.source, self.source.batch_size
        epoch, done = 0, 0
        if source.trainer:
            epoch, done = source.trainer.current_epoch, source.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        order = source.order("unlabeled", epoch)
        streams = {
            "labeled": source.draws("labeled", source.labeled_order(epoch), source.labeled_batch_size, epoch),
            "unlabeled": source.draws("unlabeled", order, size, epoch),
            "generator_unlabeled": source.draws("generator", source.order("generator", epoch), size, epoch),
        }
        if source.second_view:
            streams["second_view"] = source.draws("second view", order, size, epoch)
        targets = source.data.train_targets[streams["labeled"][0]]
        sizes = [images.shape[1] for images, *_ in streams.values()]
        plan = [torch.cat(drawn, 1) for drawn in zip(*streams.values(), strict=True)]
        for step in range(done, len(self)):
            images, *changes = (drawn[step] for drawn in plan)
            changed = source.augmentation(source.data.train_images.index_select(0, images), tuple(changes))
            batch = dict(zip(streams, changed.split(sizes), strict=True), targets=targets[step])
            yield cast(Batch, batch)


class EvaluationBatches:
    """Pairs of images and targets, in order, each image once: the last batch is smaller, not padded."""

    def __init__(self, images: Tensor, targets: Tensor):
        self.batches = list(zip(images.split(EVALUATION_BATCH), targets.split(EVALUATION_BATCH), strict=True))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)
