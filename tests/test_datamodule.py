"""The three streams keep their contract."""

import pytest
import torch

from ssgan.data.augmentation import Augmentation
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.image_data import ImageData
from ssgan.data.splits import draw_split
from ssgan.data.views import LABELED, SECOND_VIEW, STRONG, UNLABELED
from ssgan.errors import SsganError


def index_data(count: int = 200) -> ImageData:
    """Images whose only pixel is their own position."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    targets = torch.arange(count) % 10
    return ImageData("positions", tuple("0123456789"), images, targets, images, targets)


def module(
    seed: int = 0, batch_size: int = 30, validation: int = 20, labels: int | str = 20, labeled: int | None = None
) -> SemiSupervisedData:
    data = index_data()
    split = draw_split(data.train_targets.numpy(), 10, labels, 0, validation)
    source = SemiSupervisedData(data, split, batch_size, labeled, strong=Augmentation(data.image_shape), seed=seed)
    return serving(source, "labeled", "unlabeled", "generator_unlabeled")


VIEWS = {
    "labeled": LABELED,
    "unlabeled": UNLABELED,
    "generator_unlabeled": UNLABELED,
    "second_view": SECOND_VIEW,
    "strong": STRONG,
}


def serving(source: SemiSupervisedData, *names: str) -> SemiSupervisedData:
    source.serve({name: VIEWS[name] for name in names}, (0.0, 1.0), torch.float32)
    return source


def epoch_of(source: SemiSupervisedData) -> dict[str, list[int]]:
    batches = list(source.train_dataloader())
    assert len(batches) == len(source.train_dataloader()) == 180 // 30
    return {key: torch.cat([batch[key].flatten() for batch in batches]).tolist() for key in batches[0]}


def test_streams() -> None:
    """Kills an unlabeled stream in a fixed order, one shared by both players, and labels that do not fit their images."""
    source = module()
    streams = epoch_of(source)
    pool = set(range(200)) - set(source.split.validation)
    assert set(source.split.labeled) < pool
    for stream in ("unlabeled", "generator_unlabeled"):
        assert set(streams[stream]) == pool
        assert len(streams[stream]) == len(pool)
        assert streams[stream] != sorted(pool)
    assert streams["unlabeled"] != streams["generator_unlabeled"]
    assert streams["targets"] == [image % 10 for image in streams["labeled"]]
    counts = torch.bincount(torch.tensor(streams["labeled"]))
    assert set(counts.nonzero().flatten().tolist()) == set(source.split.labeled)
    assert counts[list(source.split.labeled)].tolist() == [180 // 20] * 20


@pytest.mark.parametrize("other", ["second_view", "strong"])
def test_another_view_is_of_the_same_images(other: str) -> None:
    """Catches a second view of other images, and one augmented in the same way."""
    images = torch.arange(200 * 64).view(200, 1, 8, 8).to(torch.uint8)
    targets = torch.arange(200) % 10
    data = ImageData("ramps", tuple("0123456789"), images, targets, images, targets)
    split = draw_split(targets.numpy(), 10, 20, 0, 20)
    for shift in (0, 2):
        augmentation = Augmentation(data.image_shape, shift=shift)
        source = serving(
            SemiSupervisedData(data, split, 30, weak=augmentation, strong=augmentation), "unlabeled", other
        )
        equal = [(b["unlabeled"] == b[other]).flatten(1).all(1) for b in source.train_dataloader()]
        same = torch.cat(equal).float().mean()
        assert same == 1 if shift == 0 else same < 0.2


def test_only_declared_views_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches images that are drawn and augmented for nobody."""
    augmented: list[int] = []
    call = Augmentation.__call__
    monkeypatch.setattr(
        Augmentation,
        "__call__",
        lambda self, images, params: augmented.append(len(images)) or call(self, images, params),
    )
    batches = list(serving(module(), "labeled").train_dataloader())
    assert set(batches[0]) == {"labeled", "targets"}
    assert augmented == [30] * 6
    assert set(next(iter(serving(module(), "unlabeled", "strong").train_dataloader()))) == {"unlabeled", "strong"}


def test_strong_views_have_an_augmentation_of_their_own() -> None:
    data = index_data()
    split = draw_split(data.train_targets.numpy(), 10, 20, 0, 20)
    erasing = Augmentation(data.image_shape, cutout=1)
    source = serving(SemiSupervisedData(data, split, 30, strong=erasing), "unlabeled", "strong")
    batch = next(iter(source.train_dataloader()))
    assert batch["unlabeled"].unique().numel() == 30
    assert batch["strong"].unique().tolist() == [128]


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    assert epoch_of(module()) == epoch_of(module())
    assert epoch_of(module(seed=1)) != epoch_of(module())
    source = module()
    assert source.order("unlabeled", 0).tolist() != source.order("unlabeled", 1).tolist()
    assert source.labeled_order(0).tolist() != source.labeled_order(1).tolist()


def test_labeled_batches_may_have_a_size_of_their_own() -> None:
    """Kills unlabeled images that are dropped, or labels that run out, when the two sizes differ."""
    for size in (4, 70):
        batches = list(module(labeled=size).train_dataloader())
        assert [len(batch["labeled"]) for batch in batches] == [size] * 6
        assert [len(batch["targets"]) for batch in batches] == [size] * 6
        assert [len(batch["unlabeled"]) for batch in batches] == [30] * 6


def test_more_labels_than_an_epoch_holds() -> None:
    assert len(epoch_of(module(labels="all"))["labeled"]) == 180


def test_validation_batches_are_not_padded() -> None:
    source = module()
    images = torch.cat([images for images, _ in source.val_dataloader()])
    assert sorted(images.flatten().tolist()) == list(source.split.validation)


def test_pixels_are_scaled_once_and_targets_never() -> None:
    source = module()
    batch = next(iter(source.train_dataloader()))
    scaled = source.on_after_batch_transfer(batch, 0)
    assert scaled["unlabeled"].dtype == torch.float32
    torch.testing.assert_close(scaled["unlabeled"] * 255, batch["unlabeled"].float())
    assert torch.equal(scaled["targets"], batch["targets"])


@pytest.mark.parametrize("size", [0, 1, 181])
def test_batch_size_that_cannot_be(size: int) -> None:
    with pytest.raises(SsganError, match=f"method.batch_size={size}: use 2 to 180"):
        module(batch_size=size)


def test_balance_draws_rare_classes_as_often() -> None:
    targets = torch.tensor([0] * 90 + [1] * 10)
    images = torch.zeros(100, 1, 2, 2, dtype=torch.uint8)
    data = ImageData("rare", ("a", "b"), images, targets, images, targets)
    split = draw_split(targets.numpy(), 2, "all", 0)
    for balance, share in ((0.0, 0.1), (0.5, 0.25), (1.0, 0.5)):
        module = SemiSupervisedData(data, split, 2, 200, balance=balance)
        drawn = targets[module.labeled_order(0)]
        assert drawn.float().mean().item() == pytest.approx(share, abs=0.02)
        assert torch.equal(module.labeled_order(3), module.labeled_order(3))


def test_a_small_pool_is_passed_over_several_times() -> None:
    """Each pass is a permutation of its own, and a longer pool draws what it drew without ``least_steps``."""
    targets = torch.arange(20) % 2
    images = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    data = ImageData("small", ("a", "b"), images, targets, images, targets)
    split = draw_split(targets.numpy(), 2, 4, 0)
    plain, again = (SemiSupervisedData(data, split) for _ in range(2))
    plain.set_batch_sizes(5, 2, least_steps=3)
    again.set_batch_sizes(5, 2, least_steps=11)
    assert (plain.steps_per_epoch, plain.passes) == (4, 1)
    assert (again.steps_per_epoch, again.passes) == (11, 3)
    order = again.order("unlabeled", 0)
    assert torch.equal(order[:20], plain.order("unlabeled", 0))
    for start in (0, 20, 40):
        assert sorted(order[start : start + 20].tolist()) == list(range(20))
    assert again.draws("unlabeled", 0)[0].shape == (11, 5)
    assert len(again.initialization_images(500)) == 20


def test_validation_images_have_the_networks_range() -> None:
    """In float32, whatever training takes: they are judged as the exported classifier judges."""
    source = module()
    source.serve({"unlabeled": UNLABELED}, (-1.0, 1.0), torch.bfloat16)
    raw, targets = next(iter(source.val_dataloader()))
    images, _ = source.on_after_batch_transfer((raw, targets), 0)
    torch.testing.assert_close(images, raw / 127.5 - 1)
