"""Scores of generated images are the definitions, and know their extremes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, Outcome

from ssgan.errors import SsganError
from ssgan.evaluation.generation import (
    classifier_score,
    frechet_distance,
    generation_metrics,
    kernel_distance,
    metrics_of_features,
    precision_recall,
)
from ssgan.evaluation.judges import ClassifierJudge
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import header_of
from ssgan.nets import MLPClassifier
from ssgan.seeds import derive_seed


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_classifier_score_equals_numpy() -> None:
    """The same probabilities in the same order: kills nats for bits, a shared marginal, and a sample sd."""
    log_p = torch.randn(997, 10).mul(3).log_softmax(1)
    order = torch.randperm(997, generator=rng()).numpy()
    p = log_p.double().exp().numpy()[order]
    scores = [
        np.exp(np.mean(np.sum(part * (np.log(part) - np.log(part.mean(0))), axis=1))) for part in np.array_split(p, 10)
    ]
    assert classifier_score(log_p, 10, rng()) == pytest.approx((np.mean(scores), np.std(scores)))


def test_classifier_score_at_its_extremes() -> None:
    """1 for images that say nothing and for a collapsed generator, K for one-hot predictions, equally many per class."""
    uniform = torch.full((500, 10), 0.1).log()
    collapsed = torch.randn(1, 10).log_softmax(1).expand(500, 10)
    one_hot = torch.eye(10).repeat(50, 1).log()
    assert classifier_score(uniform, 5, rng()) == pytest.approx((1, 0), abs=1e-6)
    assert classifier_score(collapsed, 5, rng()) == pytest.approx((1, 0), abs=1e-6)
    assert classifier_score(one_hot, 1, rng())[0] == pytest.approx(10)
    with pytest.raises(SsganError, match="samples=3: 5 splits need that many samples"):
        classifier_score(uniform[:3], 5, rng())


def test_frechet_distance_of_gaussians() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(50_000, 3), torch.randn(50_000, 3) * 2 + 1
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(3 * 1 + 3 * (2 - 1) ** 2, rel=0.03)


def test_kernel_distance_is_0_for_one_distribution_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2000, 4), torch.randn(2000, 4)
    state = torch.get_rng_state()
    same, other = kernel_distance(a, b, rng()), kernel_distance(a, b + 1, rng())
    assert torch.equal(state, torch.get_rng_state())
    assert same == kernel_distance(a, b, rng())
    assert abs(same[0]) < 0.02 < other[0]


def test_kernel_distance_of_few_images_has_a_spread() -> None:
    """Subsets of all images would all be the same."""
    torch.manual_seed(0)
    assert kernel_distance(torch.randn(60, 4), torch.randn(50, 4), rng())[1] > 1e-3


def test_precision_and_recall() -> None:
    """Kills the two taken for each other: half the modes are covered well, then all are and half the images are bad."""
    torch.manual_seed(0)
    left, right, far = torch.randn(300, 2), torch.randn(300, 2) + 50, torch.randn(300, 2) - 50
    assert precision_recall(torch.cat([left, right]), left + 0.01) == (pytest.approx(1, abs=0.02), pytest.approx(0.5))
    precision, recall = precision_recall(torch.cat([left, right]), torch.cat([left, right, far, far + 900]) + 0.01)
    assert (precision, recall) == (pytest.approx(0.5, abs=0.02), pytest.approx(1, abs=0.02))
    with pytest.raises(SsganError, match="more than 3 of each kind"):
        precision_recall(left, left[:3])


def test_precision_by_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssgan.evaluation.generation.ROWS_AT_ONCE", 7)
    real, fake = torch.randn(40, 3), torch.randn(30, 3) * 1.5
    reach = torch.cdist(real, real).sort(1).values[:, 2]
    inside = [any((x - c).norm() <= r for c, r in zip(real, reach, strict=True)) for x in fake]
    assert precision_recall(real, fake, k=2)[0] == pytest.approx(sum(inside) / 30)


def test_each_image_is_judged_once() -> None:
    """Features are computed once for all metrics."""
    seen: list[int] = []

    def judge(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(len(images))
        values = images.flatten(1).float()
        return values, values[:, :3].log_softmax(1)

    batches = [torch.randint(0, 256, (n, 1, 3, 3), dtype=torch.uint8) for n in (20, 15)]
    result = generation_metrics(batches, batches[:1], judge, splits=2, seed=0)
    assert sorted(seen) == [15, 20, 20]
    assert (result["samples"], result["real"]) == (20, 35)


@pytest.fixture
def run_folder(trained: Callable[..., Path], tmp_path: Path) -> Path:
    trained(tmp_path, *TINY)
    return tmp_path / "digits@50/improved_gan/split0-seed0"


def test_score_command(ssgan: Callable[..., Outcome], run_folder: Path, tmp_path: Path) -> None:
    names = [f"checkpoint={run_folder / 'last.ckpt'}", f"judge={run_folder / 'classifier.safetensors'}"]
    first, second = (ssgan("score", *names, "samples=120", "splits=3") for _ in range(2))
    assert first.code == 0, first.err
    result, again = json.loads(first.out), json.loads(second.out)
    assert 1 <= result["score"] <= 10
    assert result["fid"] > 0
    assert (result["samples"], result["real"], result["dataset"]) == (120, 500, "digits")
    assert {**result, "seconds": 0} == {**again, "seconds": 0}
    for arguments, message in (
        ([*names, "samples=5"], "samples=5, splits=10: use 1 split or more, and at least 10 samples"),
        ([*names, "dataset=cifar11"], "dataset=cifar11: there is none"),
        ([names[0], "judge=/nowhere"], "judge=/nowhere: no such file"),
        ([names[0], "judge=inception", "samples=20"], "judge=inception: needs torch-fidelity"),
        ([f"checkpoint={tmp_path}", names[1]], "no such file"),
    ):
        outcome = ssgan("score", *arguments)
        assert outcome.code == 1
        assert message in outcome.err
        assert "Traceback" not in outcome.err


def test_a_judge_of_other_images(
    ssgan: Callable[..., Outcome], run_folder: Path, tmp_path: Path, write_npz: Callable[..., Path]
) -> None:
    data_dir = write_npz().parent
    small = [
        *TINY,
        "net.classifier.hidden=[8]",
        "labels=20",
        "validation=0",
        "trainer.limit_train_batches=1",
        "method.batch_size=20",
    ]
    outcome = ssgan("fit", *small, "dataset=mnist", f"data_dir={data_dir}", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    judge = tmp_path / "mnist@20/improved_gan/split0-seed0/classifier.safetensors"
    outcome = ssgan("score", f"checkpoint={run_folder / 'last.ckpt'}", f"judge={judge}", f"data_dir={data_dir}")
    assert outcome.code == 1
    assert "judges images of (1, 28, 28), but these are (1, 8, 8)" in outcome.err


def test_precision_does_not_depend_on_the_order_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches the first images of a folder, which are of its first classes."""
    monkeypatch.setattr("ssgan.evaluation.generation.MOST_NEIGHBORS_OF", 200)
    torch.manual_seed(0)
    of_two = torch.cat([torch.randn(300, 4), torch.randn(300, 4) + 20])
    log_p = torch.full((600, 2), 0.5).log()
    measured = metrics_of_features(of_two, of_two + 0.1 * torch.randn(600, 4), log_p, splits=2, seed=0)
    assert measured["precision"] > 0.8
    assert measured["recall"] > 0.8


def test_a_judge_has_the_temperature_of_its_file(classifier: MLPClassifier) -> None:
    header = header_of(classifier, tuple("0123456789")) | {"temperature": 3.0}
    judge = Classifier(classifier.eval(), header)
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(ClassifierJudge(judge)(images)[1], judge.predict_log_proba(images))


def test_each_metric_has_its_name() -> None:
    left, right = torch.randn(300, 2), torch.randn(300, 2) + 50
    real, fake, log_p = torch.cat([left, right]), left + 0.01, torch.randn(300, 5).log_softmax(1)
    measured, draws = metrics_of_features(real, fake, log_p, 3, 0), rng(derive_seed("measure", 0))
    assert (measured["score"], measured["score_sd"]) == classifier_score(log_p, 3, draws)
    assert (measured["kid"], measured["kid_sd"]) == kernel_distance(real, fake, draws)
    assert (measured["precision"], measured["recall"]) == precision_recall(real, fake)
    assert measured["precision"] > measured["recall"] + 0.2
    assert measured["fid"] == frechet_distance(real, fake)
