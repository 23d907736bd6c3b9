"""python benchmarks/mixture.py: which techniques cover all modes of a mixture of 8 Gaussians on a circle?

Two small networks play the game with the losses of ssgan.losses, in variants that differ in nothing but the technique;
five runs of a variant train at once. Prints a table (mean +- sample sd over the runs, at the last step) beside the theory, and writes
benchmarks/mixture/mixture.json and mixture.png (generated points of the first run).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssgan import losses
from ssgan.nets.minibatch import MinibatchDiscrimination

MODES, RADIUS, SD = 8, 2.0, 0.02  # the ring of Metz et al. 2017, "Unrolled GANs"
LATENT, HIDDEN = 16, 64  # both networks have two hidden layers
BATCH = 128  # points of each kind per step; a discriminator of N points sees BATCH / N groups
RATES, BETAS = (1e-3, 1e-3), (0.5, 0.999)  # Adam, both players, one step each in turn
KERNELS, DIMS = 8, 4  # minibatch discrimination
SHOWN = (0, 500, 1000, 2000, 3000, 4000)  # steps at which a run is measured; the last one ends it
RUNS = 5
POINTS, COVERED, NEAR = 2000, 0.01, 3.0  # generated points; share of them for a mode to count; radius of a mode in sd

CENTRES = RADIUS * torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(MODES) * (2 * math.pi / MODES)])


@dataclass(frozen=True)
class Variant:
    """``together`` points are concatenated before the discriminator sees them; no ``loss`` means feature matching."""

    title: str
    loss: Callable[[Tensor], Tensor] | None
    together: int = 1
    minibatch: bool = False


VARIANTS = {
    "minimax_1": Variant("minimax", losses.minimax),
    "minimax_2": Variant("minimax, N = 2", losses.minimax, together=2),
    "minimax_4": Variant("minimax, N = 4", losses.minimax, together=4),
    "blended_1": Variant("blended", losses.blended),
    "blended_2": Variant("blended, N = 2", losses.blended, together=2),
    "blended_4": Variant("blended, N = 4", losses.blended, together=4),
    "blended_minibatch": Variant("blended, minibatch\ndiscrimination", losses.blended, minibatch=True),
    "feature_matching": Variant("feature matching", None),
}


class Linear(nn.Module):
    """Linear layers side by side, one per run: (runs, N, inputs) -> (runs, N, outputs). Torch's initial values."""

    def __init__(self, runs: int, inputs: int, outputs: int):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(runs, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(runs, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def hidden_layers(runs: int, inputs: int) -> nn.Sequential:
    return nn.Sequential(Linear(runs, inputs, HIDDEN), nn.ReLU(), Linear(runs, HIDDEN, HIDDEN), nn.ReLU())


class Discriminator(nn.Module):
    """Logits (runs, N / together, 1) of points (runs, N, 2), and the last hidden layer."""

    def __init__(self, runs: int, variant: Variant):
        super().__init__()
        self.together = variant.together
        self.features = hidden_layers(runs, 2 * variant.together)
        self.minibatch = nn.ModuleList(
            MinibatchDiscrimination(HIDDEN, KERNELS, DIMS, others=BATCH - 1) for _ in range(runs * variant.minibatch)
        )
        self.logits = Linear(runs, HIDDEN + KERNELS * variant.minibatch, 1)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(points.unflatten(1, (-1, self.together)).flatten(2))
        if not self.minibatch:
            return self.logits(features), features
        compared = [layer(one) for layer, one in zip(self.minibatch, features, strict=True)]
        return self.logits(torch.stack(compared)), features

    def initialize(self, points: Tensor) -> None:
        if self.minibatch:
            for layer, one in zip(self.minibatch, self.features(points), strict=True):
                layer.initialize(one)


def draw_real(runs: int, count: int) -> Tensor:
    return CENTRES[torch.randint(MODES, (runs, count))] + SD * torch.randn(runs, count, 2)


def train(variant: Variant, runs: int = RUNS, shown: tuple[int, ...] = SHOWN) -> list[Tensor]:
    """Generated points (runs, POINTS, 2) at each of the ``shown`` steps, of ``runs`` independent runs."""
    torch.manual_seed(0)
    generator = nn.Sequential(*hidden_layers(runs, LATENT), Linear(runs, HIDDEN, 2))
    discriminator = Discriminator(runs, variant)
    discriminator.initialize(draw_real(runs, BATCH))
    players = [
        torch.optim.Adam(player.parameters(), rate, BETAS, fused=True)
        for player, rate in zip((generator, discriminator), RATES, strict=True)
    ]

    def descend(player: torch.optim.Optimizer, loss: Tensor) -> None:
        player.zero_grad()
        (runs * loss).backward()  # a loss averages over the runs, too
        player.step()

    snapshots = []
    for step in range(shown[-1] + 1):
        if step in shown:
            with torch.no_grad():
                snapshots.append(generator(torch.randn(runs, POINTS, LATENT)))
        generated, real = generator(torch.randn(runs, BATCH, LATENT)), draw_real(runs, BATCH)
        on_real, on_generated = (discriminator(points)[0].flatten(0, 1) for points in (real, generated.detach()))
        descend(players[1], losses.real_images(on_real) + losses.generated_images(on_generated))
        logits, features = discriminator(generated)
        if variant.loss is not None:
            loss = variant.loss(logits.flatten(0, 1))
        else:
            side_by_side = (some.transpose(0, 1).flatten(1) for some in (discriminator(real)[1], features))
            loss = losses.feature_matching(*side_by_side, "l2")
        descend(players[0], loss)
    return snapshots


def measure(points: Tensor) -> tuple[int, float]:
    """Modes that points (N, 2) cover, and the share of the points that lie near any mode."""
    near = torch.cdist(points, CENTRES) < NEAR * SD
    return int((near.float().mean(0) >= COVERED).sum()), float(near.any(1).float().mean())
