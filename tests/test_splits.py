"""A split is a balanced, pure function of (targets, labels, split_seed)."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.data.splits import Split, draw_split
from ssgan.errors import SsganError

TARGETS = np.arange(400) * 7 % 10


@given(st.integers(1, 30), st.integers(0, 10), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_balanced_disjoint_and_pure(per_class: int, held_out: int, seed: int) -> None:
    split = draw_split(TARGETS, 10, per_class * 10, seed, held_out * 10)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert split == draw_split(list(TARGETS), 10, per_class * 10, seed, held_out * 10)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert split.per_class == (per_class,) * 10
    assert np.bincount(TARGETS[list(split.labeled)], minlength=10).tolist() == [per_class] * 10
    assert np.bincount(TARGETS[list(split.validation)], minlength=10).tolist() == [held_out] * 10
    assert not set(split.labeled) & set(split.validation)
    assert list(split.labeled) == sorted(set(split.labeled))


def test_more_labels_contain_fewer() -> None:
    small, large = (set(draw_split(TARGETS, 10, labels, 3).labeled) for labels in (20, 100))
    assert small < large


def test_other_seed_other_images() -> None:
    assert draw_split(TARGETS, 10, 50, 0).labeled != draw_split(TARGETS, 10, 50, 1).labeled


def test_all_labels_leaves_out_validation_and_unknown() -> None:
    targets = np.where(np.arange(400) % 3 == 0, -1, TARGETS)
    split = draw_split(targets, 10, "all", 0, 20)
    assert set(split.labeled) | set(split.validation) == set(np.flatnonzero(targets >= 0))
    assert len(split.validation) == 20


@given(st.integers(1, 100), st.integers(0, 50), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_at_random(labels: int, held_out: int, seed: int) -> None:
    """Kills a subset with unknown images in it, and one that is balanced by stealth."""
    targets = np.where(np.arange(400) % 3 == 0, -1, np.arange(400) % 20 // 19)
    split = draw_split(targets, 2, labels, seed, held_out, balanced=False)
    assert len(set(split.labeled)) == labels
    assert len(set(split.validation)) == held_out
    assert not set(split.labeled) & set(split.validation)
    assert (targets[[*split.labeled, *split.validation]] >= 0).all()
    assert split.per_class == tuple(np.bincount(targets[list(split.labeled)], minlength=2))
    more = draw_split(targets, 2, labels + 20, seed, held_out, balanced=False)
    assert set(split.labeled) < set(more.labeled)
    everything = draw_split(targets, 2, "all", seed, held_out, balanced=False)
    assert len(everything.labeled) == (targets >= 0).sum() - held_out


@pytest.mark.parametrize(
    ("labels", "validation", "message"),
    [
        (0, 0, "labels=0: use 1 to 400, or 'all'"),
        (391, 10, "labels=391: use 1 to 390"),
        ("many", 0, "labels=many: use 1 to 400"),
        (10, 400, "validation=400: use 0 to 399; 400 images have a label"),
        (10, -1, "validation=-1"),
    ],
)
def test_random_counts_that_cannot_be(labels: int | str, validation: int, message: str) -> None:
    with pytest.raises(SsganError, match=message):
        draw_split(TARGETS, 10, labels, 0, validation, balanced=False)


def test_frozen_for_ever() -> None:
    """The published splits must not move with a release of NumPy or of ours."""
    assert draw_split(TARGETS, 10, 10, 0).labeled == (66, 81, 94, 123, 178, 215, 220, 259, 297, 332)


@pytest.mark.parametrize(
    ("labels", "seed", "validation", "message"),
    [
        (0, 0, 0, "labels=0: use a positive multiple"),
        (-10, 0, 0, "labels=-10"),
        (55, 0, 0, "labels=55: not divisible by the 10 classes; use 50 or 60"),
        (5, 0, 0, "use 10"),
        ("many", 0, 0, "labels=many: .*'all'"),
        (410, 0, 0, "at most 400"),
        (400, 0, 10, "at most 390"),
        (50, -1, 0, "split_seed=-1"),
        (50, 2**32, 0, "split_seed="),
        (50, 0, 7, "validation=7: not divisible"),
        ("all", 0, 400, "validation=400"),
    ],
)
def test_mistakes(labels: int | str, seed: int, validation: int, message: str) -> None:
    with pytest.raises(SsganError, match=message):
        draw_split(TARGETS, 10, labels, seed, validation)


def test_json_round_trip_and_damage() -> None:
    split = draw_split(TARGETS, 10, 50, 0, 10)
    content = json.loads(json.dumps(split.to_json()))
    assert Split.from_json(content, "split.json") == split
    earlier = {"labelled" if key == "labeled" else key: value for key, value in content.items()}
    assert Split.from_json(earlier, "split.json") == split
    content["labeled"][0] += 1
    for damaged in (content, {}, None, [], {"labeled": "abc"}):
        with pytest.raises(SsganError, match=r"split\.json is damaged"):
            Split.from_json(damaged, "split.json")
