"""What a command says at the end of its runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ssgan.training.run_dir import RunFolder

UNEVEN, SHOWN = 1.5, 12


def print_table(runs: Sequence[tuple[RunFolder, dict[str, Any]]]) -> None:
    """A row of each run's metrics, and the file that came out of the first."""
    uneven = [metrics for _, metrics in runs if is_uneven(metrics)]
    table = Table(title=runs[0][1]["condition"], title_justify="left")
    table.add_column("run")
    balanced = ("balanced error",) if uneven else ()
    for heading in ("test error", *balanced, "ECE", "epochs", "seconds"):
        table.add_column(heading, justify="right")
    for folder, metrics in runs:
        error, ece = metrics["test_error"], metrics["ece"]
        status = "" if metrics["status"] == "finished" else f" ({metrics['status']})"
        missing = "no test images" if (folder / "classifier.safetensors").exists() else "no classes"
        table.add_row(
            metrics["name"] + status,
            missing if error is None else f"{error:.2%}",
            *([f"{metrics['balanced_error']:.2%}" if error is not None else "-"] if uneven else []),
            "-" if ece is None else f"{ece:.3f}",
            str(metrics["epochs"]),
            f"{metrics['seconds']:.0f}",
        )
    console = Console()
    console.print(table)
    for metrics in uneven:
        console.print(f"{metrics['name']}, error by class: {by_class(metrics)}", soft_wrap=True, highlight=False)
    for kind, name in (("classifier", "classifier.safetensors"), ("checkpoint", "last.ckpt")):
        path = runs[0][0] / name
        if path.exists():
            console.print(f"{kind}: {path}", soft_wrap=True, highlight=False)
            break


def is_uneven(metrics: Mapping[str, Any]) -> bool:
    """Whether a class of a run, of this version, has `UNEVEN` times as many labels as another one, so that the error hides the rare ones."""
    counts = metrics.get("labels_per_class", {}).values()
    return bool(counts) and metrics["test_error"] is not None and max(counts) > UNEVEN * min(counts)


def by_class(metrics: Mapping[str, Any]) -> str:
    """The error of each class with its labels, the one with the fewest labels first, or of those that have the fewest."""
    counts = metrics["labels_per_class"]
    rows = sorted(zip(counts.items(), metrics["per_class_error"], strict=True), key=lambda row: row[0][1])
    shown = [f"{name} ({n} labels) {'-' if e is None else f'{e:.1%}'}" for (name, n), e in rows[:SHOWN]]
    return ", ".join(shown) + (", ..." if len(rows) > SHOWN else "")
