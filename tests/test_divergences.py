"""The divergences are those of the definition, and obey the laws of the study of minibatch discrimination."""

import csv
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.errors import SsganError
from ssgan.evaluation.divergences import js, kl, preference, reverse_kl

Vector = list[float]


def normal(weights: list[int]) -> Vector:
    return [weight / sum(weights) for weight in weights]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Vector, Vector]:
    """Two distributions over the same 2 to 4 outcomes; some outcomes may be impossible under either."""
    outcomes = draw(st.integers(2, 4))
    weights = st.lists(st.integers(0, 20), min_size=outcomes, max_size=outcomes).filter(any)
    return normal(draw(weights)), normal(draw(weights))


def product(p: Vector, n: int) -> Vector:
    return [math.prod(sequence) for sequence in itertools.product(p, repeat=n)]


def js_by_definition(p: Vector, q: Vector) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return sum(a / 2 * math.log2(a / m) for one in (p, q) for a, m in zip(one, middle, strict=True) if a)


@settings(max_examples=60, deadline=None)
@given(pairs(), st.integers(1, 4))
def test_counts_give_what_all_sequences_give(pair: tuple[Vector, Vector], n: int) -> None:
    """Kills a forgotten multinomial coefficient."""
    p, q = pair
    assert js(p, q, n) == pytest.approx(js_by_definition(product(p, n), product(q, n)), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(pairs(), st.integers(1, 2))
def test_preference_is_js_of_the_two_orders(pair: tuple[Vector, Vector], n: int) -> None:
    p, q = product(pair[0], n), product(pair[1], n)
    orders = [[a * b for a in one for b in other] for one, other in ((p, q), (q, p))]
    assert preference(*pair, n) == pytest.approx(js_by_definition(*orders), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(pairs(), st.integers(1, 20))
def test_laws(pair: tuple[Vector, Vector], n: int) -> None:
    p, q = pair
    single, many, more = js(p, q), js(p, q, n), js(p, q, n + 1)
    assert 0 <= many <= min(1.0, n * single + 1e-12)
    assert more / (n + 1) <= many / n + 1e-12
    assert js(q, p, n) == pytest.approx(many, abs=1e-12)
    one = kl(p, q)
    assert kl(p, q, n) == (math.inf if math.isinf(one) else pytest.approx(n * one))
    assert reverse_kl(p, q, n) == kl(q, p, n)
    assert preference(p, q, n, "kl") == kl(p, q, n) + kl(q, p, n)


@settings(max_examples=30, deadline=None)
@given(pairs(), st.integers(1, 8))
def test_all_are_exactly_zero_at_p_equal_q(pair: tuple[Vector, Vector], n: int) -> None:
    p = pair[0]
    assert [kl(p, p, n), reverse_kl(p, p, n), js(p, p, n), preference(p, p, 1), preference(p, p, 1, "kl")] == [0] * 5


def test_values() -> None:
    assert kl(0.5, 0.25) == pytest.approx(0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25))
    assert kl([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert js(0.0, 1.0) == js(0.0, 1.0, 7) == preference(0.0, 1.0) == 1.0
    ratios = [js(0.2, 0.05, n) / js(0.2, 0.8, n) for n in (1, 2, 3, 8)]
    assert ratios == pytest.approx([0.14, 0.17, 0.19, 0.30], abs=0.005)


def test_two_hundred_draws_take_less_than_a_second() -> None:
    started = time.process_time()
    assert 0.99 < js(0.2, 0.5, 200) <= 1
    assert 0 < preference(0.2, 0.21, 200) < 1
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("p", "q", "n", "message"),
    [
        ([0.5, 0.6], [0.5, 0.5], 1, r"p=\[0.5, 0.6\]: not a distribution"),
        ([0.5, 0.5], [1.5, -0.5], 1, "q=.*not a distribution"),
        ([0.5, math.nan], [0.5, 0.5], 1, "not a distribution"),
        (0.5, 1.5, 1, "q=1.5: not a distribution"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], 1, "p has 2 outcomes and q has 3"),
        (0.5, 0.4, 0, "n=0: use 1 or more"),
        ([0.1] * 10, [0.2] + [0.8 / 9] * 9, 100, "n=100 draws of 10 outcomes"),
    ],
)
def test_what_is_no_distribution(p: Vector, q: Vector, n: int, message: str) -> None:
    with pytest.raises(SsganError, match=message):
        js(p, q, n)


def test_command(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = ssgan("divergences", f"output={tmp_path}", "points=9")
    assert outcome.code == 0, outcome.err
    assert [line.split()[-1] for line in outcome.out.splitlines()[2:6]] == ["0.14", "0.17", "0.19", "0.30"]
    with (tmp_path / "divergences.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    row = rows[4]
    assert float(row["q"]) == pytest.approx(0.5)
    assert float(row["js_8"]) == pytest.approx(js(0.2, 0.5, 8))
    assert float(row["preference"]) == pytest.approx(preference(0.2, 0.5))
    assert (tmp_path / "divergences.png").read_bytes().startswith(b"\x89PNG")
    for mistake in ("p=1.0", "draws=[]", "draws=[0]", "points=1"):
        outcome = ssgan("divergences", f"output={tmp_path}", mistake)
        assert outcome.code == 1
        assert mistake.split("=")[0] in outcome.err
