"""Training batches of the views that a method declares, and validation batches."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ssgan.data.augmentation import Augmentation
from ssgan.data.datasets import Array, from_arrays
from ssgan.data.image_data import ImageData
from ssgan.data.splits import Split, draw_split
from ssgan.data.views import LABELED, UNLABELED, Source, Views
from ssgan.distributed import local_shard, rank, world_size
from ssgan.errors import SsganError
from ssgan.pixels import PixelRange, in_parts, scale_pixels
from ssgan.seeds import derive_seed

Batch = dict[str, Tensor]
"""One step's images by the name of their view, (N, C, H, W), and ``targets``, (N,), of those of ``labeled``."""


class SemiSupervisedData(pl.LightningDataModule):
    """Batches of every view of a method, by one index_select and one gather per step and strength of augmentation.

    data: all images
    split: which training images are labeled, and which are for validation
    batch_size: unlabeled images per step, over all ranks; None: what the method's configuration says
    labeled_batch_size: labeled images per step; a few labeled images repeat many times in an epoch
    weak, strong: augmentation of views by their strength; without ``weak`` weak views are the images as they are, and a
        method with strong views needs ``strong``
    seed: what is drawn depends on (seed, epoch, step) alone
    balance: a labeled image of a class with n labels is drawn in proportion to n^-balance: 0: each image as often, 1: each
        class as often

    An epoch is one pass over the unlabeled pool, the last partial batch dropped, or several passes over a small one
    (`set_batch_sizes`). The pool is every training image but
    the validation images: the labeled ones are in it. A method gives its views, pixel range and type of pixels by
    `serve` when training starts. Raises `SsganError` for a batch that the pool does not fill.
    """

    def __init__(
        self,
        data: ImageData,
        split: Split,
        batch_size: int | None = None,
        labeled_batch_size: int | None = None,
        weak: Augmentation | None = None,
        strong: Augmentation | None = None,
        seed: int = 0,
        balance: float = 0.0,
    ):
        super().__init__()
        self.data, self.split, self.seed, self.balance = data, split, seed, balance
        self.augmentations = {"weak": weak or Augmentation(data.image_shape)} | ({"strong": strong} if strong else {})
        held_out = torch.zeros(len(data.train_images), dtype=torch.bool)
        held_out[list(split.validation)] = True
        self.pool = (~held_out).nonzero().flatten()
        self.labeled = torch.tensor(split.labeled)
        self.validation = torch.tensor(split.validation, dtype=torch.int64)
        self.batch_sizes: dict[Source, int] = {}
        self.views: Views = {"labeled": LABELED, "unlabeled": UNLABELED}
        self.pixel_range: PixelRange = (0.0, 1.0)
        self.dtype = torch.float32
        self.steps_per_epoch, self.passes = 0, 1
        if batch_size is not None:
            self.set_batch_sizes(batch_size, labeled_batch_size)

    @classmethod
    def from_arrays(
        cls, *arrays: Array, labels: int | str = "all", validation: int = 0, **settings: Any
    ) -> "SemiSupervisedData":
        """Of (images, targets) or (images, targets, test_images, test_targets), as `from_arrays` takes them; ``labels`` of the
        labeled images keep their label, and ``validation`` are held out (`draw_split` with split_seed 0).
        """
        data = from_arrays(*arrays)
        split = draw_split(
            data.train_targets.numpy(), len(data.class_names), labels, 0, validation, held_out=data.held_out
        )
        return cls(data, split, **settings)

    def set_batch_sizes(self, batch_size: int, labeled_batch_size: int | None, least_steps: int = 0) -> None:
        """Unlabeled and labeled images of a step; an epoch is one pass over the pool, or as many as ``least_steps`` need."""
        if not 2 <= batch_size <= len(self.pool):
            raise SsganError(
                f"method.batch_size={batch_size}: use 2 to {len(self.pool)}, the size of the unlabeled pool"
            )
        self.batch_sizes = {"unlabeled": batch_size, "labeled": labeled_batch_size or batch_size}
        self.steps_per_epoch = max(len(self.pool) // batch_size, least_steps)
        self.passes = -(-self.steps_per_epoch * batch_size // len(self.pool))

    def serve(self, views: Views, pixel_range: PixelRange, dtype: torch.dtype) -> None:
        """Draw ``views`` from now on, in the network's ``pixel_range`` and, in training, in ``dtype``.

        The dtype of a mixed precision saves a conversion per step. Raises `SsganError` for a view whose augmentation is
        not there.
        """
        missing = [name for name, view in views.items() if view.strength not in self.augmentations]
        if missing:
            raise SsganError(f"strong=None: {', '.join(missing)} is augmented strongly; use strong=Augmentation(...)")
        self.views, self.pixel_range = views, pixel_range
        # Vectors are standardized before anything is rounded.
        self.dtype = torch.float32 if self.data.of_vectors else dtype

    def train_dataloader(self) -> "TrainingBatches":
        return TrainingBatches(self)

    def val_dataloader(self) -> "EvaluationBatches":
        data = self.data
        own = self.validation[rank() :: world_size()]
        return EvaluationBatches(data.train_images[own], data.train_targets[own])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """A no-op on the CPU, where the batch already is."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Batch | tuple[Tensor, Tensor], dataloader_idx: int):  # type: ignore[no-untyped-def]
        if isinstance(batch, dict):
            return {
                name: value if name == "targets" else scale_pixels(value, self.pixel_range, self.dtype)
                for name, value in batch.items()
            }
        images, targets = batch
        return scale_pixels(images, self.pixel_range), targets

    def initialization_images(self, count: int) -> Tensor:
        """Up to ``count`` images of the pool, in the network's pixel range, for data-dependent initialization."""
        return scale_pixels(
            self.data.train_images[self.order("initialization", 0)[: min(count, len(self.pool))]], self.pixel_range
        )

    def order(self, stream: str, epoch: int) -> Tensor:
        """The pool, permuted for one stream and epoch, anew for each pass."""
        rng = self._rng(stream, epoch)
        return torch.cat([self.pool[torch.randperm(len(self.pool), generator=rng)] for _ in range(self.passes)])

    def labeled_order(self, epoch: int) -> Tensor:
        """The labeled images, tiled to the length of an epoch; every tile is a permutation of its own, or, with ``balance``, drawn
        with replacement.
        """
        rng = self._rng("labeled", epoch)
        tiles = -(-self.steps_per_epoch * self.batch_sizes["labeled"] // len(self.labeled))
        if self.balance:
            targets = self.data.train_targets[self.labeled]
            weights = targets.bincount().double().pow(-self.balance)[targets]
            return self.labeled[torch.multinomial(weights, tiles * len(self.labeled), replacement=True, generator=rng)]
        return torch.cat([self.labeled[torch.randperm(len(self.labeled), generator=rng)] for _ in range(tiles)])

    def draws(self, name: str, epoch: int) -> tuple[Tensor, ...]:
        """This rank's image indices and augmentation parameters of a view for one epoch, (steps, local batch) each."""
        view = self.views[name]
        stream = view.same_as or name
        order = self.labeled_order(epoch) if view.source == "labeled" else self.order(stream, epoch)
        params = self.augmentations[view.strength].draw(len(order), self._rng(f"{name} augmentation", epoch))
        steps, size = self.steps_per_epoch, self.batch_sizes[view.source]
        return tuple(local_shard(drawn[: steps * size].view(steps, size), 1) for drawn in (order, *params))

    def _rng(self, stream: str, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, stream, epoch))


class TrainingBatches:
    """The batches that remain of the trainer's current epoch; iterating again gives the same ones."""

    def __init__(self, source: SemiSupervisedData):
        self.source = source

    def __len__(self) -> int:
        return self.source.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        source = self.source
        epoch, done = 0, 0
        if source.trainer:
            epoch, done = source.trainer.current_epoch, source.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        draws = {name: source.draws(name, epoch) for name in source.views}
        plans = {}  # by strength: the names of views, their sizes, and what is drawn for all of them side by side
        for strength in ("weak", "strong"):
            drawn = {name: draws[name] for name, view in source.views.items() if view.strength == strength}
            if drawn:
                sizes = {name: indices.shape[1] for name, (indices, *_) in drawn.items()}
                plans[strength] = sizes, [torch.cat(parts, 1) for parts in zip(*drawn.values(), strict=True)]
        targets = source.data.train_targets[draws["labeled"][0]] if "labeled" in draws else None
        for step in range(done, len(self)):
            batch: Batch = {}
            for strength, (sizes, plan) in plans.items():
                batch |= self._augmented(strength, sizes, [drawn[step] for drawn in plan])
            if targets is not None:
                batch["targets"] = targets[step]
            yield batch

    def _augmented(self, strength: str, sizes: Mapping[str, int], drawn: list[Tensor]) -> Batch:
        indices, *params = drawn
        images = self.source.data.train_images.index_select(0, indices)
        augmented = self.source.augmentations[strength](images, tuple(params))
        return dict(zip(sizes, augmented.split(list(sizes.values())), strict=True))


class EvaluationBatches:
    """Pairs of images and targets, in order, each image once: the last batch is smaller, not padded."""

    def __init__(self, images: Tensor, targets: Tensor):
        parts = in_parts(images) if len(images) else ()
        self.batches = list(zip(parts, targets.split([len(part) for part in parts]), strict=True))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)
