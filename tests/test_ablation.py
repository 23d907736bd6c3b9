"""The ablation trains its variants, scores them by one judge, and leaves a table and a picture."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import pytest
from conftest import TINY, Outcome
from PIL import Image

from ssgan.ablation import VARIANTS, as_markdown
from ssgan.schema import CONFIG_DIR

Command = Callable[..., Outcome]
SMALL = (
    *TINY[1:],  # each file of conf/ablation has its method
    "method.epochs=1",
    "trainer.limit_train_batches=2",
    "net.classifier.minibatch_kernels=4",
    "hydra.callbacks.ablation.samples=20",
    "hydra.callbacks.ablation.splits=2",
    "validation=0",
)


def test_every_variant_has_a_row_and_a_file() -> None:
    assert {path.stem for path in (Path(CONFIG_DIR) / "ablation").glob("*.yaml")} == set(VARIANTS)
    sweep = (Path(CONFIG_DIR) / "sweep" / "ablation.yaml").read_text()
    assert f"ablation: {','.join(VARIANTS)}" in sweep


@pytest.mark.slow
def test_sweep(ssgan: Command, tmp_path: Path) -> None:
    """Runs with and without labels from one command, with a table of all at its end."""
    judge = ("method=supervised", "labels=all", "method.epochs=2", "dataset=digits", f"runs_dir={tmp_path}")
    assert ssgan("fit", *judge, "name=judge").code == 0
    labels_alone = tmp_path / "digits@50/ablation_full_supervised/split0-seed0"  # as baseline=true leaves it
    shutil.copytree(tmp_path / "digits@all/judge/split0-seed0", labels_alone)
    variants = ["full", "no_labels_historical_averaging"]
    overrides = ["dataset=digits", f"ablation={','.join(variants)}", "seed=0,1", *SMALL]
    outcome = ssgan("fit", "-m", "sweep=ablation", *overrides, f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    output = tmp_path / "digits@50/ablation"
    table = json.loads((output / "table.json").read_text())
    assert list(table) == variants
    for variant, entry in table.items():
        assert entry["seed"] == [0, 1]
        assert all(1 <= score <= 10 for score in entry["score"])
        assert all(fid > 0 for fid in entry["fid"])
        assert all((error is None) == variant.startswith("no_labels") for error in entry["test_error"])
    config = (tmp_path / "digits@50/ablation_no_labels_historical_averaging/split1-seed1/config.yaml").read_text()
    assert "  name: gan\n" in config
    assert "norm: virtual" in config
    with Image.open(output / "samples.png") as picture:
        assert picture.size[0] > picture.size[1]
    assert len((output / "table.md").read_text().splitlines()) == 2 + len(variants)
    (
        tmp_path / "digits@50/ablation_full/split0-seed0/last.ckpt"
    ).unlink()  # of one that collapsed in its first epoch there is none
    again = [
        f"runs={tmp_path}/digits@50/ablation_full/*",
        f"judge={tmp_path}/digits@all/judge/split0-seed0/classifier.safetensors",
    ]
    outcome = ssgan("ablation", *again, f"output={tmp_path / 'again'}", "samples=20", "splits=2")
    assert outcome.code == 0, outcome.err
    assert "ablation_full/split0-seed0: collapsed before its first checkpoint" in outcome.err
    assert json.loads((tmp_path / "again/table.json").read_text())["full"]["seed"] == [1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.callbacks.ablation.samples=1", "samples=1, splits=2: use 1 split or more, and at least 4 samples"),
        ("data_dir=/nowhere", ""),  # the judge's training, a process of its own, says why
        ("dataset.name=mine", "sweep=ablation: its judge learns a data set by its name, and dataset=mine has none"),
    ],
)
def test_sweep_without_a_judge_or_enough_samples_ends_before_its_runs(
    ssgan: Command, tmp_path: Path, override: str, message: str
) -> None:
    """Kills an error in Hydra's callback that ends as a warning."""
    overrides = ["dataset=mnist", "download=false", "seed=0", *SMALL, override]
    outcome = ssgan("fit", "-m", "sweep=ablation", *overrides, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert message in outcome.err
    assert not list(tmp_path.rglob("metrics.json"))


def test_table_gives_mean_and_sample_sd() -> None:
    entry = {"score": [5.0, 6.0, 7.5], "fid": [1.0, 2.0, 3.0], "test_error": [0.01, 0.02, 0.04]}
    row = as_markdown({"full": entry, "no_labels": {**entry, "test_error": [None] * 3}}).splitlines()[2:]
    assert f"{mean(entry['score']):.2f} ± {stdev(entry['score']):.2f} (3)" in row[0]
    assert "2.3 ± 1.5 (3)" in row[0]
    assert "no classes" in row[1]


def test_no_runs(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("ablation", f"runs={tmp_path}/nothing*", "judge=j", f"output={tmp_path}")
    assert outcome.code == 1
    assert "matches no run folder" in outcome.err
