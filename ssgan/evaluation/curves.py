"""Losses and error over the epochs of a run: curves.png, and the curves of a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssgan.files import write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_curves(rows: Sequence[dict[str, float]], path: Path, title: str) -> None:
    """Write `curves_figure` as a PNG file."""
    write_figure(path, curves_figure(rows, title))


def curves_figure(rows: Sequence[dict[str, float]], title: str) -> "Figure":
    """The ``train/...`` columns of metrics.csv on a logarithmic scale, and ``val/error`` beside them if there is one."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in rows]
    names = [name for name in rows[0] if name.startswith("train/")]
    watched = "val/error" in rows[0]
    figure = Figure(figsize=(10 if watched else 5.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 2 if watched else 1, squeeze=False)[0]
    for name in names:
        axes[0].plot(epochs, [row[name] for row in rows], label=name.removeprefix("train/").replace("_", " "))
    axes[0].set(title=title, xlabel="epoch", ylabel="loss")
    if all(row[name] >= 0 for row in rows for name in names):
        axes[0].set_yscale("log", nonpositive="mask")
    axes[0].legend()
    if watched:
        axes[1].plot(epochs, [100 * row["val/error"] for row in rows], color="black")
        axes[1].set(title="averaged weights", xlabel="epoch", ylabel="validation error (%)", ylim=(0, None))
    for axis in axes:
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    return figure
