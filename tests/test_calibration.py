"""Temperatures, outliers by log Z, and classes that are not named: from a run to what predict writes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, Outcome
from omegaconf import OmegaConf
from PIL import Image

import ssgan
from ssgan import load_classifier
from ssgan.configuration import baseline_config, compose
from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError
from ssgan.evaluation.calibration import fit_temperature, with_temperature
from ssgan.evaluation.classification import ood_share_lower_bound
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import save_classifier
from ssgan.inference.ensemble import Ensemble
from ssgan.nets import MLPClassifier
from ssgan.training import run
from ssgan.training.build import fit_to_pool
from ssgan.training.launch import resolve_batch_sizes
from ssgan.training.run import Result
from ssgan.training.run_dir import RunFolder
from ssgan.training.split import fold_configs, load_labeled, require_enough

Command = Callable[..., Outcome]
HEADER = {"class_names": list("0123456789"), "image_shape": [1, 8, 8], "pixel_range": [0, 1]}


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_of_a_classifier_that_is_off_by_one_is_found(temperature: float) -> None:
    """Targets drawn from softmax(logits): of logits times T the best temperature is T."""
    rng = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 5, generator=rng)
    targets = torch.multinomial(logits.softmax(1), 1, generator=rng).squeeze(1)
    log_p = (logits * temperature).log_softmax(1)
    found = fit_temperature(log_p, targets)
    assert found == pytest.approx(temperature, rel=0.03)
    best = F.nll_loss(with_temperature(log_p, found), targets)
    assert all(best <= F.nll_loss(with_temperature(log_p, found * by), targets) + 1e-6 for by in (0.97, 1.03))


def test_few_images_that_are_all_right_are_no_proof() -> None:
    """Kills a temperature of 0, with which one mistake would cost everything; many images outweigh what was thought before."""
    log_p = torch.tensor([[3.0, 0, 0]]).log_softmax(1)
    right, wrong = torch.zeros(30, dtype=torch.int64), torch.ones(30, dtype=torch.int64)
    assert 0.3 < fit_temperature(log_p.expand(30, 3), right) < 0.8
    assert fit_temperature(log_p.expand(30, 3), wrong) > 3
    assert fit_temperature(log_p.expand(30_000, 3), right.repeat(1000)) < 0.3
    assert fit_temperature(log_p.expand(3, 3), right[:3]) == pytest.approx(1, abs=0.2)


def test_a_classifier_divides_its_logits_and_not_log_z(classifier: MLPClassifier, digits: ImageData) -> None:
    images = digits.test_images[:50]
    plain, warm = (Classifier(classifier.eval(), HEADER | {"temperature": t}) for t in (1.0, 2.5))
    logits = classifier(images / 255)
    torch.testing.assert_close(warm.predict_log_proba(images), (logits / 2.5).log_softmax(1))
    torch.testing.assert_close(warm.predict_log_proba(images), with_temperature(plain.predict_log_proba(images), 2.5))
    torch.testing.assert_close(warm.log_z(images), logits.logsumexp(1))
    torch.testing.assert_close(warm.module(images), warm.predict_proba(images))
    both = Ensemble([plain, warm])
    torch.testing.assert_close(both.module(images), both.predict_proba(images))
    torch.testing.assert_close(both.log_z(images), plain.log_z(images))
    with pytest.raises(ValueError, match="temperature"):
        Classifier(classifier, HEADER | {"temperature": 0})


def test_a_run_is_calibrated_by_its_validation_images(
    ssgan: Command, tmp_path: Path, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a temperature that is fitted and not used, one that is fitted to images of training or test, a validation error of other
    weights or images, and scaled probabilities where plain ones are compared.
    """
    known: list[torch.Tensor] = []
    bound = "ssgan.training.fit_and_export.ood_share_lower_bound"
    monkeypatch.setattr(bound, lambda pool, of_test: known.append(of_test) or 0.0)
    assert ssgan("fit", *TINY, "validation=300", f"runs_dir={tmp_path}").code == 0
    (path,) = tmp_path.rglob("classifier.safetensors")
    metrics = json.loads((path.parent / "metrics.json").read_text())
    held_out = json.loads((path.parent / "split.json").read_text())["validation"]
    classifier = load_classifier(path)
    logits = classifier.network(digits.train_images[held_out] / 255)
    expected = fit_temperature(logits.log_softmax(1), digits.train_targets[held_out])
    assert classifier.temperature == pytest.approx(expected, rel=1e-3)
    assert classifier.temperature != 1
    wrong = (logits.argmax(1) != digits.train_targets[held_out]).double().mean().item()
    *_, row = csv.DictReader((path.parent / "metrics.csv").read_text().splitlines())
    assert float(row["val/error"]) == pytest.approx(wrong, abs=1e-6)
    before = classifier.network(digits.test_images / 255).log_softmax(1)
    torch.testing.assert_close(known[0], before, atol=1e-3, rtol=1e-3)
    calibration = metrics["calibration"]
    assert (calibration["temperature"], calibration["images"]) == (classifier.temperature, 300)
    assert calibration["nll_before"] == pytest.approx(F.nll_loss(before, digits.test_targets).item(), abs=1e-4)
    after = F.nll_loss(classifier.predict_log_proba(digits.test_images), digits.test_targets).item()
    assert metrics["nll"] == pytest.approx(after, abs=1e-5)


def test_without_validation_images_nothing_is_scaled(ssgan: Command, tmp_path: Path) -> None:
    assert ssgan("fit", *TINY, "validation=0", f"runs_dir={tmp_path}").code == 0
    (path,) = tmp_path.rglob("classifier.safetensors")
    assert load_classifier(path).temperature == 1
    assert json.loads((path.parent / "metrics.json").read_text())["calibration"] is None


def test_a_share_of_the_pool_lies_below_the_threshold(ssgan: Command, tmp_path: Path, digits: ImageData) -> None:
    assert ssgan("fit", *TINY, "validation=0", f"runs_dir={tmp_path}").code == 0
    (path,) = tmp_path.rglob("classifier.safetensors")
    classifier = load_classifier(path)
    log_z = classifier.log_z(digits.train_images)
    for share in (0.01, 0.05, 0.5):
        below = (log_z < classifier.outlier_threshold(share)).float().mean().item()
        assert below == pytest.approx(share, abs=0.003)
    assert classifier.outlier_threshold(0.01) < classifier.outlier_threshold(0.015) < classifier.outlier_threshold(0.02)
    assert ssgan("fit", *TINY, "validation=0", "seed=1", f"runs_dir={tmp_path}").code == 0
    ensemble = load_classifier(sorted(tmp_path.rglob("classifier.safetensors")))
    below = (ensemble.log_z(digits.train_images) < ensemble.outlier_threshold(0.05)).float().mean().item()
    assert below == pytest.approx(0.05, abs=0.003)
    with pytest.raises(SsganError, match=r"outliers=0\.7: use 0\.001 to 0\.5, or 0 for none"):
        classifier.outlier_threshold(0.7)


def test_ood_images_are_counted_by_the_median_of_what_is_known() -> None:
    """30 % of a pool that are uncertain about everything, the rest as certain as known images or more so."""
    known = torch.linspace(0.6, 1, 101)
    known = torch.stack([known, 1 - known], 1).clamp_min(1e-9).log()
    pool = torch.cat([known[:70], torch.full((30, 2), 0.5).log()])
    own = torch.cat([known[31:], torch.full((30, 2), 0.5).log()])  # 70 of its own, of which 19 are below the median
    assert ood_share_lower_bound(known, known) == 0
    assert ood_share_lower_bound(own, known) == pytest.approx(max(0, 2 * (30 + 19) / 100 - 1), abs=0.02)
    assert ood_share_lower_bound(pool, known) == pytest.approx(2 * 0.8 - 1, abs=0.02)


@pytest.mark.slow
def test_an_out_of_distribution_pool_is_told(
    tmp_path: Path, digits: ImageData, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digits 0 to 4 with labels, nine in ten of the unlabeled images 5 to 9; not so where all are 0 to 4, or nobody learns from them."""
    few = [(digits.train_targets == k).nonzero().flatten() for k in range(10)]
    labeled = torch.cat([of_class[:10] for of_class in few[:5]])
    own, others = torch.cat([of_class[10:] for of_class in few[:5]]), torch.cat(few[5:])
    test = digits.test_targets < 5

    def told(rest: torch.Tensor, method: str, epochs: int = 20) -> bool:
        order = torch.cat([labeled, rest])
        targets = digits.train_targets[order].clone()
        targets[len(labeled) :] = -1
        data = (digits.train_images[order], targets, digits.test_images[test], digits.test_targets[test])
        settings = ["preset=digits_classifier", "validation=0", f"method.epochs={epochs}"]
        name = f"{method}_{len(rest)}"
        ssgan.train(data, method, "all", settings=settings, name=name, runs_dir=tmp_path)
        return "seem to be of none of the classes" in capsys.readouterr().err

    assert told(torch.cat([own[::10], others]), "fixmatch")
    assert not told(own, "fixmatch")
    monkeypatch.setattr("ssgan.training.run_method.OOD_SHARE_TOLD", -1.0)
    assert not told(own, "supervised", epochs=1)


@pytest.fixture
def rows_of(
    ssgan: Command, classifier: MLPClassifier, digits: ImageData, tmp_path: Path
) -> Callable[..., tuple[list[dict[str, str]], Outcome]]:
    """What predict writes for twenty pictures, by a classifier of which half of the pool has a log Z below that of the tenth."""
    images = digits.test_images[:20]
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(tmp_path / "pictures" / f"{number:02}.png")
    log_z = Classifier(classifier.eval(), HEADER).log_z(images).sort().values

    def rows(*keys: str, **header: object) -> tuple[list[dict[str, str]], Outcome]:
        quantiles = {"0.001": -1e9, "0.01": log_z[4].item() + 1e-4, "0.5": log_z[9].item() + 1e-4}
        names = tuple("0123456789")
        save_classifier(tmp_path / "c.safetensors", classifier, names, **({"log_z_quantiles": quantiles} | header))
        paths = [f"classifier={tmp_path / 'c.safetensors'}", f"images={tmp_path / 'pictures'}"]
        outcome = ssgan("predict", *paths, f"output={tmp_path / 'p.csv'}", *keys)
        assert outcome.code == 0, outcome.err
        with (tmp_path / "p.csv").open() as file:
            return list(csv.DictReader(file)), outcome

    return rows


def test_predict_names_outliers(rows_of: Callable[..., tuple[list[dict[str, str]], Outcome]]) -> None:
    rows, outcome = rows_of()
    assert [row["outlier"] for row in rows].count("true") == 5
    assert max(float(row["log_z"]) for row in rows if row["outlier"] == "true") <= min(
        float(row["log_z"]) for row in rows if row["outlier"] == "false"
    )
    assert "5 outliers: a lower log Z than 99.0% of the training images" in outcome.out
    assert [row["outlier"] for row in rows_of("outliers=0.5")[0]].count("true") == 10
    assert {row["outlier"] for row in rows_of("outliers=0")[0]} == {""}
    assert "warning" not in rows_of("outliers=0", log_z_quantiles={})[1].err
    rows, outcome = rows_of(log_z_quantiles={})
    assert {row["outlier"] for row in rows} == {""}
    assert "outliers=0.01: the classifier's file does not know log Z" in outcome.err


def test_pictures_are_predicted_in_parts(
    rows_of: Callable[..., tuple[list[dict[str, str]], Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills pictures of one part that are there again in the next."""
    whole = [(row["path"], row["class"]) for row in rows_of()[0]]
    monkeypatch.setattr("ssgan.data.file_predictions.BATCH_PIXELS", 3 * 64)
    assert [(row["path"], row["class"]) for row in rows_of()[0]] == whole


def test_predict_names_no_class_that_is_not_probable(
    rows_of: Callable[..., tuple[list[dict[str, str]], Outcome]],
) -> None:
    every = rows_of()[0]
    middle = float(np.median([float(row["probability"]) for row in every]))
    rows, outcome = rows_of(f"min_probability={middle}")
    assert [row["class"] for row in rows] == [
        row["class"] if float(row["probability"]) >= middle else "" for row in every
    ]
    assert "10 without a class" in outcome.out


def test_mistakes(ssgan: Command, tmp_path: Path) -> None:
    given = [f"classifier={tmp_path}", f"images={tmp_path}", f"output={tmp_path / 'p.csv'}"]
    for wrong, message in (
        ("min_probability=2", "use a number from 0 to 1"),
        ("outliers=-1", "use a number from 0 to 0.5"),
    ):
        outcome = ssgan("predict", *given, wrong)
        assert outcome.code == 1
        assert f"{wrong}: {message}" in outcome.err.replace("-1.0", "-1").replace("2.0", "2")


def test_a_run_is_calibrated_by_cross_validation(ssgan: Command, tmp_path: Path, digits: ImageData) -> None:
    """Each label is left out of one training, and what these say of it together gives the temperature; the run's own weights and error stay."""
    assert ssgan("fit", *TINY, "validation=0", f"runs_dir={tmp_path / 'a'}").code == 0
    (plain,) = (tmp_path / "a").rglob("metrics.json")
    command = (*TINY, "validation=0", "calibration_folds=3", f"runs_dir={tmp_path / 'b'}")
    outcome = ssgan("fit", *command)
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "b" / plain.parent.relative_to(tmp_path / "a")
    labeled = set(json.loads((folder / "split.json").read_text())["labeled"])
    seen: list[int] = []
    log_p, targets = [], []
    for fold in (folder / f"fold{k}of3" for k in (1, 2, 3)):
        split = json.loads((fold / "split.json").read_text())
        assert {*split["labeled"], *split["validation"]} == labeled
        assert all(n in (3, 4) for n in split["per_class"])
        seen += split["validation"]
        network = load_classifier(fold / "classifier.safetensors").network
        log_p.append(network(digits.train_images[split["validation"]] / 255).log_softmax(1).detach())
        targets.append(digits.train_targets[split["validation"]])
    assert sorted(seen) == sorted(labeled)
    classifier = load_classifier(folder / "classifier.safetensors")
    expected = fit_temperature(torch.cat(log_p), torch.cat(targets))
    assert classifier.temperature == pytest.approx(expected, abs=1e-3)
    metrics, before = (json.loads(path.read_text()) for path in (folder / "metrics.json", plain))
    assert metrics["test_error"] == before["test_error"]
    assert metrics["calibration"] == {
        "temperature": classifier.temperature,
        "images": 50,
        "folds": 3,
        "ece_before": before["ece"],
        "nll_before": before["nll"],
    }
    assert metrics["nll"] == pytest.approx(
        F.nll_loss(classifier.predict_log_proba(digits.test_images), digits.test_targets).item(), abs=1e-6
    )
    assert classifier.header["test"]["nll"] == metrics["nll"]
    assert (
        "fitted on 50 labeled images that other trainings were without (3: cross-validation)"
        in (folder / "classifier.md").read_text()
    )
    content, written = (folder / "metrics.json").read_text(), (folder / "classifier.md").stat().st_mtime_ns
    assert ssgan("fit", *command).code == 0
    assert (folder / "metrics.json").read_text() == content
    assert (folder / "classifier.md").stat().st_mtime_ns == written  # not calibrated once more


@pytest.mark.parametrize("launched", [True, False])
def test_a_launched_fold_ends_the_command(
    launched: bool, tmp_path: Path, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes did all that was left; catches one launch for each fold, of the whole command, and a lost exit code."""
    config, _ = compose([*TINY, "validation=0", "calibration_folds=3", f"runs_dir={tmp_path}"])
    ran: list[RunFolder] = []
    answer = Result(RunFolder(tmp_path / "run"), 1 if launched else 0, None, launched)
    monkeypatch.setattr(run, "run", lambda _, folder, *__, **___: ran.append(folder) or answer)
    first = Result(RunFolder(tmp_path / "run"), 0)
    run.run_folds(config, first, lambda: load_labeled(config, digits))
    assert (len(ran), first.code) == ((1, 1) if launched else (3, 0))
    ran.clear()
    run.run_folds(config, Result(first.folder, 3, collapsed=True), lambda: load_labeled(config, digits))
    assert not ran


def test_a_part_of_cross_validation(ssgan: Command, tmp_path: Path) -> None:
    """The first of five folds, in half the epochs; validation images make it needless."""
    few = ("calibration_folds=5", "calibration_runs=1", "calibration_length=0.5", "method.warm_up_epochs=1")
    outcome = ssgan("fit", *TINY, "validation=0", "method.epochs=4", *few, f"runs_dir={tmp_path}")
    assert outcome.code == 0
    assert "after it, for the temperature: 1 x 2 epochs (calibration_folds=0: none)" in outcome.out
    assert "for the temperature: 40 labeled images" in outcome.out
    (fold,) = tmp_path.rglob("fold*")
    assert fold.name == "fold1of5"
    of_fold = OmegaConf.load(fold / "config.yaml")
    assert (of_fold.method.epochs, of_fold.method.warm_up_epochs) == (2, 0.5)
    split = json.loads((fold / "split.json").read_text())
    assert (len(split["labeled"]), len(split["validation"])) == (40, 10)
    metrics = json.loads((fold.parent / "metrics.json").read_text())
    assert metrics["calibration"]["images"] == 10
    assert ssgan("fit", *TINY, *few, "name=validated", f"runs_dir={tmp_path}").code == 0
    assert len(list(tmp_path.rglob("fold*"))) == 1


def test_a_fold_starts_from_nothing_that_knew_its_labels() -> None:
    """Kills left-out labels that the start had learned: all were right, and the temperature of a sure classifier fell."""
    config, choices = compose([*TINY, "start_from=c.safetensors", "calibration_folds=2", "calibration_runs=1"])
    (fold,) = fold_configs(config, SimpleNamespace(validation=(), per_class=(5, 5)))
    assert (config.start_from, fold.start_from) == ("c.safetensors", None)
    assert baseline_config(config, choices).start_from is None


def test_a_fold_that_collapsed_says_nothing(ssgan: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a temperature of untrained weights."""
    finish = RunFolder.finish

    def collapsed(self: RunFolder, metrics: dict[str, Any]) -> None:
        finish(self, metrics | {"status": "collapsed"} if self.path.name == "fold1of2" else metrics)

    monkeypatch.setattr(RunFolder, "finish", collapsed)
    outcome = ssgan("fit", *TINY, "validation=0", "labels=20", "calibration_folds=2", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "calibration_folds: 1 of 2 trainings collapsed" in outcome.err
    metrics = json.loads((tmp_path / "digits@20/improved_gan/split0-seed0/metrics.json").read_text())
    assert (metrics["calibration"]["images"], metrics["calibration"]["folds"]) == (10, 1)


def test_mistakes_of_what_follows_are_told_first(ssgan: Command, tmp_path: Path) -> None:
    """Kills an error after the training whose run it makes useless."""
    other = ["name=own_supervised", "method=supervised", "method.epochs=1"]
    assert ssgan("fit", *TINY[1:], *other, f"runs_dir={tmp_path}").code == 0
    outcome = ssgan("fit", *TINY, "name=own", "baseline=true", f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "baseline=true: " in outcome.err
    assert "own_supervised/split0-seed0 holds a run with another configuration" in outcome.err
    assert not list(tmp_path.rglob("own/*/metrics.csv"))


def test_batches_are_no_larger_than_a_small_pool(ssgan: Command, tmp_path: Path) -> None:
    """README's own command for a folder of 30 pictures: the preset's 192 are told, and no error."""
    images, targets = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8), np.arange(30) % 2
    np.savez(tmp_path / "d.npz", x_train=images, y_train=targets)
    data = [
        "dataset=npz",
        f"dataset.path={tmp_path / 'd.npz'}",
        *TINY[1:],
        "method=fixmatch",
        "method.least_steps=0",
        "labels=10",
    ]
    outcome = ssgan("fit", *data, "validation=10", "baseline=true", f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    assert "method.batch_size=100: the unlabeled pool has 20 images; trains with 20" in outcome.err
    config = compose(["method.batch_size=500", "method.labeled_batch_size=null"])[0]
    resolve_batch_sizes(config)
    [told] = fit_to_pool(config, SimpleNamespace(train_images=range(30)), SimpleNamespace(validation=range(10)))
    assert told.endswith("the unlabeled pool has 20 images; trains with 20 of either kind")
    assert config.method.labeled_batch_size == config.method.batch_size == 20


def test_folds_have_their_part_of_the_time() -> None:
    settings = ["method.epochs=10", "method.ramp_up_epochs=5", "max_time=1h", "calibration_folds=2"]
    config, _ = compose([*TINY, *settings, "calibration_length=0.25"])
    one, _ = fold_configs(config, SimpleNamespace(validation=(), per_class=(5, 5)))
    assert (one.method.epochs, one.method.ramp_up_epochs, one.max_time, one.baseline) == (2, 2, "900.0s", False)


def test_processes_share_what_is_left_out() -> None:
    """Kills a traceback of the process that has none, after the training."""
    config = OmegaConf.create({"devices": 3, "num_nodes": 1})
    require_enough(SimpleNamespace(validation=()), config)
    require_enough(SimpleNamespace(validation=(4, 5, 6)), config)
    with pytest.raises(SsganError, match="3 processes share the validation images, and there are 2; use fewer"):
        require_enough(SimpleNamespace(validation=(4, 5)), config)


def test_a_single_label_of_each_class_is_not_left_out(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("fit", *TINY, "labels=10", "validation=0", "calibration_folds=5", f"runs_dir={tmp_path}")
    assert outcome.code == 0
    assert "calibration_folds=5: each class has one label, and none is left out; no temperature" in outcome.err
    (metrics,) = tmp_path.rglob("metrics.json")
    assert json.loads(metrics.read_text())["calibration"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("calibration_folds=1", "validation=0"), "calibration_folds=1: use 2 or more, or 0"),
        (
            ("calibration_folds=3", "calibration_runs=4"),
            "calibration_runs=4: calibration_folds=3 makes as many; use 1 to 3",
        ),
        (("calibration_length=2",), "calibration_length=2.0: use a number above 0 and at most 1"),
        (
            ("calibration_folds=6", "validation=0"),
            "calibration_folds=6: more parts than labeled images of a class; use 2 to 5",
        ),
        (("fold=6/5",), "fold=6/5: use 1/5 to 5/5"),
        (("fold=6/6",), "fold=6/6: more parts than labeled images of a class; use 2 to 5"),
        (
            ("method=gan", "calibration_folds=5", "validation=0"),
            "calibration_folds=5: method=gan has no classes; use calibration_folds=0",
        ),
    ],
)
def test_folds_that_cannot_be(ssgan: Command, tmp_path: Path, settings: tuple[str, ...], message: str) -> None:
    outcome = ssgan("fit", *TINY, *settings, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert message in outcome.err
    assert not list(tmp_path.rglob("*"))


def test_folds_that_cannot_be_beside_a_run_that_ended(ssgan: Command, tmp_path: Path) -> None:
    """Kills five trainings of six, and then no temperature."""
    run = [*TINY, "validation=0", f"runs_dir={tmp_path}"]
    assert ssgan("fit", *run).code == 0
    outcome = ssgan("fit", *run, "calibration_folds=6")
    assert outcome.code == 1
    assert "calibration_folds=6: more parts than labeled images of a class; use 2 to 5" in outcome.err
    assert not list(tmp_path.rglob("fold*"))


def test_validation_images_give_the_temperature(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("fit", *TINY, "calibration_folds=5", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "calibration_folds=5: not needed, the validation images give the temperature" in outcome.out
    assert not list(tmp_path.rglob("fold*"))
