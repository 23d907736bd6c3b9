"""python benchmarks/mixture.py: which techniques cover all modes of a mixture of 8 Gaussians on a circle?

Two small networks play the game with the losses of ssgan.losses, in variants that differ in nothing but the technique;
five runs of a variant train at once. Prints a table (mean +- sample sd over the runs, at the last step) beside the
theory, and writes benchmarks/mixture/mixture.json and mixture.png (generated points of the first run).
"""

import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ssgan import losses
from ssgan.evaluation.divergences import js, kl
from ssgan.files import write_atomically, write_json
from ssgan.nets.layers.minibatch_discrimination import MinibatchDiscrimination
from ssgan.training.environment import environment

MODES, RADIUS, SD = 8, 2.0, 0.05  # the ring of Metz et al. 2017 ("Unrolled GANs"), whose sd is 0.02
LATENT, HIDDEN = 64, 64  # both networks have two hidden layers of tanh units, as in public code for this ring
BATCH = 64  # points of each kind per step; a discriminator of N points sees BATCH / N groups
RATES, BETAS = (3e-3, 3e-4), (0.5, 0.999)  # Adam, generator and discriminator; 10 : 1, as in that code
KERNELS, DIMS = 4, 3  # minibatch discrimination
SHOWN = (500, 1000, 2000, 3000, 4000)  # steps, one of each player, at which a run is measured; the last ends it
RUNS = 5
POINTS, COVERED, NEAR = 2000, 0.01, 3.0  # generated points; share of them for a mode to count; radius of a mode in sd
"""A point of the mixture lies within 3 sd of its center with probability 98.9 %. 1 % of the points is a twelfth of a
mode's share, and what strays (a line drawn from mode to mode, say) seldom reaches it.
"""

SETTINGS = {name.lower(): value for name, value in globals().items() if name.isupper()}
CENTERS = RADIUS * torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(MODES) * (2 * math.pi / MODES)])


@dataclass(frozen=True)
class Variant:
    """``together`` points are concatenated before the discriminator sees them, as in F. Huszar's "Understanding
    minibatch discrimination in GANs" and PacGAN (Lin et al. 2018); no ``loss`` means feature matching.
    """

    title: str
    loss: Callable[[Tensor], Tensor] | None
    together: int = 1
    minibatch: bool = False


VARIANTS = {
    "minimax_1": Variant("minimax, N = 1", losses.minimax),
    "minimax_2": Variant("minimax, N = 2", losses.minimax, together=2),
    "minimax_4": Variant("minimax, N = 4", losses.minimax, together=4),
    "blended_1": Variant("blended, N = 1", losses.blended),
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
    return nn.Sequential(Linear(runs, inputs, HIDDEN), nn.Tanh(), Linear(runs, HIDDEN, HIDDEN), nn.Tanh())


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
        features = self.features(points.reshape(len(points), -1, 2 * self.together))
        if not self.minibatch:
            return self.logits(features), features
        compared = [layer(one) for layer, one in zip(self.minibatch, features, strict=True)]
        return self.logits(torch.stack(compared)), features

    def initialize(self, points: Tensor) -> None:
        if self.minibatch:
            for layer, one in zip(self.minibatch, self.features(points), strict=True):
                assert isinstance(layer, MinibatchDiscrimination)
                layer.initialize(one)


def draw_real(runs: int, count: int) -> Tensor:
    return CENTERS[torch.randint(MODES, (runs, count))] + SD * torch.randn(runs, count, 2)


def side_by_side(features: Tensor) -> Tensor:
    """(runs, N, F) -> (N, runs x F): a mean over N is then one of each run."""
    return features.transpose(0, 1).flatten(1)


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
        descend(players[1], losses.real_loss(on_real) + losses.fake_loss(on_generated))
        logits, features = discriminator(generated)
        if variant.loss is not None:
            loss = variant.loss(logits.flatten(0, 1))
        else:
            loss = losses.feature_matching(side_by_side(discriminator(real)[1]), side_by_side(features), "l2")
        descend(players[0], loss)
    return snapshots


def measure(points: Tensor) -> dict[str, float]:
    """What points (N, 2) make of the modes.

    ``modes``: how many they cover; ``quality``: the share of the points that lie near any; ``spread``: the perplexity
    of the nearest mode, 1 if it is the same for all and 8 if all are equally frequent. It sees collapse however far
    from the modes the points still are.
    """
    distances = torch.cdist(points, CENTERS)
    near = distances < NEAR * SD
    nearest = torch.bincount(distances.argmin(1), minlength=MODES) / len(points)
    return {
        "modes": int((near.float().mean(0) >= COVERED).sum()),
        "quality": round(float(near.any(1).float().mean()), 4),
        "spread": round(float(torch.special.entr(nearest).sum().exp()), 3),
    }


def run(variant: Variant) -> tuple[dict[str, Any], list[Tensor]]:
    """What the result file says of a variant, and the generated points of its first run at every shown step."""
    started = time.perf_counter()
    snapshots = train(variant)
    seconds = time.perf_counter() - started
    measured = [[measure(points) for points in snapshot] for snapshot in snapshots]
    per_key = ({key: [one[key] for one in runs] for key in runs[0]} for runs in measured)
    along = dict(zip(SHOWN, per_key, strict=True))
    result = along[SHOWN[-1]] | {"seconds": round(seconds, 1), "along": along}
    return result, [snapshot[0] for snapshot in snapshots]


def draw(pictures: dict[str, list[Tensor]]) -> bytes:
    figure = Figure(figsize=(1.25 * len(SHOWN) + 1.2, 1.25 * len(pictures) + 0.6), layout="constrained")
    figure.suptitle(f"Generated points (blue) and the {MODES} modes (orange); the number: modes covered", fontsize=11)
    rows = figure.subplots(len(pictures), len(SHOWN), sharex=True, sharey=True)
    for row, (name, snapshots) in zip(rows, pictures.items(), strict=True):
        row[0].set_ylabel(VARIANTS[name].title, rotation=0, ha="right", va="center")
        for axes, points in zip(row, snapshots, strict=True):
            axes.scatter(*CENTERS.T, s=60, facecolors="none", edgecolors="tab:orange", linewidths=0.8)
            axes.scatter(*points[:500].T, s=1.5, color="tab:blue", linewidths=0)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axes.text(0, 0, f"{measure(points)['modes']}", ha="center", va="center", weight="bold", bbox=box)
            axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])
    for axes, step in zip(rows[0], SHOWN, strict=True):
        axes.set_title(f"step {step}", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def theory() -> dict[str, dict[int, float]]:
    """In bits, for the mixture and the same without one mode: what the best discriminator of N points finds."""
    whole, without = [1 / MODES] * MODES, [1 / (MODES - 1)] * (MODES - 1) + [0.0]
    sizes = sorted({variant.together for variant in VARIANTS.values()})
    return {
        "js": {n: round(js(whole, without, n), 4) for n in sizes},
        "kl_generated_real": {n: round(kl(without, whole, n), 4) for n in sizes},
    }


def main() -> None:
    torch.set_flush_denormal(True)  # a saturated loss and far kernels fill the gradients with numbers that are slow
    results, pictures = {}, {}
    print("variant            modes            quality          spread          seconds")
    for name, variant in VARIANTS.items():
        results[name], pictures[name] = result, _ = run(variant)
        cells = (f"{mean(result[key]):.2f} +- {stdev(result[key]):.2f}   " for key in ("modes", "quality", "spread"))
        print(f"{name:17s}  {'  '.join(cells)} {result['seconds']:6.1f}", flush=True)
    here = environment()
    content = {
        "machine": here["machine"],
        "versions": here["versions"],
        "threads": torch.get_num_threads(),
        "settings": SETTINGS,
        "bits_of_a_missing_mode": theory(),
        "variants": results,
    }
    print(f"bits of a missing mode: {json.dumps(content['bits_of_a_missing_mode'])}")
    folder = Path(__file__).with_suffix("")
    write_json(folder / "mixture.json", content, indent=1)
    write_atomically(folder / "mixture.png", draw(pictures))


if __name__ == "__main__":
    main()
