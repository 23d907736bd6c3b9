"""The figures of a report that are about results: error by number of labels, calibration, confusion."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ssgan.evaluation.classification import BINS, calibration_bins, risk_coverage
from ssgan.reporting.efficiency import MORE, PowerLaw, power_law
from ssgan.reporting.results import Group, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 20
"""Classes of which a confusion matrix has room for names and counts."""


def with_label_budgets(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """The data sets with a test error at two or more numbers of labels, and the groups that have one."""
    tested: dict[str, list[Group]] = {}
    for group in groups:
        if group.label_budget is not None and group.summary("test_error"):
            tested.setdefault(group.dataset, []).append(group)
    return {name: of_it for name, of_it in tested.items() if len({group.label_budget for group in of_it}) > 1}


def labels_figure(groups: Sequence[Group]) -> "Figure":
    """Error in % against labels, one color per recipe; mean, sample sd and `power_law`. ``groups`` are of one data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    heights: list[float] = []
    for number, recipe in enumerate(sorted({group.recipe for group in groups})):
        mine = [group for group in groups if group.recipe == recipe]
        for key, style, label in (
            ("test_error", "o-", shown(recipe, 40)),
            ("supervised_error", "s--", f"{shown(recipe, 40)}, supervised only"),
        ):
            points = [
                (group.label_budget, summary)
                for group in mine
                if group.label_budget and (summary := group.summary(key))
            ]
            draw_line(axes, points, style, f"C{number % 10}", label)
            heights += [100 * (summary.mean + (summary.sd if summary.n > 1 else 0)) for _, summary in points]
        if law := power_law(mine):
            draw_law(axes, law, min(group.label_budget or law.most for group in mine), f"C{number % 10}")
    counts = sorted({group.label_budget for group in groups if group.label_budget})
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set(title=shown(groups[0].dataset, 40), xlabel="labels", ylabel="test error (%)")
    axes.set_ylim(0, 1.1 * max(*heights, 0.1))  # intervals of few runs are wide
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_line(axes: "Axes", points: Sequence[tuple[int, Summary]], style: str, color: str, label: str) -> None:
    if points:
        bars = [100 * summary.sd if summary.n > 1 else 0 for _, summary in points]
        axes.errorbar(
            [float(labels) for labels, _ in points],
            [100 * summary.mean for _, summary in points],
            bars,
            fmt=style,
            color=color,
            label=label,
            capsize=4,
            markersize=5,
        )


def draw_law(axes: "Axes", law: PowerLaw, least: int, color: str) -> None:
    """From the ``least`` number of labels to `MORE` beyond the largest, with the interval of the expected error."""
    labels = torch.linspace(math.log(least), math.log(law.most + MORE), 50).exp().tolist()
    middle, low, high = ([100 * value for value in line] for line in zip(*map(law.error, labels), strict=True))
    axes.plot(labels, middle, ":", color=color)
    axes.fill_between(labels, low, high, color=color, alpha=0.12, linewidth=0)


def calibration_figure(log_probabilities: Tensor, targets: Tensor) -> "Figure":
    """Reliability diagram (share right against confidence) above the number of images in each bin."""
    from matplotlib.figure import Figure

    count, confidence, right = (part.numpy() for part in calibration_bins(log_probabilities, targets))
    figure = Figure(figsize=(5, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    left, width = [i / BINS for i in range(BINS)], 1 / BINS
    above.bar(left, right, width, align="edge", color="C0", alpha=0.35, edgecolor="C0")
    above.plot([0, 1], [0, 1], color="gray", linestyle="--", label="probabilities that can be trusted")
    above.plot(confidence, right, "o", color="C0", markersize=5, label="mean of a bin")
    above.set(ylabel="share of images classified right", xlim=(0, 1), ylim=(0, 1.02))
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    below.bar(left, count, width, align="edge", color="gray")
    below.set(xlabel="probability of the predicted class", ylabel="images", yscale="log", ylim=(0.8, None))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure


def selection_figure(log_probabilities: Tensor, targets: Tensor) -> "Figure":
    """Error of the surest images against their share (`risk_coverage`), and the least probability among them."""
    from matplotlib.figure import Figure

    risks = risk_coverage(log_probabilities, targets)
    share = torch.arange(1, len(risks) + 1) / len(risks)
    figure = Figure(figsize=(5, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot(100 * share, 100 * risks, color="C0")
    above.set(ylabel="error among them (%)", xlim=(0, 100), ylim=(0, None))
    below.plot(100 * share, log_probabilities.max(1).values.exp().sort(descending=True).values, color="gray")
    below.set(xlabel="surest images, share of all (%)", ylabel="least probability", ylim=(0, 1.05))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure


def confusion_matrix(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    """Counts (K, K): rows are true classes, columns predicted ones."""
    classes = log_probabilities.shape[1]
    return torch.bincount(targets * classes + log_probabilities.argmax(1), minlength=classes**2).view(classes, classes)


def confusion_figure(matrix: Tensor, class_names: Sequence[str]) -> "Figure":
    """Counts; errors are colored, the diagonal, which would outshine them, is not."""
    from matplotlib.figure import Figure

    classes, highest = len(class_names), max(1, int(matrix.clone().fill_diagonal_(0).max()))
    figure = Figure(figsize=(5.6, 5), layout="constrained")
    axes = figure.subplots()
    errors = matrix.double().fill_diagonal_(torch.nan)
    picture = axes.imshow(errors.numpy(), cmap="OrRd", vmin=0, vmax=highest)
    axes.set_facecolor("#e4e4e4")
    axes.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(picture, label="images misclassified", shrink=0.8)
    if classes > MOST_NAMED:
        return figure
    for row, column in matrix.nonzero().tolist():
        color = "white" if row != column and matrix[row, column] > 0.6 * highest else "black"
        size = 9 if classes <= 10 else 6
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", fontsize=size, color=color)
    names = [shown(name, 16) for name in class_names]
    axes.set_xticks(range(classes), names)
    if max(map(len, names)) > 2:
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(classes), names)
    return figure


def shown(name: str, most: int) -> str:
    """``name`` as a figure can show it: no longer than ``most``, in Unicode, and without mathematics between dollar signs."""
    name = name.encode(errors="surrogateescape").decode(errors="replace")
    return (name if len(name) <= most else f"{name[: most - 1]}…").replace("$", r"\$")
