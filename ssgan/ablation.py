"""python -m ssgan.ablation: what each technique does to the pictures, from the runs of `sweep=ablation`."""

import glob
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor
from torchvision.utils import make_grid

from ssgan import cli, configuration, methods
from ssgan.data.registry import dataset_names, named_dataset, require_known, require_own_data
from ssgan.errors import SsganError, print_error, warn
from ssgan.evaluation.generation import extract_features, metrics_of_features, require_enough
from ssgan.evaluation.judges import ClassifierJudge
from ssgan.files import require_writable, write_atomically, write_figure, write_json
from ssgan.inference.classifier_file import load_classifier, load_generator
from ssgan.inference.sampling import BATCH, draw_images
from ssgan.pixels import in_parts
from ssgan.reporting.results import summarize
from ssgan.reporting.runs import Run, find_runs

VARIANTS = {
    "full": "all but feature matching and historical averaging",
    "batch_norm": "batch norm for virtual batch norm",
    "no_labels_historical_averaging": "no labels, historical averaging",
    "no_label_smoothing": "no label smoothing",
    "no_labels": "no labels",
    "no_minibatch_discrimination": "no minibatch discrimination",
}
"""The rows of the paper's Table 3, in its order."""

PICTURES_PER_ROW = 16


def ablation(config: DictConfig) -> int:
    """Score every run of ``runs`` and write table.json, table.md and samples.png into ``output``."""
    output = Path(config.output)
    require_enough(config.samples, config.splits)
    require_writable(output / "table.json")
    write_table(config.runs, config.judge, output, config.samples, config.splits, config.data_dir, config.download)
    return 0


def write_table(
    pattern: str, judge: str, output: Path, samples: int, splits: int, data_dir: str, download: bool
) -> None:
    """Raises `SsganError` if there is no finished run with a generator among the folders that ``pattern`` matches."""
    finished = [(run.metrics["name"].removeprefix("ablation_"), run) for run in find_runs(pattern)[0] if is_scored(run)]
    if not finished:
        raise SsganError(f"runs={pattern}: none of them has a generator to score")
    order = {variant: place for place, variant in enumerate(VARIANTS)}
    finished.sort(key=lambda named: order.get(named[0], len(order)))
    classifier = load_classifier(judge, "judge")
    data = named_dataset(classifier.header.get("dataset"), data_dir, download)
    require_known(data, classifier, f"judge={judge}")
    judge_network = ClassifierJudge(classifier)
    real, _ = extract_features(judge_network, in_parts(data.test_images, BATCH))
    table: dict[str, dict[str, list[Any]]] = {}
    rows: dict[str, Tensor] = {}
    for variant, run in track(finished, description="scores", transient=True):
        generator = load_generator(run.folder / "last.ckpt")
        require_own_data(run.folder / "last.ckpt", generator, data)
        seen = extract_features(judge_network, draw_images(generator, samples, run.metrics["seed"]))
        quality = metrics_of_features(real, *seen, splits, run.metrics["seed"])
        entry = table.setdefault(variant, {"seed": [], "score": [], "fid": [], "test_error": []})
        entry["seed"].append(run.metrics["seed"])
        entry["score"].append(round(quality["score"], 4))
        entry["fid"].append(round(quality["fid"], 4))
        entry["test_error"].append(run.metrics["test_error"])
        if variant not in rows:
            rows[variant] = torch.cat(list(draw_images(generator, PICTURES_PER_ROW, 0)))
    write_json(output / "table.json", table)
    write_atomically(output / "table.md", as_markdown(table))
    draw_rows(rows, output / "samples.png")
    print(f"{len(finished)} runs of {len(table)} variants: {output / 'table.md'}  {output / 'samples.png'}")


def is_scored(run: Run) -> bool:
    """It has a generator: it is no supervised baseline, and did not collapse before its first checkpoint, of which it warns."""
    if not methods.find(run.metrics["method"]).has_generator:
        return False
    if not (run.folder / "last.ckpt").is_file():
        warn(f"{run.folder}: collapsed before its first checkpoint, and has no generator; the table is without it")
        return False
    return True


def as_markdown(table: dict[str, dict[str, list[Any]]]) -> str:
    lines = ["| variant | score | FID | test error (%) |", "|---|---|---|---|"]
    for variant, entry in table.items():
        score, fid = summarize(entry["score"]), summarize(entry["fid"])
        error = summarize([error for error in entry["test_error"] if error is not None])
        cells = [
            VARIANTS.get(variant, variant),
            score.text(2) if score else "-",
            fid.text(2) if fid else "-",
            error.text(1, scale=100) if error else "no classes",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw_rows(rows: dict[str, Tensor], path: Path) -> None:
    """One row of samples per variant, with its name beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 0.75 * len(rows)), layout="constrained")
    for axes, (variant, images) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows.items(), strict=True):
        axes.imshow(make_grid(images, nrow=len(images), padding=1, pad_value=128).permute(1, 2, 0).numpy())
        axes.set_ylabel(VARIANTS.get(variant, variant), rotation=0, ha="right", va="center", fontsize=8)
        axes.set(xticks=[], yticks=[])
    write_figure(path, figure)


class AblationReport(Callback):
    """Around the sweep: a judge before it, trained on all labels unless it is there; the table after it.

    Where either fails the command ends: Hydra would take an exception of a callback for a warning.
    """

    def __init__(self, samples: int, splits: int):
        self.samples, self.splits = samples, splits

    def judge(self, config: DictConfig) -> Path:
        return Path(config.runs_dir) / f"{config.dataset.name}@all/judge/split0-seed0/classifier.safetensors"

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            require_enough(self.samples, self.splits)
        except SsganError as error:
            print_error(f"hydra.callbacks.ablation: {error}")
            sys.exit(1)
        if config.dataset.name not in dataset_names() or "path" in config.dataset:
            print_error(
                f"sweep=ablation: its judge learns a data set by its name, and dataset={config.dataset.name} has none of its own; use "
                f"one that needs no dataset.path=, or train the runs and `python -m ssgan.ablation` with a judge of yours"
            )
            sys.exit(1)
        if not config.dry_run and not self.judge(config).exists():
            name = config.dataset.name  # its networks are those of the runs that it judges
            what = [
                "method=supervised",
                "labels=all",
                f"dataset={name}",
                f"preset={name}_gan",
                "name=judge",
                f"runs_dir={config.runs_dir}",
            ]
            where = [f"data_dir={config.data_dir}", f"download={config.download}"]
            code = subprocess.run([sys.executable, "-m", "ssgan.fit", *what, *where], check=False).returncode
            if code:
                sys.exit(code)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        if config.dry_run:
            return
        condition = Path(config.runs_dir) / configuration.condition(config)
        pattern, output = f"{glob.escape(str(condition))}/ablation_*/*", condition / "ablation"
        judge = str(self.judge(config))
        try:
            write_table(pattern, judge, output, self.samples, self.splits, config.data_dir, config.download)
        except SsganError as error:
            print_error(str(error))
            sys.exit(1)


def main() -> None:
    cli.run("ablation", ablation)


if __name__ == "__main__":
    main()
