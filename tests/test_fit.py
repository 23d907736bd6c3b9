"""A run's folder is complete; finished runs report, dead ones are stopped."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import EVERY_TECHNIQUE, TINY, Outcome, shorten_baseline, tiny
from omegaconf import OmegaConf
from sklearn.datasets import load_digits
from test_improved_gan import fit, make_method
from test_resume import beside

import ssgan
from ssgan import load_classifier
from ssgan.configuration import compose
from ssgan.data.image_data import ImageData
from ssgan.training.callbacks.collapse_watch import CollapseWatch, diverged
from ssgan.training.callbacks.metrics_csv import RunRecord

Command = Callable[..., Outcome]


def folder_of(tmp_path: Path, name: str = "improved_gan") -> Path:
    return tmp_path / "digits@50" / name / "split0-seed0"


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.curves
def test_run_folder(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}", "trainer.samples_every=1")
    assert outcome.code == 0, outcome.err
    folder = folder_of(tmp_path)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "classifier.md",
        "classifier.safetensors",
        "config.yaml",
        "curves.png",
        "environment.json",
        "last.ckpt",
        "metrics.csv",
        "metrics.json",
        "samples/epoch_0001.png",
        "samples/epoch_0002.png",
        "split.json",
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["status"] == "finished"
    assert metrics["epochs"] == 2
    assert 0 < metrics["test_error"] < 1
    assert f"{metrics['test_error']:.2%}" in outcome.out
    split = json.loads((folder / "split.json").read_text())
    header = load_classifier(folder / "classifier.safetensors").header
    assert header["split_digest"] == split["digest"] == metrics["split_digest"]
    assert header["test"]["error"] == metrics["test_error"]
    assert header["views"] == {"shift": False, "flip": False}
    rows = rows_of(folder)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["train/feature_matching"]) > 0
    assert 0 <= float(rows[-1]["val/error"]) <= 1

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = ssgan("fit", *TINY, f"runs_dir={tmp_path}", "trainer.samples_every=1")
    assert again.code == 0
    assert f"{metrics['test_error']:.2%}" in again.out
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.slow
def test_the_baseline_is_a_run_of_its_own(ssgan: Command, tmp_path: Path) -> None:
    """Kills a baseline with the method's settings, on another split, or trained again at every start."""
    arguments = [*TINY, "trainer.limit_train_batches=2", "split_seed=3", "max_time=10m", f"runs_dir={tmp_path}"]
    outcome = ssgan("fit", *arguments, "baseline=true")
    assert outcome.code == 0, outcome.err
    one = tmp_path / "digits@50/improved_gan/split3-seed0"
    supervised = beside(one)
    for folder in (one, supervised):
        error = json.loads((folder / "metrics.json").read_text())["test_error"]
        assert f"{error:.2%}" in outcome.out
    assert (one / "split.json").read_bytes() == (supervised / "split.json").read_bytes()
    ours, theirs = (OmegaConf.load(folder / "config.yaml") for folder in (one, supervised))
    assert ours.net.classifier == theirs.net.classifier
    assert theirs.method == {
        **compose(["method=supervised", "preset=digits_gan"])[0].method,
        "labeled_batch_size": 50,
    }  # null: batch_size
    assert (theirs.max_time, theirs.baseline, theirs.name) == (None, False, "improved_gan_supervised")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert ssgan("fit", *arguments, "baseline=true").code == 0
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.slow
def test_a_baseline_is_added_to_a_finished_run(ssgan: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills a method trained for hours before a baseline's folder is found to hold another run."""
    arguments = [*TINY, "trainer.limit_train_batches=2", f"runs_dir={tmp_path}"]
    assert ssgan("fit", *arguments).code == 0
    other = [*tiny("supervised"), "method.epochs=1", "trainer.limit_train_batches=2", f"runs_dir={tmp_path}"]
    for name in ("improved_gan_supervised", "fresh_supervised"):
        assert ssgan("fit", *other, f"name={name}").code == 0
    for name in ("improved_gan", "fresh"):
        outcome = ssgan("fit", *arguments, "baseline=true", f"name={name}")
        assert outcome.code == 1
        assert f"{name}_supervised" in outcome.err
        assert "method.epochs was 1, is 100" in outcome.err
    assert not (tmp_path / "digits@50/fresh").exists()
    shutil.rmtree(tmp_path / "digits@50/improved_gan_supervised")
    shorten_baseline(monkeypatch, 1)
    assert ssgan("fit", *arguments, "baseline=true").code == 0
    assert beside(folder_of(tmp_path)).exists()


def test_another_configuration_in_the_same_folder_is_refused(
    ssgan: Command, trained: Callable[..., Path], tmp_path: Path
) -> None:
    trained(tmp_path, *TINY)
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}", "method.unlabeled_weight=3.0")
    assert outcome.code == 1
    assert "method.unlabeled_weight was 1.0, is 3.0" in outcome.err
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path}", "data_dir=/elsewhere").code == 0


def test_a_damaged_split_is_refused(ssgan: Command, trained: Callable[..., Path], tmp_path: Path) -> None:
    """Kills labels drawn anew after a resume."""
    trained(tmp_path, *TINY)
    folder = folder_of(tmp_path)
    (folder / "metrics.json").unlink()
    content = json.loads((folder / "split.json").read_text())
    content["labeled"][0] += 1
    (folder / "split.json").write_text(json.dumps(content))
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "split.json is damaged" in outcome.err


def test_a_later_start_does_not_rewrite_where_a_run_was_made(ssgan: Command, tmp_path: Path) -> None:
    command = ("fit", *TINY, f"runs_dir={tmp_path}")
    assert ssgan(*command).code == 0
    folder = folder_of(tmp_path)
    first = json.loads((folder / "environment.json").read_text())
    for _ in range(2):
        (folder / "metrics.json").unlink()
        assert ssgan(*command, "download=false").code == 0
        environment = json.loads((folder / "environment.json").read_text())
        [later] = environment.pop("resumed")
        assert environment == first
        assert later == first | {"command": first["command"] + " download=false"}


@pytest.mark.slow
@pytest.mark.curves
def test_a_forced_collapse_is_stopped_and_told(ssgan: Command, tmp_path: Path) -> None:
    """A generator that leaps into saturation at once: the watch fires, and the weights from before are exported."""
    forced = [
        "method=improved_gan",
        "method.epochs=60",
        "method.batch_size=50",
        "method.start_from_mean=false",
        "net.generator.hidden=[50]",
        "method.generator_optimizer.lr=3.0",
        "method.generator_optimizer.betas=[0.5,0.999]",
        "collapse_watch.window=46",
    ]
    outcome = ssgan("fit", *forced, f"runs_dir={tmp_path}")
    assert outcome.code == 3, outcome.out
    assert "Training collapsed at step" in outcome.err
    assert "from before that, are exported. The classifier now tells" in outcome.err
    folder = folder_of(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["status"] == "collapsed"
    assert metrics["epochs"] < 60
    assert load_classifier(folder / "classifier.safetensors").header["test"]["error"] < 0.8
    assert (folder / "curves.png").stat().st_size > 0
    assert ssgan("fit", *forced, f"runs_dir={tmp_path}").code == 3


def watch_of(window: int = 10) -> CollapseWatch:
    return CollapseWatch(window, d_generated_below=0.03, distinct_below=0.05, one_class_above=0.98)


def test_a_resumed_run_knows_what_was_seen(tmp_path: Path) -> None:
    """Kills minutes of the last start alone, and a watch that begins anew."""
    record = RunRecord(tmp_path)
    record.load_state_dict({"rows": [], "seconds": 100.0})
    record.on_train_start(None, None)
    assert record.state_dict()["seconds"] >= 100
    state = {"since": {"one class": 3}, "first_supervised": 2.3, "sums_before": {"supervised": 1.0}, "steps_before": 5}
    watch, again = watch_of(), watch_of()
    vars(watch).update(state)
    again.load_state_dict(watch.state_dict())
    assert {key: getattr(again, key) for key in state} == state


def test_diagnosis() -> None:
    healthy = {"supervised": 0.001, "unsupervised": 0.35, "feature_matching": 50.0}
    assert diverged(healthy) is None
    assert "feature matching loss is nan" in str(diverged(healthy | {"feature_matching": float("nan")}))
    assert "inf" in str(diverged({"supervised": float("inf")}))
    assert "1e+07" in str(diverged({"supervised": 1e7}))
    assert diverged({"supervised": 22.0, "consistency": 99.0}, first_supervised=2.3) is None
    assert "supervised loss is 24, and was 2.3 at first" in str(diverged({"supervised": 24.0}, first_supervised=2.3))
    assert diverged({"supervised": 4.0}, first_supervised=0.01) is None  # one that began as a trained one


@pytest.mark.parametrize(
    ("d_generated", "reason", "kept"),
    [
        ([0.2, 0.2, 0.2, 0.2], None, [5, 10, 15, 20]),
        ([0.01, 0.01, 0.2, 0.2], None, [15, 20]),  # an excess at the start
        ([0.2, 0.2, 0.01, 0.2], None, [5, 10, 20]),  # too short
        (
            [0.2, 0.2, 0.01, 0.01],
            "D is 0.990 on real and 0.010 on generated images, in training since step 10",
            [5, 10],
        ),
        ([0.01, 0.01, 0.01, 0.01], "since step 0", []),
        ([0.2, float("nan"), 0.2, 0.2], "is nan", [5]),
    ],
)
def test_only_a_lasting_excess_of_the_classifier_is_a_collapse(
    d_generated: list[float], reason: str | None, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills a watch that stops healthy runs in their first steps, one that never stops, and weights kept from within."""
    watch, snapshots = watch_of(window=10), list[int]()
    monkeypatch.setattr(watch, "_snapshot", lambda module: snapshots.append(watch.step))
    strategy = SimpleNamespace(broadcast=lambda content: content)
    trainer = SimpleNamespace(num_training_batches=5, should_stop=False, strategy=strategy, datamodule=None)
    for epoch, d in enumerate(d_generated):
        sums = {"d_real": 5 * 0.99, "d_generated": 5 * d}
        module = SimpleNamespace(
            step_number=5 * epoch + 4,
            means=SimpleNamespace(steps=5, all_reduced_sums=lambda sums=sums: sums),
            calibration_images=None,
            config=SimpleNamespace(),
        )
        watch.on_train_epoch_start(trainer, module)
        watch.on_train_batch_end(trainer, module, None, None, 4)
    assert (reason in str(watch.reason)) if reason else watch.reason is None
    assert trainer.should_stop == (watch.reason is not None)
    assert snapshots == kept


@pytest.mark.parametrize(("real", "target", "seen"), [(0.89, 0.9, True), (0.89, 1.0, False), (0.5, 0.9, False)])
def test_a_classifier_has_won_where_d_is_at_its_target(real: float, target: float, seen: bool) -> None:
    """Catches a watch that waits for a D of 1 where one-sided label smoothing holds it at 0.9."""
    watch, reasons = watch_of(window=10), []
    for watch.step in (10, 20, 30):
        reasons.append(watch.classifier_won({"d_real": real, "d_generated": 0.001}, 10, target))
    assert (reasons[-1] is not None) == seen


@pytest.mark.parametrize(
    ("predicted", "labeled", "told_at"),
    [
        ([0.99, 0.01], [0.5, 0.5], 20),
        ([0.97, 0.03], [0.5, 0.5], None),
        ([0.99, 0.01], [0.8, 0.2], None),  # so many labels are of that class that the pool may be of it, too
        ([], [], None),  # a method without classes
    ],
)
def test_one_class_that_takes_all_is_told(predicted: list[float], labeled: list[float], told_at: int | None) -> None:
    """Kills a watch that stops what classifies at random in its first steps, and pools that are of one class in truth."""
    watch, told = watch_of(window=10), None
    for step in range(5, 40, 5):
        watch.step = step
        reason = watch.one_class(predicted, labeled, ["ant", "bee"], steps=5)
        told = told or (step if reason else None)
    assert told == told_at
    if told_at:
        assert reason == "class ant takes 99% of the unlabeled images and has 50% of the labels, since step 0"
        assert watch.one_class([0.5, 0.5], labeled, ["ant", "bee"], 5) is None
        assert watch.one_class(predicted, labeled, ["ant", "bee"], 5) is None  # not yet for a window
    else:
        never = CollapseWatch(10, 0.03, 0.05, one_class_above=1.0)
        never.step = 100
        assert never.one_class([1.0, 0.0], [0.0, 1.0], ["ant", "bee"], 100) is None


@pytest.mark.parametrize(("longest", "total", "window"), [(300, 3000, 300), (300, 400, 80), (300, 20, 50), (3, 400, 3)])
def test_a_short_run_has_short_windows(longest: int, total: int, window: int) -> None:
    """Kills a watch that first looks after more steps than there are, and one that judges what has hardly begun."""
    watch, module = watch_of(longest), make_method()
    module.total_steps = total
    watch.on_train_start(SimpleNamespace(), module)
    assert watch.window == window


@pytest.mark.slow
def test_pseudo_labels_that_one_class_takes_are_stopped(tmp_path: Path) -> None:
    """Odd and even digits by four labels, where every image has to be of one class for sure."""
    digits = load_digits()
    images, targets = (digits.images * 15).astype("uint8"), digits.target % 2
    data = (images[:1500], targets[:1500], images[1500:], targets[1500:])
    weights = ["method.terms.entropy.weight=50", "method.terms.pseudo_label.weight=20", "method.batch_size=50"]
    settings = [
        "preset=own_gan",
        "net/classifier=digits",
        "labels=4",
        "method.epochs=4",
        "collapse_watch.window=75",
        *weights,
    ]
    result = ssgan.train(data, "fixmatch", settings=settings, runs_dir=tmp_path)
    assert result.metrics["status"] == "collapsed"
    assert max(result.metrics["per_class_error"]) < 1  # of the weights from before that


def test_a_generator_of_few_images_is_told_at_the_second_look() -> None:
    """Kills a watch that judges the first steps' images, and one that forgets what it saw."""
    few, many = {"distinct": 0.03, "distinct_real": 0.9}, {"distinct": 0.3, "distinct_real": 0.9}
    watch = watch_of(window=10)
    watch.step = 9
    assert [watch.few_images(seen) for seen in (few, few)] == [None] * 2  # as at the start
    watch.step = 10
    assert [watch.few_images(seen) for seen in (few, {}, many, few, {})] == [None] * 5
    again = watch_of()
    again.step = 10
    again.load_state_dict(watch.state_dict())
    assert "0.030 of its images, 0.900 of real ones" in str(again.few_images(few))


def test_a_generator_whose_images_become_more_is_young() -> None:
    """Kills a watch that stops a generator as it learns; what has stopped growing is told at the second look."""
    shares = (0.001, 0.002, 0.005, 0.02, 0.02, 0.025)
    watch = watch_of(window=10)
    watch.step = 10
    reasons = [watch.few_images({"distinct": share, "distinct_real": 0.9}) for share in shares]
    assert reasons[:5] == [None] * 5
    assert reasons[5] is not None


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_a_frozen_generator_is_stopped(
    dataset: str, ssgan: Command, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """On every data set and net as they come, but for MNIST's batches, which take four times as long."""
    settings = [f"dataset={dataset}", "method=improved_gan", "method.generator_optimizer.lr=0"]
    if dataset == "mnist":
        batches = ["method.batch_size=50", "method.labeled_batch_size=50", "trainer.limit_train_batches=300"]
        settings += [f"data_dir={request.getfixturevalue('mnist_dir')}", *batches]
    outcome = ssgan("fit", *settings, "method.epochs=40", "trainer.samples_every=1", f"runs_dir={tmp_path}")
    assert outcome.code == 3, outcome.out
    assert "Training collapsed at step" in outcome.err


def test_divergence_is_told_at_once(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan(
        "fit", *TINY, f"runs_dir={tmp_path}", "method.classifier_optimizer.lr=1e30", "collapse_watch.window=3"
    )
    assert outcome.code == 3
    assert "loss is 1" in outcome.err or "loss is nan" in outcome.err
    assert (
        "Try a third of the learning rate (method.classifier_optimizer.lr, method.generator_optimizer.lr)"
        in outcome.err
    )


@pytest.mark.parametrize(
    ("method", "advice"), [("supervised", "(method.classifier_optimizer.lr)"), ("gan", "lr, method.")]
)
def test_what_a_collapse_leaves_is_what_is_said(ssgan: Command, tmp_path: Path, method: str, advice: str) -> None:
    """Kills advice on keys that a method does not have, and files that are named and not there."""
    settings = ["method.classifier_optimizer.lr=1e30", "collapse_watch.window=3", "validation=0", "method.epochs=2"]
    outcome = ssgan("fit", *tiny(method), *settings, f"runs_dir={tmp_path}")
    assert outcome.code == 3, outcome.err
    assert advice in outcome.err
    assert ("are exported" in outcome.err) == (method == "supervised") == bool(list(tmp_path.rglob("*.safetensors")))
    assert "last.ckpt" not in outcome.out


def test_the_last_healthy_weights_outlive_a_stop(digits: ImageData) -> None:
    """Kills a resume from within a collapse that takes the weights it finds for healthy ones."""
    watch, module = watch_of(3), make_method()
    fit(module, digits, steps=4, callbacks=[watch])
    again, other = watch_of(3), make_method()
    again.load_state_dict(watch.state_dict())
    with torch.no_grad():
        for parameter in other.ema_classifier.parameters():
            parameter.fill_(float("nan"))
    other.total_steps = 4
    again.on_train_start(SimpleNamespace(), other)
    assert again.healthy_step == watch.healthy_step == 4
    again.restore_healthy(other)
    restored = other.ema_classifier.module.state_dict()
    assert all(torch.equal(restored[name], tensor) for name, tensor in watch.healthy_state.items())


def test_a_run_that_ends_within_a_window_is_looked_at(ssgan: Command, tmp_path: Path) -> None:
    """Kills weights that are not finite and called finished: by the clock, or in an epoch shorter than a window."""
    settings = ["method.classifier_optimizer.lr=1e30", "method.epochs=100000", "max_time=1s"]
    outcome = ssgan("fit", *TINY, *settings, f"runs_dir={tmp_path}", "collapse_watch.window=1000000")
    assert outcome.code == 3, outcome.err
    assert "Training collapsed" in outcome.err


def test_tensorboard(ssgan: Command, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path}", "logger=tensorboard")
    assert outcome.code == 0, outcome.err
    assert list((folder_of(tmp_path) / "tensorboard").glob("events*"))


def test_wandb_offline(ssgan: Command, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    outcome = ssgan("fit", "-m", *TINY, f"runs_dir={tmp_path}", "logger=wandb", "logger.offline=true", "seed=0,1")
    assert outcome.code == 0, outcome.err
    assert len(list(tmp_path.rglob("*.wandb"))) == 2


def test_gan_without_labels(ssgan: Command, tmp_path: Path) -> None:
    """The game alone: a checkpoint to sample from, no classifier and no error."""
    outcome = ssgan("fit", *tiny("gan"), "validation=0", "baseline=true", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    folder = folder_of(tmp_path, "gan")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["test_error"], metrics["ece"]) == (None, None)
    assert "train/supervised" not in rows_of(folder)[0]
    assert not (folder / "classifier.safetensors").exists()
    assert ssgan("sample", f"checkpoint={folder / 'last.ckpt'}", f"output={tmp_path / 's.png'}").code == 0
    assert "no classes" in ssgan("fit", *tiny("gan"), "validation=0", "baseline=true", f"runs_dir={tmp_path}").out


def test_gan_beside_validation_images_of_the_data_set(ssgan: Command, large_digits: Path, tmp_path: Path) -> None:
    """Its one logit names no class, so there is no validation error."""
    arrays = dict(np.load(large_digits))
    arrays |= {"x_validation": arrays["x_test"], "y_validation": arrays["y_test"]}
    np.savez(tmp_path / "digits.npz", **arrays)
    settings = ("dataset=npz", f"dataset.path={tmp_path / 'digits.npz'}", "method=gan", "method.epochs=1")
    few = ("trainer.limit_train_batches=2", "method.batch_size=20", f"runs_dir={tmp_path}")
    outcome = ssgan("fit", *settings, *few)
    assert outcome.code == 0, outcome.err


def test_dcgan_on_mnist_shapes(ssgan: Command, tmp_path: Path, write_npz: Callable[..., Path]) -> None:
    """Convolutional networks with every technique, from fit to predict, on 28x28 images."""
    data_dir = write_npz().parent
    small = ["dataset=mnist", "labels=20", "method.epochs=1", "method.batch_size=10", "method.labeled_batch_size=10"]
    net = [
        "method=improved_gan",
        "net/classifier=dcgan",
        "net/generator=dcgan",
        "net.classifier.width=4",
        "net.generator.width=4",
        "method.initialization_images=40",
    ]
    techniques = [override for override in EVERY_TECHNIQUE if "minibatch" not in override]
    outcome = ssgan("fit", *small, *net, *techniques, f"data_dir={data_dir}", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "mnist@20/improved_gan/split0-seed0"
    assert load_classifier(folder / "classifier.safetensors").predict(torch.zeros(2, 28, 28)).shape == (2,)
    assert (folder / "samples" / "epoch_0001.png").exists()


def test_supervised_method(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("fit", *tiny("supervised"), f"runs_dir={tmp_path}", "labels=all", "baseline=true")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "digits@all" / "supervised" / "split0-seed0"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["method"] == "supervised"
    assert not folder.with_name("supervised_supervised").exists()
    assert len(json.loads((folder / "split.json").read_text())["labeled"]) == 1197


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("norm", ["batch", "virtual", "weight"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_gpu(ssgan: Command, tmp_path: Path, norm: str, precision: str) -> None:
    """Kills what computes on a CPU alone, such as batch norm with a bias and no gain."""
    settings = [*TINY, f"net.generator.norm={norm}", f"method.precision={precision}", "trainer.accelerator=gpu"]
    outcome = ssgan("fit", *settings, "method.terms.consistency.weight=1", f"runs_dir={tmp_path}")
    assert outcome.code == 0


@pytest.mark.slow
def test_multirun(ssgan: Command, tmp_path: Path) -> None:
    """Every job of a sweep has its folder, and a bad one does not end the others."""
    outcome = ssgan("fit", "-m", *TINY, f"runs_dir={tmp_path}", "labels=20,25,30", "split_seed=0,1")
    assert outcome.code == 1
    assert outcome.err.count("labels=25: not divisible") == 2
    done = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("metrics.json"))
    assert done == [f"digits@{n}/improved_gan/split{k}-seed0" for n in (20, 30) for k in (0, 1)]


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("method", ["fixmatch", "improved_gan"])
def test_mnist_learns(ssgan: Command, tmp_path: Path, mnist_dir: str, method: str) -> None:
    """120 steps of the real recipe on real images, with labels=100."""
    short = [
        "dataset=mnist",
        f"method={method}",
        "method.epochs=1",
        "trainer.limit_train_batches=120",
        "trainer.samples_count=16",
    ]
    outcome = ssgan("fit", *short, f"data_dir={mnist_dir}", "download=false", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / f"mnist@100/{method}/split0-seed0/metrics.json").read_text())
    assert metrics["test_error"] < 0.35
