"""Weight normalization (Salimans and Kingma 2016) with data-dependent initialization.

Layers deep-copy, pickle and export: every weight is a plain tensor.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WeightCache = dict[tuple[nn.Module, torch.dtype], tuple[Tensor, Tensor, Tensor]]
"""Of a layer, for inputs of a type: its weight g v / |v| and its bias in that type, and |v|."""


class _WeightNormLinear(torch.autograd.Function):
    """y = x w^T + b with fewer passes over v than autograd's for its gradient.

    ``weight`` is w = g v / |v| and ``bias`` is b, both in the type of x; ``norm`` is |v|.

    With h = y - b, dL/dg = sum_n h dL/dy / g, and dL/dv = g/|v| dL/dw - v sum_n(h dL/dy) / |v|^2: the projection of
    Salimans and Kingma 2016, eq. 3, takes its inner product from the outputs, which are smaller than the weights.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, v: Tensor, g: Tensor, b: Tensor, weight: Tensor, bias: Tensor, norm: Tensor
    ) -> Tensor:
        y = F.linear(x, weight, bias)
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
            # A sum in half precision is rounded once, at its end; one in v's type would first copy all that is summed.
            grad_b = grad_y.sum(0).to(v.dtype)
            inner = (grad_y * y).sum(0).to(v.dtype).addcmul_(b, grad_b, value=-1)
        if need_g:
            grad_g = inner / g
        if need_v:
            # A CPU multiplies a copy in rows faster than the transposed view, the copying included, for all but small layers.
            scaled = (grad_y * (g / norm).to(grad_y.dtype)).t().contiguous()
            grad_v = (scaled @ x).to(v.dtype).addcmul_(v, (inner / norm.square())[:, None], value=-1)
        return grad_x, grad_v, grad_g, grad_b if need_b else None, None, None, None


class WeightNormLinear(nn.Module):
    """``y = (g v / |v|) x + b``, |v| per output unit (Salimans and Kingma 2016, eq. 2); (N, in) -> (N, out).

    ``v`` starts as N(0, init_std). With ``train_scale=False`` g is a buffer that only `initialize_from_data` sets,
    as in the authors' code, which trains the g of the output layers and freezes all others. ``output_std`` is the sd
    that `initialize_from_data` gives every output.
    """

    g: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        train_scale: bool = False,
        init_std: float = 0.1,
        output_std: float = 1.0,
    ):
        super().__init__()
        self.output_std = output_std
        self.v = nn.Parameter(init_std * torch.randn(out_features, in_features))
        self.b = nn.Parameter(torch.zeros(out_features))
        if train_scale:
            self.g = nn.Parameter(torch.ones(out_features))
        else:
            self.register_buffer("g", torch.ones(out_features))
        self.kept: WeightCache | None = None  # see `cache_weights`

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return F.linear(x, self.v * (self.g / torch.linalg.vector_norm(self.v, dim=1))[:, None], self.b)
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        weight, bias, norm = self._weight(dtype)
        if not (self.v.requires_grad or self.g.requires_grad or self.b.requires_grad):
            return F.linear(x.to(dtype), weight, bias)  # the other player's turn
        output: Tensor = _WeightNormLinear.apply(x.to(dtype), self.v, self.g, self.b, weight, bias, norm)
        return output

    @torch.no_grad()
    def _weight(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """The normalized weight and the bias in ``dtype``, and |v|."""
        if self.kept is not None and (self, dtype) in self.kept:
            return self.kept[self, dtype]
        weight, norm = torch._weight_norm_interface(self.v, self.g[:, None])
        made = weight.to(dtype), self.b.detach().to(dtype), norm.flatten()
        if self.kept is not None:
            self.kept[self, dtype] = made
        return made

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"kept": None}  # neither copies nor files hold it

    def extra_repr(self) -> str:
        return f"{self.v.shape[1]}, {self.v.shape[0]}, train_scale={isinstance(self.g, nn.Parameter)}"


class _WeightNormConv(nn.Module):
    """What the two convolutions share: v, g per output channel, b, and w = g v / |v|."""

    out_dim: int  # of v, that of the output channels; 1 - out_dim is that of the input channels
    g: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        train_scale: bool = False,
        init_std: float = 0.05,
        output_std: float = 1.0,
    ):
        super().__init__()
        self.output_std = output_std
        self.stride, self.padding = stride, padding
        channels = (out_channels, in_channels) if self.out_dim == 0 else (in_channels, out_channels)
        self.v = nn.Parameter(init_std * torch.randn(*channels, size, size))
        self.b = nn.Parameter(torch.zeros(out_channels))
        if train_scale:
            self.g = nn.Parameter(torch.ones(out_channels))
        else:
            self.register_buffer("g", torch.ones(out_channels))

    def weight(self) -> Tensor:
        return torch._weight_norm(self.v, self.g.view([-1 if d == self.out_dim else 1 for d in range(4)]), self.out_dim)

    def extra_repr(self) -> str:
        scale = isinstance(self.g, nn.Parameter)
        return f"{tuple(self.v.shape)}, stride={self.stride}, padding={self.padding}, train_scale={scale}"


class WeightNormConv2d(_WeightNormConv):
    """A convolution with weights g v / |v|; (N, in, H, W) -> (N, out, H', W'). See `WeightNormLinear`."""

    out_dim = 0

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.b, self.stride, self.padding)


class WeightNormConvTranspose2d(_WeightNormConv):
    """A transposed convolution with weights g v / |v|; (N, in, H, W) -> (N, out, H', W'). See `WeightNormLinear`.

    ``output_padding`` adds so many rows and columns on one side.
    """

    out_dim = 1

    def __init__(self, *sizes: int, output_padding: int = 0, **settings: Any):
        super().__init__(*sizes, **settings)
        self.output_padding = output_padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight(), self.b, self.stride, self.padding, self.output_padding)


WEIGHT_NORMED = (WeightNormLinear, WeightNormConv2d, WeightNormConvTranspose2d)


def cache_weights(network: nn.Module, kept: WeightCache | None) -> None:
    """Let weight-normed layers keep their normalized weights in ``kept`` from now on; None: no longer.

    For a caller that knows when weights change: it must clear ``kept`` after every change (torch's version counter does not
    see a fused optimizer's). Between two of its own steps a classifier is passed through by both players, so that every
    second normalization is saved.
    """
    for module in network.modules():
        if isinstance(module, WeightNormLinear):
            module.kept = kept
