"""The paper's layers. They deep-copy, pickle and export: every weight is a plain tensor."""

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssgan.seeds import derive_seed


class _WeightNormLinear(torch.autograd.Function):
    """y = x w^T + b with w = g v / |v| given as ``weight``, and its gradient with fewer passes over v than autograd's.

    With h = y - b, dL/dg = sum_n h dL/dy / g, and dL/dv = g/|v| dL/dw - v sum_n(h dL/dy) / |v|^2: the projection of
    Salimans and Kingma 2016, eq. 3, takes its inner product from the outputs, which are smaller than the weights.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, v: Tensor, g: Tensor, b: Tensor, weight: Tensor, norm: Tensor) -> Tensor:
        y = F.linear(x, weight, b.to(x.dtype))
        ctx.save_for_backward(x, v, g, b, weight, norm, y)
        return y

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        x, v, g, b, weight, norm, y = ctx.saved_tensors
        need_x, need_v, need_g, need_b = ctx.needs_input_grad[:4]
        grad_x = grad_v = grad_g = grad_b = None
        if need_x:
            grad_x = grad_y @ weight
        if need_v or need_g or need_b:
            grad_b = grad_y.sum(0, dtype=v.dtype)
            inner = (grad_y * y).sum(0, dtype=v.dtype) - b * grad_b
        if need_g:
            grad_g = inner / g
        if need_v:
            scaled = grad_y * (g / norm).to(grad_y.dtype)
            grad_v = (scaled.t() @ x).to(v.dtype).addcmul_(v, (-inner / norm.square())[:, None])
        return grad_x, grad_v, grad_g, grad_b if need_b else None, None, None


class WeightNormLinear(nn.Module):
    """``y = (g v / |v|) x + b``, |v| per output unit (Salimans and Kingma 2016, eq. 2); (N, in) -> (N, out).

    ``v`` starts as N(0, init_std). With ``train_scale=False`` g is a buffer that only `initialize_from_data` sets,
    as in the authors' code, which trains the g of the output layers and freezes all others.
    """

    g: Tensor

    def __init__(self, in_features: int, out_features: int, *, train_scale: bool = False, init_std: float = 0.1):
        super().__init__()
        self.v = nn.Parameter(init_std * torch.randn(out_features, in_features))
        self.b = nn.Parameter(torch.zeros(out_features))
        if train_scale:
            self.g = nn.Parameter(torch.ones(out_features))
        else:
            self.register_buffer("g", torch.ones(out_features))
        self.kept: dict[torch.dtype, tuple[Tensor, Tensor]] | None = None  # see `keep_weights`

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return F.linear(x, self.v * (self.g / torch.linalg.vector_norm(self.v, dim=1))[:, None], self.b)
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        output: Tensor = _WeightNormLinear.apply(x.to(dtype), self.v, self.g, self.b, *self._weight(dtype))
        return output

    @torch.no_grad()
    def _weight(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The normalised weight in ``dtype``, and |v|."""
        if self.kept is not None and dtype in self.kept:
            return self.kept[dtype]
        norm = torch.linalg.vector_norm(self.v, dim=1)
        made = (self.v * (self.g / norm)[:, None]).to(dtype), norm
        if self.kept is not None:
            self.kept[dtype] = made
        return made

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"kept": None}  # neither copies nor files hold it

    def extra_repr(self) -> str:
        return f"{self.v.shape[1]}, {self.v.shape[0]}, train_scale={isinstance(self.g, nn.Parameter)}"


def keep_weights(network: nn.Module, keep: bool = True) -> None:
    """Let weight-normed layers keep their normalised weights from now on, until this is called again.

    For a caller that knows when weights change: it must call this after every change (torch's version counter does not
    see a fused optimizer's). Between two of its own steps a classifier is passed through by both players, so that every
    second normalisation is saved.
    """
    for module in network.modules():
        if isinstance(module, WeightNormLinear):
            module.kept = {} if keep else None


@torch.no_grad()
def initialize_from_data(network: nn.Module, images: Tensor) -> None:
    """Set g and b of every weight-normed layer so that each unit has mean 0 and sd 1 before its nonlinearity.

    Layers are set in the order in which ``images`` reach them, each on the outputs of those already set (Salimans and
    Kingma 2016, sec. 3). Noise layers act as they do in training, as in the authors' code.
    """

    def standardise(layer: nn.Module, _: object, y: Tensor) -> Tensor:
        assert isinstance(layer, WeightNormLinear)
        mean, std = y.mean(0), y.std(0, correction=0).clamp_min(1e-8)
        layer.g.div_(std)
        layer.b.sub_(mean).div_(std)
        return (y - mean) / std

    hooks = [m.register_forward_hook(standardise) for m in network.modules() if isinstance(m, WeightNormLinear)]
    was_training = network.training
    try:
        network.train()(images)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()


class NoisePool:
    """Normal numbers by slicing a large pool of them at random places.

    On a CPU a draw from the generator costs as much as the matrix products of a small network, and a slice costs
    nothing. The pool is drawn anew for every key given to `refill` (an epoch); the places depend on the key given to
    `seek` (a step), so noise is a function of the two keys. Copies of a network share its pool.
    """

    def __init__(self, size: int, dtype: torch.dtype = torch.bfloat16):
        self.size, self.dtype = size, dtype
        self.key: tuple[int | str, ...] | None = None

    def refill(self, *key: int | str) -> None:
        if key != self.key:
            rng = torch.Generator().manual_seed(derive_seed(*key))
            self.values = torch.randn(self.size, generator=rng).to(self.dtype)
            self.key = key

    def seek(self, *key: int | str) -> None:
        self.places = random.Random(derive_seed(*key))

    def draw(self, shape: torch.Size) -> Tensor:
        """A view into the pool, not to be written to; more numbers than it holds are drawn afresh."""
        if shape.numel() >= self.size:
            return torch.randn(shape, dtype=self.dtype)
        start = self.places.randrange(self.size - shape.numel())
        return self.values[start : start + shape.numel()].view(shape)

    def __deepcopy__(self, memo: object) -> "NoisePool":
        return self


class GaussianNoise(nn.Module):
    """Adds N(0, std^2) to every value in training; the identity in evaluation. Units are those of the input."""

    def __init__(self, std: float):
        super().__init__()
        self.std = std
        self.pool: NoisePool | None = None  # None: torch's generator of the input's device

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.std == 0:
            return x
        noise = torch.randn_like(x) if self.pool is None else self.pool.draw(x.shape)
        return torch.add(x, noise, alpha=self.std)

    def extra_repr(self) -> str:
        return f"std={self.std}"


def share_noise(network: nn.Module, pool: NoisePool | None) -> None:
    """Let every noise layer of ``network`` draw from ``pool``."""
    for module in network.modules():
        if isinstance(module, GaussianNoise):
            module.pool = pool


class BatchNormNoGain(nn.BatchNorm1d):
    """Batch normalisation with a bias and no gain (authors' code: ``batch_norm(..., g=None)``); (N, F) -> (N, F)."""

    def __init__(self, features: int, eps: float = 1e-6):
        super().__init__(features, eps=eps)
        self.register_parameter("weight", None)
