"""python -m ssgan.divergences: how divergences between Bernoulli distributions change with the size of a minibatch."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from ssgan import cli
from ssgan.data.csv_rows import csv_text
from ssgan.errors import SsganError
from ssgan.evaluation.divergences import js, kl, preference, reverse_kl
from ssgan.files import require_writable, write_atomically, write_figure

LOW_ENTROPY, HIGH_ENTROPY = 0.05, 0.8
"""The two values of q that the study compares: one draws too little variety, one too much of the wrong kind."""


def divergences(config: DictConfig) -> int:
    """Write divergences.csv and divergences.png, and print how the two failures compare for every size of minibatch."""
    if not config.draws or min(config.draws) < 1:
        raise SsganError(f"draws={config.draws}: name the sizes of one or more minibatches, 1 or more each")
    output = Path(config.output)
    for name in ("divergences.csv", "divergences.png"):
        require_writable(output / name)
    q = torch.linspace(0, 1, config.points + 2, dtype=torch.float64)[1:-1].tolist()
    columns = {f"js_{n}": [js(config.p, value, n) for value in q] for n in config.draws}
    write_csv(output / "divergences.csv", config.p, q, columns)
    draw(output / "divergences.png", config.p, q, columns)
    print(f"p = {config.p}, JS in bits of N draws")
    print("    N  JS(q=0.05)  JS(q=0.8)  ratio")
    for n in config.draws:
        low, high = js(config.p, LOW_ENTROPY, n), js(config.p, HIGH_ENTROPY, n)
        print(f"{n:5d}  {low:10.4f}  {high:9.4f}  {low / high:5.2f}" if high else f"{n:5d}  {low:10.4f}  {high:9.4f}")
    print(f"{output / 'divergences.csv'}  {output / 'divergences.png'}")
    return 0


def write_csv(path: Path, p: float, q: list[float], columns: dict[str, list[float]]) -> None:
    """One row per q: KL, reverse KL, the adversarial preference divergence, and JS for every size of minibatch."""
    rows: list[list[Any]] = [["p", "q", "kl", "reverse_kl", "preference", *columns]]
    for row, value in enumerate(q):
        single = [kl(p, value), reverse_kl(p, value), preference(p, value)]
        rows.append([p, value, *single, *(column[row] for column in columns.values())])
    write_atomically(path, csv_text(rows))


def draw(path: Path, p: float, q: list[float], columns: dict[str, list[float]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    whole, per_draw = figure.subplots(1, 2)
    for name, values in columns.items():
        n = int(name.removeprefix("js_"))
        whole.plot(q, values, label=f"N = {n}")
        per_draw.plot(q, [value / n for value in values])
    whole.set(title="JS of N draws", ylabel="bits")
    per_draw.set(title="JS of N draws, over N", ylabel="bits")
    for axes in (whole, per_draw):
        axes.axvline(p, color="black", linewidth=0.8, linestyle=":")
        axes.set(xlabel=f"q (p = {p})", xlim=(0, 1), ylim=(0, None))
        axes.grid(alpha=0.3)
    whole.legend()
    write_figure(path, figure)


def main() -> None:
    cli.run("divergences", divergences)


if __name__ == "__main__":
    main()
