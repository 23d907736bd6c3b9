"""Error against the number of labels, beside labels alone: results/*@*.json -> images/label_efficiency.png.

python benchmarks/label_efficiency.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from ssgan.files import write_figure
from ssgan.reporting.figures import draw_line
from ssgan.reporting.results_file import read_results

HERE = Path(__file__).parent
PANELS = {
    "mnist": ("MNIST", "fixmatch_quick"),
    "svhn": ("SVHN", "fixmatch_quick"),
    "cifar10": ("CIFAR-10", "mixmatch_quick"),
}
"""The data sets, and the recipe of each that has several numbers of labels: `budget=quick`."""


def main() -> None:
    results = read_results(HERE / "results")
    figure, axes = plt.subplots(1, len(PANELS), figsize=(9, 2.9), layout="constrained")
    for axis, (dataset, (title, recipe)) in zip(axes, PANELS.items(), strict=True):
        groups = [group for group in results if (group.dataset, group.recipe) == (dataset, recipe)]
        for key, style, color, label in (
            ("supervised_error", "s--", "C0", "labels alone"),
            (
                "test_error",
                "o-",
                "C1",
                recipe.removesuffix("_quick").replace("fixmatch", "FixMatch").replace("mixmatch", "MixMatch"),
            ),
        ):
            points = [(group.label_budget, found) for group in groups if (found := group.summary(key))]
            draw_line(axis, points, style, color, label)
        counts = sorted({group.label_budget for group in groups if group.label_budget})
        axis.set(xscale="log", yscale="log", title=title, xlabel="labels")
        axis.set_xticks(counts, [f"{count:,}" for count in counts])
        axis.minorticks_off()
        ticks = [tick for tick in (0.5, 1, 2, 5, 7, 10, 15, 20, 30) if axis.get_ylim()[0] <= tick <= axis.get_ylim()[1]]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    axes[0].set_ylabel("test error (%)")
    write_figure(HERE / "images" / "label_efficiency.png", figure)


if __name__ == "__main__":
    main()
