"""Means of the terms of an objective since an epoch began, for logs and for the collapse watch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ssgan.distributed import all_gather, all_reduce_mean, rank


class TermMeans:
    """Sums of every term, without its weight, over ``steps`` steps of this rank."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, terms: Mapping[str, Tensor]) -> None:
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term.detach()

    def to(self, device: torch.device) -> None:
        self.sums = {name: total.to(device) for name, total in self.sums.items()}

    def all_reduced_sums(self) -> dict[str, float]:
        """The sum of every term: the mean over ranks. Collective: call on every rank."""
        totals = all_reduce_mean(torch.stack(list(self.sums.values())).float())
        return dict(zip(self.sums, totals.tolist(), strict=True))

    def all_reduced(self) -> dict[str, float]:
        """The mean of every term over steps and ranks. Collective: call on every rank."""
        return {name: total / self.steps for name, total in self.all_reduced_sums().items()}

    def local(self) -> dict[str, float]:
        """The mean of every term over the steps of this rank."""
        return {name: float(total) / self.steps for name, total in self.sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Of all ranks. Collective: call on every rank."""
        return {"sums": {name: all_gather(total.reshape(1)) for name, total in self.sums.items()}, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums = {name: totals[rank()] for name, totals in state["sums"].items()}
        self.steps = state["steps"]
