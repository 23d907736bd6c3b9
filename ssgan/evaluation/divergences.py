"""Divergences between N-fold products of finite distributions: what a discriminator that sees minibatches minimizes.

All are in bits. ``p`` and ``q`` are probability vectors over the same outcomes, or single numbers: the parameters of
two Bernoulli distributions. ``n`` is the number of independent draws, p^n and q^n the distributions of the n together.
Such draws are judged by how often each outcome came, so sums run over counts, C(n + K - 1, K - 1) of them, and not over
K^n sequences. Raises `SsganError` for vectors that are no distributions, and where even the counts are too many.

    python -m ssgan.divergences output=FOLDER

draws the figure of F. Huszar, "Understanding minibatch discrimination in GANs".
"""

from collections.abc import Sequence
from itertools import chain, combinations
from math import comb, log

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.errors import SsganError

Distribution = float | Sequence[float] | Tensor

MOST_COUNTS = 20_000_000
"""Numbers in the vectors of counts of a sum, and terms of a sum over pairs of them, beyond which a divergence is refused."""

LOG_2 = log(2)


def kl(p: Distribution, q: Distribution, n: int = 1) -> float:
    """KL[p^n || q^n] = n KL[p || q], infinite where q misses an outcome of p."""
    p, q = _pair(p, q, n)
    possible = p > 0
    return n * max(0.0, float((p * (p.log2() - q.log2()))[possible].sum()))


def reverse_kl(p: Distribution, q: Distribution, n: int = 1) -> float:
    """KL[q^n || p^n]."""
    return kl(q, p, n)


def js(p: Distribution, q: Distribution, n: int = 1) -> float:
    """The Jensen-Shannon divergence of p^n and q^n, at most 1 bit: that of an optimal discriminator of n samples.

    At most n times, and over n never above, that of single samples.
    """
    p, q = _pair(p, q, n)
    return _js(*_log_probabilities(p, q, n))


def preference(p: Distribution, q: Distribution, n: int = 1, divergence: str = "js") -> float:
    """d(p^n x q^n || q^n x p^n): one real and one generated minibatch in random order, which of them is real?

    ``divergence="js"`` is what the logistic loss minimizes, "kl" is KL[p^n || q^n] + KL[q^n || p^n].
    """
    if divergence == "kl":
        return kl(p, q, n) + reverse_kl(p, q, n)
    if divergence != "js":
        raise SsganError(f"divergence={divergence!r}: use 'js' or 'kl'")
    p, q = _pair(p, q, n)
    _require_few(_count(len(p), n) ** 2, len(p), n)
    log_p, log_q = _log_probabilities(p, q, n)
    first = (log_p[:, None] + log_q[None, :]).flatten()
    return _js(first, (log_q[:, None] + log_p[None, :]).flatten())


def _js(log_p: Tensor, log_q: Tensor) -> float:
    """1/2 sum p log2(2p / (p + q)) + 1/2 sum q log2(2q / (p + q)), from logarithms."""
    total = 0.0
    for one, other in ((log_p, log_q), (log_q, log_p)):
        odds = (other - one)[one > -torch.inf]
        weights = one[one > -torch.inf].exp()
        total += float((weights * (LOG_2 - F.softplus(odds, threshold=700))).sum())
    return min(1.0, max(0.0, total / 2 / LOG_2))


def _log_probabilities(p: Tensor, q: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Natural logarithms of the probabilities of every vector of counts of n draws, under p and under q."""
    _require_few(_count(len(p), n) * len(p), len(p), n)
    counts = _counts(len(p), n).double()
    log_factorial = torch.lgamma(torch.arange(n + 1, dtype=torch.float64) + 1)
    log_sequences = log_factorial[n] - log_factorial[counts.long()].sum(1)
    return log_sequences + torch.special.xlogy(counts, p).sum(1), log_sequences + torch.special.xlogy(counts, q).sum(1)


def _counts(outcomes: int, n: int) -> Tensor:
    """Every vector of ``outcomes`` counts that sum to n, (C(n + K - 1, K - 1), K): bars between n stars."""
    terms, each = _count(outcomes, n), outcomes - 1
    every = chain.from_iterable(combinations(range(n + each), each))
    bars = torch.from_numpy(np.fromiter(every, np.int64, terms * each)).view(terms, each)
    ends = torch.cat([torch.full((len(bars), 1), -1), bars, torch.full((len(bars), 1), n + outcomes - 1)], 1)
    return ends.diff(dim=1) - 1


def _count(outcomes: int, n: int) -> int:
    return comb(n + outcomes - 1, outcomes - 1)


def _require_few(terms: int, outcomes: int, n: int) -> None:
    if terms > MOST_COUNTS:
        raise SsganError(f"n={n} draws of {outcomes} outcomes: a sum of {terms:,} numbers; use fewer of either")


def _pair(p: Distribution, q: Distribution, n: int) -> tuple[Tensor, Tensor]:
    if n < 1:
        raise SsganError(f"n={n}: use 1 or more draws")
    both = _distribution("p", p), _distribution("q", q)
    if len(both[0]) != len(both[1]):
        raise SsganError(f"p has {len(both[0])} outcomes and q has {len(both[1])}: give both the same")
    return both


def _distribution(name: str, given: Distribution) -> Tensor:
    vector = torch.as_tensor(given, dtype=torch.float64)
    if vector.ndim == 0:
        vector = torch.stack([1 - vector, vector])
    fine = vector.ndim == 1 and bool((vector >= 0).all()) and abs(float(vector.sum()) - 1) < 1e-9
    if not fine:
        raise SsganError(f"{name}={given}: not a distribution; use probabilities that sum to 1, or one from 0 to 1")
    return vector
