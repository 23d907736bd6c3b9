"""What a command says at the end of its runs."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ssgan.training.run_dir import RunFolder


def print_table(runs: Sequence[tuple[RunFolder, dict[str, Any]]]) -> None:
    """A row of each run's metrics, and the file that came out of the first."""
    table = Table(title=runs[0][1]["condition"], title_justify="left")
    table.add_column("run")
    for heading in ("test error", "ECE", "epochs", "seconds"):
        table.add_column(heading, justify="right")
    for folder, metrics in runs:
        error, ece = metrics["test_error"], metrics["ece"]
        status = "" if metrics["status"] == "finished" else f" ({metrics['status']})"
        missing = "no test images" if (folder / "classifier.safetensors").exists() else "no classes"
        table.add_row(
            metrics["name"] + status,
            missing if error is None else f"{error:.2%}",
            "-" if ece is None else f"{ece:.3f}",
            str(metrics["epochs"]),
            f"{metrics['seconds']:.0f}",
        )
    console = Console()
    console.print(table)
    for kind, name in (("classifier", "classifier.safetensors"), ("checkpoint", "last.ckpt")):
        path = runs[0][0] / name
        if path.exists():
            console.print(f"{kind}: {path}", soft_wrap=True, highlight=False)
            break
