"""Optimizers beside those of torch, and the choices of ``optimizer=``."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the quintic x -> a x + b x^3 + c x^5 that takes every singular value in (0, 1] close to 1 (Jordan 2024, "Muon")."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "adam": {"_target_": "torch.optim.Adam", "lr": 0.001},
    "adamw": {"_target_": "torch.optim.AdamW", "lr": 0.002},
    "sgd": {"_target_": "torch.optim.SGD", "lr": 0.2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.001},
    "muon": {"_target_": "ssgan.methods.optimizers.Muon", "lr": 0.02, "momentum": 0.9, "other_lr": 0.1},
}
OF_NONE: dict[str, Any] = dict.fromkeys(
    name for arguments in (*ARGUMENTS.values(), {"betas": None, "eps": None, "fused": None}) for name in arguments
)
OPTIMIZERS: dict[str, dict[str, Any]] = {name: OF_NONE | arguments for name, arguments in ARGUMENTS.items()}
"""Settings of ``method.classifier_optimizer`` by the name of a choice of ``optimizer=``; start values.

A choice replaces the optimizer of a preset, whose other arguments it sets to null: they may be unknown to it."""


def make_optimizer(settings: dict[str, Any], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer of ``_target_`` with its other arguments, those that are null left at its own defaults."""
    given = {name: value for name, value in settings.items() if value is not None}
    optimizer: Optimizer = instantiate(given, params=list(parameters), _convert_="all")
    return optimizer


class Muon(Optimizer):
    """Momentum made orthogonal for hidden weights, SGD with Nesterov momentum for all others (Jordan 2024, "Muon").

    params: of a network, in their order; the last with two or more dimensions is the output layer's, and a table of
        gains says so itself (``is_gain``)
    lr, momentum, weight_decay: of the hidden weights; kernels (O, I, h, w) are matrices (O, I h w)
    other_lr: of biases, gains and the output layer, with the same momentum and without decay
    steps: of the iteration that makes a matrix orthogonal

    `torch.optim.Muon` takes matrices only, and multiplies in bfloat16, which takes a processor without instructions for
    it 20 times as long.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        other_lr: float = 0.1,
        steps: int = 5,
    ):
        every = list(params)
        hidden = [p for p in every if p.ndim > 1 and not getattr(p, "is_gain", False)][:-1]
        others = [p for p in every if all(p is not q for q in hidden)]
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay), ("other_lr", other_lr)):
            if not value >= 0:
                raise ValueError(f"{name}={value}: use 0 or more")
        groups = [
            {"params": hidden, "lr": lr, "weight_decay": weight_decay, "orthogonal": True},
            {"params": others, "lr": other_lr, "weight_decay": 0.0, "orthogonal": False},
        ]
        super().__init__([group for group in groups if group["params"]], {"momentum": momentum, "steps": steps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
                memory = self.state[p]["momentum_buffer"]
                memory.mul_(group["momentum"]).add_(p.grad)
                change = p.grad.add(memory, alpha=group["momentum"])
                if group["orthogonal"]:
                    matrix = change.flatten(1)
                    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                    with torch.autocast(p.device.type, enabled=False):
                        change = orthogonal(matrix, group["steps"]).mul_(scale).view(p.shape)
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(change, alpha=group["lr"])
        return loss


def orthogonal(matrix: Tensor, steps: int) -> Tensor:
    """About U V' of the singular value decomposition U S V', (M, N), by Newton-Schulz; singular values come out 0.7 to 1.2."""
    a, b, c = COEFFICIENTS
    x = matrix.float() if len(matrix) <= matrix.shape[1] else matrix.float().t()
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(steps):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if len(matrix) <= matrix.shape[1] else x.t()).contiguous().to(matrix)
