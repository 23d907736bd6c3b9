"""Losses and error over the epochs of a run: curves.png, and the curves of a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssgan.files import write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LABELS = {
    "distinct": "distinct nearest images",
    "distinct_real": "the same of real images",
    "precision": "precision",
    "recall": "recall",
    "d_real": "D(real)",
    "d_generated": "D(generated)",
}
"""The measures of `ssgan.evaluation.health`, in words."""

D_IN_TRAINING = {"train/d_real": "D(real) in training", "train/d_generated": "D(generated) in training"}
"""Columns that are no losses, in words."""


def draw_curves(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Write `curves_figure` as a PNG file."""
    write_figure(path, curves_figure(rows, title))


def curves_figure(rows: Sequence[dict[str, Any]], title: str) -> "Figure":
    """The ``train/...`` columns of metrics.csv on a logarithmic scale, and beside them ``val/error`` and the generator's
    ``health/...``, if there are any.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in rows]
    names = [name for name in rows[0] if name.startswith("train/") and name not in D_IN_TRAINING]
    health = [name for name in rows[0] if name.startswith("health/")]
    panels = 1 + ("val/error" in rows[0]) + bool(health)
    figure = Figure(figsize=(0.5 + 5 * panels, 3.6), layout="constrained")
    losses, *others = figure.subplots(1, panels, squeeze=False)[0]
    for name in names:
        losses.plot(epochs, [row[name] for row in rows], label=name.removeprefix("train/").replace("_", " "))
    losses.set(title=title, xlabel="epoch", ylabel="loss")
    if all(row[name] >= 0 for row in rows for name in names):
        losses.set_yscale("log", nonpositive="mask")
    losses.legend()
    if "val/error" in rows[0]:
        errors = [100 * row["val/error"] for row in rows]
        others[0].plot(epochs, errors, color="black")
        others[0].set(title="averaged weights", xlabel="epoch", ylabel="validation error (%)", ylim=(0, None))
    for name in health:
        measured = [(row["epoch"], row[name]) for row in rows if row.get(name, "") != ""]
        others[-1].plot(*zip(*measured, strict=True), marker=".", label=LABELS[name.removeprefix("health/")])
    if health:
        for name, label in D_IN_TRAINING.items():
            others[-1].plot(epochs, [row[name] for row in rows], linestyle=":", label=label)
        others[-1].set(title="generator", xlabel="epoch", ylim=(0, 1))
        others[-1].legend(fontsize="small")
    for axis in (losses, *others):
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    return figure
