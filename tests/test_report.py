"""A report says what the runs say: its numbers are theirs, its page needs nothing else, and what is missing is named."""

import html
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import TINY, Outcome, make_classifier, shorten_baseline, tiny
from PIL import Image
from scipy.stats import linregress, t
from torchmetrics.functional.classification import multiclass_calibration_error

from ssgan.data.image_data import ImageData
from ssgan.data.splits import draw_split
from ssgan.evaluation.classification import BINS, calibration_bins, evaluate
from ssgan.evaluation.pixels import LEARNERS, errors_on_pixels, flat
from ssgan.inference.classifier_file import save_classifier
from ssgan.nets import MLPClassifier
from ssgan.reporting.content import COLUMNS, COMPARED, compare
from ssgan.reporting.efficiency import power_law
from ssgan.reporting.figures import confusion_matrix
from ssgan.reporting.markdown import BEGIN, END
from ssgan.reporting.pictures import PICTURE_BYTES, small_png
from ssgan.reporting.results import Results
from ssgan.schema import CONFIG_DIR

Command = Callable[..., Outcome]
DIGITS = {"_target_": "ssgan.data.datasets.digits", "name": "digits"}
ERRORS = ((0.09, 0.15), (0.08, 0.12), (0.13, 0.2))
"""Test and supervised-only error of three runs."""


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """write_run(split, condition, recipe, **metrics) writes a run folder with metrics.json and config.yaml alone."""

    def write(split: int = 0, condition: str = "digits@50", recipe: str = "gan", **changes: Any) -> Path:
        folder = tmp_path / "runs" / condition / re.sub(r"\W", "_", recipe) / f"split{split}-seed0"
        folder.mkdir(parents=True)
        command = f"python -m ssgan.fit name={recipe} split_seed={split} runs_dir=/elsewhere/runs"
        metrics = {
            "status": "finished",
            "test_error": 0.09,
            "supervised_error": None,
            "ece": 0.05,
            "nll": 0.3,
            "epochs": 2,
            "seconds": 90.0,
            "condition": condition,
            "method": "improved_gan",
            "name": recipe,
            "split_seed": split,
            "seed": 0,
            "split_digest": "0123456789abcdef",
            "command": command,
        }
        config = {"dataset": DIGITS, "method": {"epochs": 2}, "split_seed": split, "seed": 0, "name": recipe}
        config |= changes.pop("config", {})
        (folder / "metrics.json").write_text(json.dumps(metrics | changes))
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return folder

    return write


def add_everything(folder: Path, classifier: MLPClassifier) -> None:
    """Every other file that a report reads."""
    save_classifier(folder / "classifier.safetensors", classifier, tuple("0123456789"), dataset="digits")
    (folder / "metrics.csv").write_text(
        "epoch,step,train/supervised,val/error,seconds\n1,10,0.5,0.2,3\n2,20,0.1,0.1,6\n"
    )
    versions = {"torch": "2.9.0", "ssgan": "0.1.0"}
    made = {"python": "3.12.1", "machine": "Abacus, 4 cores", "versions": versions, "git_commit": "c0ffee"}
    (folder / "environment.json").write_text(json.dumps(made))
    (folder / "samples").mkdir()
    for epoch, gray in ((1, 40), (9, 80), (10, 160)):
        Image.new("RGB", (60, 60), (gray, gray, gray)).save(folder / "samples" / f"epoch_{epoch:04d}.png")


@pytest.fixture
def make_report(ssgan: Command, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """make_report(*overrides) -> report.md and report.html of all runs that `write_run` wrote."""

    def make(*overrides: object, pattern: str = "*/*/*") -> tuple[str, str]:
        output = tmp_path / "report"
        outcome = ssgan("report", f"runs={tmp_path}/runs/{pattern}", f"output={output}", "download=false", *overrides)
        assert outcome.code == 0, outcome.err
        return (output / "report.md").read_text(), (output / "report.html").read_text()

    return make


def markdown_rows(text: str) -> list[list[str]]:
    """Of all tables, heads among them."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def html_rows(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub("<[^>]+>", "", cell)) for cell in row] for row in cells]


def cells(text: str, row: int = 0) -> dict[str, str]:
    head, *rows = markdown_rows(text)
    return dict(zip(head, rows[row], strict=True))


def test_mean_sd_and_paired_standard_error(write_run: Callable[..., Path], make_report: Any) -> None:
    """Kills the sd of the population, the standard error of unpaired errors, and a sd of one run."""
    for split, (error, supervised) in enumerate(ERRORS):
        write_run(split, test_error=error, supervised_error=supervised, ece=0.01 * split, seconds=60.0 * split)
    write_run(0, "mnist@100", "one", test_error=0.0093, supervised_error=0.2)
    text, _ = make_report()
    errors, supervised = 100 * np.array(ERRORS).T
    gain = supervised - errors
    row = cells(text)
    assert row["test error (%)"] == f"{errors.mean():.2f} ± {errors.std(ddof=1):.2f} (3)" == "10.00 ± 2.65 (3)"
    assert row["supervised only (%)"] == f"{supervised.mean():.2f} ± {supervised.std(ddof=1):.2f} (3)"
    assert row["difference (%)"] == f"{gain.mean():.2f} ± {gain.std(ddof=1) / 3**0.5:.2f} (3)" == "5.67 ± 0.88 (3)"
    assert (row["paper (%)"], row["ECE"], row["minutes a run"]) == ("-", "0.010", "1.0")
    one = cells(text, 1)
    assert (one["test error (%)"], one["difference (%)"], one["paper (%)"]) == ("0.93 (1)", "19.07 (1)", "0.93 ± 0.065")


def test_the_generators_health_is_the_mean_of_the_runs_that_have_it(
    write_run: Callable[..., Path], make_report: Any
) -> None:
    for split, health in enumerate(({"distinct": 0.8, "recall": 0.25}, {"distinct": 0.6}, None, "odd")):
        write_run(split, health=health)
    for text in make_report():
        assert "Generator, mean of 2 runs: distinct nearest images 0.70, recall 0.25." in text


def test_uneven_labels_are_told_by_class(write_run: Callable[..., Path], make_report: Any) -> None:
    """Kills a mean that hides the rare class, and a class without test images that counts as right."""
    for split, rare in enumerate((0.5, 0.7)):
        per_class = {"per_class_error": [0.1, rare, None], "balanced_error": (0.1 + rare) / 2}
        write_run(split, labels_per_class={"cat": 20, "dog": 2 + 2 * split, "_x_": 20}, **per_class)
    write_run(2, labels_per_class={"cat": 20, "dog": 20, "_x_": 20}, per_class_error=[0.0] * 3, balanced_error=0.0)
    text, page = make_report()
    told = (
        "Labels are uneven: balanced error 35.00 ± 7.07 (2) %, by class dog (3 labels) 60.0%, cat (20 labels) 10.0%, "
    )
    assert told + r"\_x\_ (20 labels) -." in text
    assert told + "_x_ (20 labels) -." in page


def test_runs_of_other_classes_are_not_averaged_with_the_first(
    write_run: Callable[..., Path], make_report: Any
) -> None:
    for split, name in enumerate(("dog", "cow")):
        of_run = {"per_class_error": [0.1, 0.5], "balanced_error": 0.3}
        write_run(split, labels_per_class={"cat": 20, name: 2}, **of_run)
    assert "balanced error 30.00 (1) %, by class dog (2 labels) 50.0%, cat (20 labels) 10.0%" in make_report()[0]


def test_folds_are_no_runs(write_run: Callable[..., Path], make_report: Any) -> None:
    """Kills the error of the training that gives the temperature, which has the seeds of its run."""
    folder = write_run(0, test_error=0.05)
    shutil.copytree(write_run(1, test_error=0.2), folder / "fold1of8")
    shutil.rmtree(folder.with_name("split1-seed0"))
    assert cells(make_report(pattern="**")[0])["test error (%)"] == "5.00 (1)"


def test_names_that_are_not_unicode(
    write_run: Callable[..., Path], make_report: Any, tmp_path: Path, ssgan: Command
) -> None:
    """A folder's name may be any bytes, and so may a class's; and a slash may stand in a run's."""
    per_class = {"per_class_error": [0.1, 0.5], "balanced_error": 0.3}
    write_run(0, recipe="trial/lr1", labels_per_class={"cat": 20, "caf\udce9": 2}, **per_class)
    results, readme = tmp_path / "results", tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n")
    outcome = ssgan(
        "report", f"runs={tmp_path}/runs/*/*/*", f"output={tmp_path}", f"results={results}", "download=false"
    )
    assert outcome.code == 0, outcome.err
    assert b"caf\xe9 (2 labels) 50.0%" in (tmp_path / "report.md").read_bytes()
    assert ssgan("report", f"results={results}", f"readme={readme}").code == 0
    assert cells(readme.read_text())["recipe"] == "trial/lr1"


def test_two_recipes_never_share_a_file(write_run: Callable[..., Path], make_report: Any, tmp_path: Path) -> None:
    """A slash in a run's name is written as _, which another name may have."""
    write_run(0, recipe="trial/a", test_error=0.1)
    results = tmp_path / "results"
    make_report(f"results={results}")
    shutil.rmtree(tmp_path / "runs")
    write_run(0, recipe="trial_a", test_error=0.2)
    with pytest.raises(
        AssertionError, match="holds results of digits@50, trial/a; those of digits@50, trial_a would go"
    ):
        make_report(f"results={results}")
    [path] = results.iterdir()
    assert json.loads(path.read_text())["mean"] == 0.1


def test_only_runs_with_both_errors_are_paired(write_run: Callable[..., Path], make_report: Any) -> None:
    """Kills the difference of two means over different runs."""
    write_run(0, test_error=0.1, supervised_error=0.3)
    write_run(1, test_error=0.2, supervised_error=0.6)
    write_run(2, test_error=0.9, supervised_error=None)
    write_run(3, test_error=None, supervised_error=0.45)
    row = cells(make_report()[0])
    assert row["test error (%)"].startswith("40.00 ±")
    assert row["supervised only (%)"] == "45.00 ± 15.00 (3)"
    assert row["difference (%)"] == "30.00 ± 10.00 (2)"


def test_a_collapsed_run_counts(write_run: Callable[..., Path], make_report: Any) -> None:
    write_run(0, test_error=0.1)
    write_run(1, test_error=0.9, status="collapsed")
    row = cells(make_report()[0])
    assert row["test error (%)"] == "50.00 ± 56.57 (2, 1 collapsed)"
    assert row["supervised only (%)"] == "not run"


def test_unfinished_runs_are_named_and_left_out(write_run: Callable[..., Path], make_report: Any) -> None:
    """``**`` matches every folder: those that hold runs, or lie within one, are no runs."""
    (write_run(0) / "samples").mkdir()
    unfinished = write_run(1, test_error=0.9)
    (unfinished / "metrics.json").unlink()
    for pattern in ("*/*/*", "**"):
        for text in make_report(pattern=pattern):
            assert "1 finished run of 1 condition and recipe. 1 unfinished run was left out." in text
            assert str(unfinished) in text
        assert cells(make_report(pattern=pattern)[0])["test error (%)"] == "9.00 (1)"


def test_runs_without_a_test_error(write_run: Callable[..., Path], make_report: Any) -> None:
    write_run(0, "digits@none", "a", test_error=None, ece=None)
    own = write_run(0, "own@50", "b", test_error=None, ece=None)
    save_classifier(own / "classifier.safetensors", make_classifier(), tuple("0123456789"))
    text, page = make_report()
    assert cells(text, 0)["test error (%)"] == "no classes"
    assert cells(text, 1)["test error (%)"] == "no test images"
    assert "No calibration plot" not in page.partition("own@50</span>")[0].partition("<section")[2]


def test_both_files_have_the_same_tables(write_run: Callable[..., Path], make_report: Any) -> None:
    """By data set, budget as a number, and recipe; ``all`` is the largest budget."""
    for condition, recipe in (
        ("digits@all", "a"), ("digits@200", "b"), ("digits@50", "b_c"), ("digits@50", "a"), ("cifar10@4000", "x|y"),
    ):  # fmt: skip
        write_run(0, condition, recipe, supervised_error=0.25)
    text, page = make_report()
    rows = html_rows(page)
    assert [row[:2] for row in rows[1:] if len(row) == len(COLUMNS)] == [
        ["cifar10@4000", "x|y"], ["digits@50", "a"], ["digits@50", "b_c"], ["digits@200", "b"], ["digits@all", "a"],
    ]  # fmt: skip
    assert [[cell.replace(r"\|", "|") for cell in row] for row in markdown_rows(text)] == rows


def test_the_page_refers_to_nothing_else(
    write_run: Callable[..., Path], make_report: Any, classifier: MLPClassifier, tmp_path: Path
) -> None:
    add_everything(write_run(0), classifier)
    write_run(0, "digits@100")
    text, page = make_report()
    sources = re.findall(r"\s(?:src|href|srcset|action|poster|data)\s*=\s*[\"']?([^\"'\s>]*)", page)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#recipe-", "#top")) for source in sources)
    assert not re.search(r"https?:|file:|@import|url\(|<link|<script|<iframe", page)
    assert "default-src 'none'" in page
    assert page.count("<img ") == page.count(' alt="') == page.count("data:image/png;base64,") == 6
    shown = re.findall(r"!\[.+?\]\((.+?)\)", text)
    assert len(shown) == 6
    assert {tmp_path / "report" / name for name in shown} == set((tmp_path / "report").rglob("*.png"))
    for path in (tmp_path / "report").rglob("*.png"):
        with Image.open(path) as picture:
            picture.load()
        assert path.stat().st_size < PICTURE_BYTES


@pytest.mark.slow
def test_names_are_text(write_run: Callable[..., Path], make_report: Any, classifier: MLPClassifier) -> None:
    """Kills a name that is markup in the page, ends an attribute, ends a table cell, or is mathematics in a figure."""
    for split, recipe in enumerate(("<b>", '"><img src=x onerror=alert(1)>', "a | b", "$x_$", "`c`")):
        add_everything(write_run(split, recipe=recipe), classifier)
        write_run(split, "digits@100", recipe, supervised_error=0.3)
    text, page = make_report()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert "<img src=x" not in page
    assert {len(row) for row in markdown_rows(text) + html_rows(page)} == {len(COLUMNS), len(COMPARED)}
    assert "<b>" not in re.sub(r"`[^`\n]*`|^    .*$|\\<", "", text, flags=re.MULTILINE)


@pytest.mark.slow
def test_figures_are_there_when_their_data_are(
    write_run: Callable[..., Path], make_report: Any, classifier: MLPClassifier, tmp_path: Path
) -> None:
    def figures(*overrides: str) -> set[str]:
        shutil.rmtree(tmp_path / "report", ignore_errors=True)
        make_report(*overrides)
        return {path.name for path in (tmp_path / "report").rglob("*.png")}

    first = write_run(0)
    assert figures() == set()
    text, _ = make_report()
    assert r"No learning curves" in text
    assert "No calibration plot and no confusion matrix" in text
    assert "no such file" in text
    assert "environment.json is missing or broken" in text
    add_everything(write_run(1), classifier)
    assert figures() == set(), "the figures are of the first run"
    add_everything(first, classifier)
    all_five = {f"digits@50-gan-{kind}.png" for kind in ("samples", "curves", "calibration", "selection", "confusion")}
    assert figures() == all_five
    write_run(0, "digits@all")
    write_run(0, "mnist@100")
    write_run(0, "digits@100", test_error=None)
    assert figures() == all_five, "one numeric budget with an error is no line"
    write_run(0, "digits@200")
    assert figures() == all_five | {"labels-0.png"}


def test_figures_and_commands_are_the_runs_own(
    write_run: Callable[..., Path], make_report: Any, classifier: MLPClassifier, digits: ImageData, tmp_path: Path
) -> None:
    """Kills the first grid for the last, the training images for the test images, and a command that names a place."""
    for split in (0, 1):
        add_everything(write_run(split), classifier)
    for text in make_report():
        assert "python -m ssgan.fit name=gan split_seed=0\n" in text
        assert "split_seed=1" in text
        assert "runs_dir" not in text
        assert text.count("Abacus, 4 cores; Python 3.12.1, torch 2.9.0, ssgan 0.1.0; commit c0ffee") == 1
        assert "after epoch 10" in text
        measured = evaluate(classifier.eval()(digits.test_images / 255).log_softmax(1), digits.test_targets)
        assert f"{round(500 * measured['error'])} of 500 test images are misclassified" in text
        assert f"ECE {measured['ece']:.3f}" in text
    with Image.open(tmp_path / "report/figures/digits@50-gan-samples.png") as grid:
        assert grid.getpixel((0, 0)) == (160, 160, 160)


def test_data_that_cannot_be_had_are_named(
    write_run: Callable[..., Path], make_report: Any, write_npz: Callable[..., Path], tmp_path: Path
) -> None:
    """The report's own data_dir counts, not the place where the data were when the run was made."""
    mnist = yaml.safe_load((Path(CONFIG_DIR) / "dataset" / "mnist.yaml").read_text())
    del mnist["defaults"]
    mnist |= {"data_dir": "/elsewhere", "download": True}
    network = MLPClassifier((1, 28, 28), 10, [16], input_noise=0.1, hidden_noise=0.1, init_std=0.1)
    add_everything(write_run(0, "mnist@100", config={"dataset": mnist}), network)
    for text in make_report("data_dir=/nowhere"):
        assert "No calibration plot and no confusion matrix: data_dir=/nowhere: no mnist there" in html.unescape(text)
    path = write_npz()
    assert "of 40 test images are misclassified" in make_report(f"data_dir={path.parent}")[0]


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ({"_target_": "os.mkdir", "path": "{touched}"}, "names no data set of ssgan"),
        ({"_target_": "ssgan.data.datasets.np.load", "file": "{touched}"}, "names no data set of ssgan"),
        ({**DIGITS, "name": {"_target_": "os.mkdir", "path": "{touched}"}}, "misclassified"),
        ({"_target_": "ssgan.data.datasets.Path"}, "ssgan.data.datasets.Path is no data set"),
        ({**DIGITS, "data_dir": "x"}, "unexpected keyword argument"),
        (None, "names no data set of ssgan"),
    ],
)
def test_a_configuration_from_others_executes_nothing(
    write_run: Callable[..., Path],
    make_report: Any,
    classifier: MLPClassifier,
    tmp_path: Path,
    dataset: Any,
    reason: str,
) -> None:
    text = json.dumps(dataset).replace("{touched}", str(tmp_path / "touched"))
    add_everything(write_run(0, config={"dataset": json.loads(text)}), classifier)
    assert reason in make_report()[0].replace("\\", "")
    assert not (tmp_path / "touched").exists()


def test_broken_files_of_a_run_are_named(
    write_run: Callable[..., Path], make_report: Any, classifier: MLPClassifier
) -> None:
    folder = write_run(0)
    add_everything(folder, classifier)
    for name in ("metrics.csv", "environment.json", "config.yaml", "classifier.safetensors", "samples/epoch_0010.png"):
        (folder / name).write_bytes(b"epoch,{[\n1,2,3")
    text = make_report()[0].replace("\\", "")
    for name in ("metrics.csv", "environment.json", "config.yaml", "samples/epoch_0010.png"):
        assert name in text
    assert "![" not in text


def test_what_a_mean_should_not_hide_is_said(write_run: Callable[..., Path], make_report: Any, tmp_path: Path) -> None:
    """Kills a mean over two recipes with one name, over one run twice, and over one split that looks like many."""
    write_run(0, config={"validation": 0})
    write_run(1, config={"data_dir": "other", "validation": 100})
    assert "differ in more than their seeds: validation." in make_report()[1]
    shutil.rmtree(tmp_path / "runs")
    shutil.copytree(write_run(0), tmp_path / "runs" / "digits@50" / "gan" / "copy")
    assert "the same run may be in here twice" in make_report()[1]
    shutil.rmtree(tmp_path / "runs")
    write_run(0)
    write_run(1, split_seed=0, seed=1)
    assert "Splits among these 2 runs: 1." in make_report()[1]
    shutil.rmtree(tmp_path / "runs")
    for split in range(3):
        write_run(
            split, config={"data_dir": str(split), "seed": split, **({"key_of_a_newer_version": 1} if split else {})}
        )
    assert 'class="warn"' not in make_report()[1]


def test_the_table_in_a_readme(write_run: Callable[..., Path], make_report: Any, tmp_path: Path) -> None:
    """What stands around the markers stays, byte for byte, and a second report replaces the first."""
    readme = tmp_path / "README.md"
    before, after = b"# Mine\r\n\n", b"\n\ttail \xc3\xbc\r\n"
    for error, newline in ((0.1, "\n"), (0.2, "\n"), (0.1, "\r\n"), (0.2, "\r\n")):
        if error == 0.1:
            readme.write_bytes(before + newline.join([BEGIN, "old", END]).encode() + after)
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        write_run(0, test_error=error)
        text, _ = make_report(f"readme={readme}")
        table = [line for line in text.splitlines() if line.startswith("|")]
        assert readme.read_bytes() == before + newline.join([BEGIN, *table, END]).encode() + after


def test_mistakes(write_run: Callable[..., Path], ssgan: Command, tmp_path: Path) -> None:
    folder = write_run(0)
    output = tmp_path / "report"

    def message(**changes: object) -> str:
        arguments = {"runs": f"{tmp_path}/runs/*/*/*", "output": output} | changes
        outcome = ssgan("report", *(f"{key}={value}" for key, value in arguments.items() if value is not None))
        assert outcome.code == 1
        assert outcome.err.count("error: ") == 1
        assert "Traceback" not in outcome.err
        assert not output.exists()
        return outcome.err

    assert "missing: output=..." in message(output=None)
    assert "missing: runs=..." in message(runs=None)
    nothing = message(runs="/nowhere/*")
    assert "runs=/nowhere/*: matches no run folder" in nothing
    assert "runs='runs/*/*/*'" in nothing
    for text in ("", f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}", BEGIN):
        (tmp_path / "README.md").write_text(text)
        wrong = message(readme=tmp_path / "README.md")
        assert f"README.md: add the lines {BEGIN} and {END}, once each" in wrong
        assert (tmp_path / "README.md").read_text() == text
    assert "readme=/nowhere.md: cannot be read" in message(readme="/nowhere.md")
    assert "cannot be written" in message(output=folder / "config.yaml")
    metrics = json.loads((folder / "metrics.json").read_text())
    for content, why in (
        ('{"status": "fin', "is damaged"),
        ("\xff", "is damaged"),
        ("[]", "condition, name"),
        (json.dumps(metrics | {"test_error": "low"}), "test_error missing or of another type"),
        (json.dumps({key: value for key, value in metrics.items() if key != "seed"}), "(seed missing or"),
    ):
        (folder / "metrics.json").write_text(content, encoding="latin-1")
        said = message()
        assert f"{folder / 'metrics.json'} is damaged (" in said
        assert why in said
        assert "Delete it" in said
    (folder / "metrics.json").unlink()
    assert "matches 1 run folders, none of them finished" in message()


def test_a_large_picture_becomes_small(tmp_path: Path) -> None:
    """Noise, which no format compresses, fits after all; a small picture stays as it is."""
    noise = np.random.default_rng(0).integers(0, 256, (680, 680, 3), np.uint8)
    for size, name in ((680, "large.png"), (60, "small.png")):
        Image.fromarray(noise[:size, :size]).save(tmp_path / name)
    content = small_png(tmp_path / "large.png")
    assert len(content) <= PICTURE_BYTES < (tmp_path / "large.png").stat().st_size
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.width == picture.height > 300
    assert small_png(tmp_path / "small.png") == (tmp_path / "small.png").read_bytes()


def test_calibration_bins_give_the_calibration_error() -> None:
    """With an image of probability 1 among them, which belongs to the last bin."""
    torch.manual_seed(0)
    logits = 4 * torch.randn(1000, 5, dtype=torch.float64)
    targets = torch.randint(5, (1000,))
    log_probabilities = torch.cat([logits.log_softmax(1), torch.tensor([[0.0] + 4 * [-1e9]]).double()])
    targets = torch.cat([targets, torch.zeros(1, dtype=torch.long)])
    count, confidence, right = calibration_bins(log_probabilities, targets)
    assert count.shape == (BINS,)
    assert count.sum() == 1001
    theirs = multiclass_calibration_error(log_probabilities.exp(), targets, 5, n_bins=BINS)  # in float64
    assert evaluate(log_probabilities, targets)["ece"] == pytest.approx(theirs.item(), abs=1e-3)
    error = (count * (confidence - right).abs()).nansum() / count.sum()
    assert evaluate(log_probabilities, targets)["ece"] == pytest.approx(error.item(), abs=1e-6)
    assert confidence[-1] <= 1
    some = torch.tensor([[0.59, 0.41], [0.39, 0.61], [0.99, 0.01]]).log()
    count, _, right = calibration_bins(some, torch.zeros(3, dtype=torch.long))
    assert count.nonzero().flatten().tolist() == [8, 9, 14]
    assert right[[8, 9, 14]].tolist() == [1, 0, 1]


def test_the_calibration_error_of_many_images() -> None:
    """Sums in float32 are 18 % too large there."""
    uncertainty = torch.tensor(0.0071, dtype=torch.float64)
    log_probabilities = torch.stack([1 - uncertainty, uncertainty]).log().float().expand(300_000, 2)
    targets = torch.zeros(300_000, dtype=torch.long)
    assert evaluate(log_probabilities, targets)["ece"] == pytest.approx(uncertainty.item(), abs=2e-6)


def test_confusion_matrix_counts_true_classes_in_rows() -> None:
    log_probabilities = torch.eye(3)[torch.tensor([0, 1, 1, 2, 2, 2])]
    matrix = confusion_matrix(log_probabilities, torch.tensor([0, 0, 1, 0, 0, 2]))
    assert matrix.tolist() == [[1, 1, 2], [0, 1, 0], [0, 0, 1]]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["improved_gan", "gan"])
def test_it_reads_what_fit_writes(
    ssgan: Command, tmp_path: Path, make_report: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a report of files that fit no longer writes so."""
    shorten_baseline(monkeypatch, 2)
    held_out = [] if method == "improved_gan" else ["validation=0"]
    outcome = ssgan("fit", *tiny(method), *held_out, "baseline=true", f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    text, _ = make_report()
    kinds = (
        ["samples", "curves", "calibration", "selection", "confusion"]
        if method == "improved_gan"
        else ["samples", "curves"]
    )
    assert re.findall(r"-(\w+)\.png\)", text) == kinds
    metrics = json.loads(next((tmp_path / "runs").glob(f"*/{method}/*/metrics.json")).read_text())
    has_classes = method == "improved_gan"
    expected = [f"{100 * metrics['test_error']:.2f} (1)"] if has_classes else ["no classes"]
    assert cells(text)["test error (%)"] == expected[0]
    assert "No " not in text
    assert "missing or broken" not in text
    assert ("Model card of the first run" in text) == has_classes
    assert "runs_dir" not in text
    assert f"Generator, mean of 1 run: distinct nearest images {metrics['health']['distinct']:.2f}, " in text


def test_the_page_in_a_browser(
    write_run: Callable[..., Path], make_report: Any, classifier: MLPClassifier, browser: Any, tmp_path: Path
) -> None:
    """On a phone and on a desk, in light and dark: every image loads, the links lead somewhere, nothing runs over."""
    for recipe in ("gan", "a_recipe_with_a_name_that_is_much_too_long_for_any_telephone" * 2):
        add_everything(write_run(0, recipe=recipe, supervised_error=0.2), classifier)
        write_run(0, "digits@100", recipe)
    (write_run(1) / "metrics.json").unlink()
    make_report()
    path = tmp_path / "report" / "report.html"
    for width, scheme in ((400, "light"), (1200, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        requests: list[str] = []
        problems: list[str] = []
        page.on("request", lambda request, seen=requests: seen.append(request.url))
        page.on("console", lambda message, seen=problems: seen.append(message.text))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        widths = page.locator("img").evaluate_all("all => all.map(each => each.naturalWidth)")
        assert len(widths) == 11
        assert min(widths) > 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page must not scroll sideways"
        assert page.evaluate("document.body.scrollWidth <= document.body.clientWidth")
        links = page.locator("a").evaluate_all("all => all.map(each => !!document.querySelector(each.hash))")
        assert len(links) == 4 + 4  # to each recipe, and back
        assert all(links)
        assert page.locator("table").first.is_visible()
        colors = page.locator("body").evaluate(
            "body => [getComputedStyle(body).color, getComputedStyle(body).backgroundColor]"
        )
        text, ground = (sum(map(int, re.findall(r"\d+", color)[:3])) for color in colors)
        assert (text < ground) == (scheme == "light")
        assert not problems
        assert all(url.startswith((path.as_uri(), "data:")) for url in requests)
        page.close()


def test_a_run_is_paired_with_the_supervised_run_of_its_split(write_run: Callable[..., Path], make_report: Any) -> None:
    """Kills errors of another split or network beside a run, and a baseline that is a row of its own."""
    net = {"net": {"classifier": {"hidden": [8]}}}
    for split, (error, supervised) in enumerate(ERRORS):
        write_run(split, test_error=error, config=net)
        write_run(split, recipe="gan_supervised", test_error=supervised, method="supervised", config=net)
        write_run(split, recipe="other", test_error=error, config=net)
        write_run(split, recipe="wider", test_error=error, config={"net": {"classifier": {"hidden": [16]}}})
    write_run(1, recipe="supervised", test_error=0.5, method="supervised", config=net)
    text, _ = make_report()
    rows = {row["recipe"]: row for row in (cells(text, n) for n in range(4))}
    gain = 100 * np.array([supervised - error for error, supervised in ERRORS])
    assert rows.keys() == {"gan", "other", "supervised", "wider"}
    assert rows["gan"]["difference (%)"] == f"{gain.mean():.2f} ± {gain.std(ddof=1) / 3**0.5:.2f} (3)"
    assert rows["other"]["supervised only (%)"] == "50.00 (1)"
    assert rows["other"]["difference (%)"] == "42.00 (1)"
    assert rows["wider"]["supervised only (%)"] == rows["supervised"]["supervised only (%)"] == "not run"


def test_runs_that_are_not_given_again_stay(write_run: Callable[..., Path], make_report: Any, tmp_path: Path) -> None:
    for split, error in enumerate((0.1, 0.3)):
        write_run(split, test_error=error)
        make_report(f"results={tmp_path / 'r'}", "pixels=false")
        shutil.rmtree(tmp_path / "runs")
    (path,) = (tmp_path / "r").iterdir()
    content = json.loads(path.read_text())
    assert (content["n"], content["mean"], content["sd"]) == (2, pytest.approx(0.2), pytest.approx(0.141421, abs=1e-5))


def test_labels_of_a_file_count(write_run: Callable[..., Path], make_report: Any, digits: ImageData) -> None:
    """Kills 20 labels that are compared with 40, by difference, rank, the paper's figure and the law of label counts."""
    some, more = ({str(k): count for k in range(10)} for count in (2, 4))
    few = draw_split(digits.train_targets.numpy(), 10, 20, 0)
    folders = [
        write_run(0, "mnist@20", "own", labels_per_class=some, test_error=0.2),
        write_run(0, "mnist@20", "supervised", labels_per_class=some, method="supervised", test_error=0.3),
        write_run(0, "mnist@20", "more", labels_per_class=more, test_error=0.1),
    ]
    for folder, count in zip(folders, (20, 20, 40), strict=True):
        split = replace(few, labeled=tuple(range(count)))
        (folder / "split.json").write_text(json.dumps(split.to_json()))
    text, _ = make_report("pixels=false")
    rows = {row["recipe"]: row for row in (cells(text, n) for n in range(3))}
    assert [rows[name]["supervised only (%)"] for name in ("own", "more")] == ["30.00 (1)", "not run"]
    assert [rows[name]["paper (%)"] for name in ("own", "more")] == ["16.77 ± 4.52", "-"]
    compared = [row[1] for row in markdown_rows(text) if len(row) == len(COMPARED)]
    assert compared == ["recipe", "own", "supervised"]
    assert "With labels_file= these runs have 40 labels." in text
    assert not re.search("these runs have 20 labels", text)


def test_a_difference_is_of_splits() -> None:
    """Kills a standard error of five seeds on two splits that counts ten splits."""
    entries = [
        {"split_seed": split, "test_error": 0.1, "supervised_error": 0.1 + gain + seed / 1000}
        for split, gain in enumerate((0.02, 0.04))
        for seed in (-1, 0, 1)
    ]
    gain = Results("d@1", "r", tuple(entries)).gain()
    assert gain is not None
    assert (gain.mean, gain.standard_error, gain.n) == pytest.approx((0.03, 0.01, 2))


def test_recipes_are_ranked_on_the_splits_that_all_ran() -> None:
    easy = Results("d@1", "easy", ({"split_seed": 0, "test_error": 0.01},))
    better = tuple({"split_seed": split, "test_error": error} for split, error in enumerate((0.008, 0.05)))
    rows = compare([easy, Results("d@1", "better", better)])
    assert [row[1] for row in rows] == ["better", "easy"]
    assert rows[1][3] == "0.20 (1)"


@pytest.mark.slow
def test_results_are_kept(
    ssgan: Command, tmp_path: Path, make_report: Any, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a run that is lost or counted twice, another split's neighbors, and a table of other numbers than the files'."""
    shorten_baseline(monkeypatch, 2)
    short = [*TINY, "trainer.limit_train_batches=2", "validation=0", f"runs_dir={tmp_path / 'runs'}"]
    for split in (0, 1):
        assert ssgan("fit", *short, "baseline=true", f"split_seed={split}").code == 0
    results, readme = tmp_path / "results", tmp_path / "README.md"
    readme.write_text(f"# A\n{BEGIN}\n{END}\n")
    make_report(f"results={results}", pattern="*/*/split0*")
    [path] = results.iterdir()
    assert path.name == "digits@50_improved_gan.json"
    before = json.loads(path.read_text())
    assert (before["n"], before["sd"], len(before["runs"])) == (1, None, 1)
    shutil.rmtree(tmp_path / "runs/digits@50/improved_gan_supervised/split0-seed0")
    make_report(f"results={results}", f"readme={readme}")
    after = json.loads(path.read_text())
    assert after["n"] == 2
    assert after["runs"][0] == before["runs"][0]  # the baseline that is gone too
    [first, second] = after["runs"]
    for entry, split_seed in ((first, 0), (second, 1)):
        folder = f"split{split_seed}-seed0/metrics.json"
        assert (
            entry["test_error"]
            == json.loads((tmp_path / "runs/digits@50/improved_gan" / folder).read_text())["test_error"]
        )
        assert "runs_dir" not in entry["command"]
        assert "method=supervised" not in entry["command"]
        assert entry["threads"] >= 1
        split = draw_split(digits.train_targets.numpy(), 10, 50, split_seed)
        assert {name: entry[f"{name}_error"] for name in LEARNERS} == errors_on_pixels(digits, split)
    assert first["label_spreading_error"] != second["label_spreading_error"]
    [row] = [cells(readme.read_text())]
    mean = 50 * (first["test_error"] + second["test_error"])
    assert row["test error (%)"].startswith(f"{mean:.2f} ± ")
    assert row["label spreading (%)"].endswith("(2)")
    shutil.rmtree(tmp_path / "runs")
    written = readme.read_text()
    readme.write_text(f"# A\n{BEGIN}\n{END}\n")
    assert ssgan("report", f"results={results}", f"readme={readme}").code == 0
    assert readme.read_text() == written


def test_learners_on_pixels(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills unlabeled images that are not seen, or whose labels are, and more labeled ones than fit."""
    split = draw_split(digits.train_targets.numpy(), 10, 50, 0)
    found = errors_on_pixels(digits, split)
    assert 0.03 < found["label_spreading"] < found["logistic_regression"] < 0.2
    shuffled = replace(digits, train_targets=digits.train_targets.clone())
    rest = np.setdiff1d(np.arange(len(digits.train_targets)), split.labeled)
    shuffled.train_targets[rest] = 0
    assert errors_on_pixels(shuffled, split) == found
    of_one_class = np.flatnonzero(digits.train_targets.numpy() == 3)[:4].tolist()
    assert errors_on_pixels(digits, replace(split, labeled=tuple(of_one_class))) == {}
    monkeypatch.setattr("ssgan.evaluation.pixels.SPREAD_OVER", 40)
    seen: list[int] = []
    monkeypatch.setattr("ssgan.evaluation.pixels.flat", lambda images: seen.append(len(images)) or flat(images))
    assert errors_on_pixels(digits, split).keys() == found.keys()
    assert seen[:2] == [40, 0]
    monkeypatch.undo()
    few = replace(digits, train_images=digits.train_images[: max(split.labeled) + 1])
    assert errors_on_pixels(few, split)["logistic_regression"] == found["logistic_regression"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting"),
        ("[]", "holds no results"),
        ('{"runs": [{"seed": 1}]}', "a run without seeds"),
        ('{"runs": [{"seed": 1, "split_seed": 0, "test_error": "0.1"}]}', "a run with another type of test_error"),
        ('{"runs": [{"seed": 1, "split_seed": null, "test_error": 0.1}]}', "a run with another type of split_seed"),
        (None, "holds no results"),
    ],
)
def test_results_that_are_none(ssgan: Command, tmp_path: Path, content: str | None, why: str) -> None:
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    if content:
        (tmp_path / "a@1_b.json").write_text(content)
    outcome = ssgan("report", f"results={tmp_path}", f"readme={tmp_path / 'README.md'}")
    assert outcome.code == 1
    assert why in outcome.err
    assert (tmp_path / "README.md").read_text() == f"{BEGIN}\n{END}\n"


def test_a_power_law_by_hand(write_run: Callable[..., Path], make_report: Any) -> None:
    """Runs on an exact law give it back, noise its interval (scipy's regression beside it); two runs, or one budget, give none."""
    budgets = {50: (0.20, 0.24), 100: (0.14, 0.12), 200: (0.08, 0.10)}
    groups = [
        Results(f"digits@{labels}", "gan", tuple({"test_error": error} for error in errors))
        for labels, errors in budgets.items()
    ]
    law = power_law(groups)
    assert law is not None
    x = np.log([labels for labels in budgets for _ in range(2)])
    fit = linregress(x, np.log([error for errors in budgets.values() for error in errors]))
    assert (law.exponent, law.exponent_error) == pytest.approx((-fit.slope, fit.stderr))
    middle, low, high = law.error(1.0)  # where log labels is 0
    half = t.ppf(0.975, 4) * fit.intercept_stderr
    assert np.log([middle, low, high]).tolist() == pytest.approx(
        [fit.intercept, fit.intercept - half, fit.intercept + half]
    )
    exact = power_law([Results(f"d@{n}", "gan", ({"test_error": 2 * n**-0.5},)) for n in (100, 400, 1600)])
    assert exact is not None
    assert exact.error(2500) == pytest.approx((0.04, 0.04, 0.04))
    assert "50 labels more than 1600 would take it from 5.00% to 4.92%" in exact.told()
    for wild in (
        ((20, 0.3), (20, 0.2), (40, 0.15)),
        ((100, 0.05), (100, 0.0), (104, 0.05)),
        ((50, 0.1), (50, 0.2), (100, 0.4)),
    ):
        law_of_it = power_law([Results(f"d@{labels}", "gan", ({"test_error": error},)) for labels, error in wild])
        assert law_of_it is not None
        assert "cannot be told from these runs" in law_of_it.told()
        assert "--" not in law_of_it.told()
    assert power_law(groups[:1]) is None
    assert power_law([Results(f"d@{n}", "gan", ({"test_error": 0.1},)) for n in (1, 2)]) is None
    assert power_law([Results("d@all", "gan", ({"test_error": 0.1},) * 3)]) is None
    for labels, errors in budgets.items():
        for split, error in enumerate(errors):
            write_run(split, f"digits@{labels}", test_error=error)
    for text in make_report():
        assert f"gan: {law.told()}" in html.unescape(text).replace("\\", "")


def test_recipes_of_a_condition_stand_beside_each_other(write_run: Callable[..., Path], make_report: Any) -> None:
    """Kills a difference of means over other splits, and a row where there is nothing to compare with."""
    for split, error in enumerate((0.10, 0.14, 0.30)):
        write_run(split, recipe="worse", test_error=error, seconds=60.0)
    for split, error in enumerate((0.05, 0.07)):
        write_run(split, recipe="better", test_error=error, seconds=120.0)
    write_run(9, recipe="elsewhere", test_error=0.5)
    write_run(0, "digits@100", "worse")
    text, page = make_report()
    expected = [
        ["digits@50", "better", "6.00 ± 1.41 (2)", "-", "2.0"],
        ["digits@50", "worse", "18.00 ± 10.58 (3)", "6.00 ± 1.00 (2)", "1.0"],
        ["digits@50", "elsewhere", "50.00 (1)", "-", "1.5"],
    ]
    for rows in (markdown_rows(text), html_rows(page)):
        start = rows.index(list(COMPARED))
        assert [row for row in rows[start + 1 :] if len(row) == len(COMPARED)] == expected
