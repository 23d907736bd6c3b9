"""The card beside a classifier says what its file and its run say, and nothing that they do not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Outcome

from ssgan import load_classifier
from ssgan.training.model_card import model_card

HEADER: dict[str, Any] = {
    "image_shape": [3, 32, 32],
    "class_names": ["cat_s", "dog|s"],
    "dataset": "pets",
    "method": "fixmatch",
    "network": {"class": "SmallClassifier"},
    "split_seed": 1,
    "seed": 2,
    "split_digest": "abc",
    "temperature": 1.5,
    "log_z_quantiles": {"0.01": -3.25},
    "test": {"error": 0.125, "n": 8, "balanced_error": 0.25, "per_class_error": [0.5, None]},
}
METRICS: dict[str, Any] = {
    "status": "finished",
    "epochs": 3,
    "command": "python -m ssgan.fit split=[0]*2",
    "labels_per_class": {"cat_s": 4, "dog|s": 9},
    "ece": 0.01,
    "nll": 0.4,
    "selective": {"0.9": 0.0125},
    "calibration": {"images": 50, "ece_before": 0.2, "nll_before": 0.9},
    "ood_share": 0.4,
}


def test_a_card_by_hand() -> None:
    text = model_card(HEADER, METRICS)
    for line in (
        "| takes | images of 32 x 32 pixels, color |",
        "| labels | 13; the other images of the pool without a label |",
        "| data | pets; license of the images: that of their owner |",
        "Error on 8 test images, which were used once: 12.50%, balanced 25.00%.",
        "| cat_s | 4 | 50.00% |",
        "| dog\\|s | 9 | - |",
        "divided by a temperature of 1.5, fitted on 50 validation images; without it: 0.200 and 0.900.",
        "1% of the training pool lies below -3.25",
        "- Fewer than five labels: cat_s.",
        "    python -m ssgan.fit split=[0]*2\n",
        "Error on the 90% most confident test images: 1.25%.",
        "- 40% or more of the unlabeled images seem to be of none of the classes.",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("header", "metrics", "told", "untold"),
    [
        ({"temperature": 1.0}, {"calibration": None, "ood_share": 0.0}, "were not calibrated", "seem to be of none"),
        ({"test": {"error": None}}, {"ece": None, "calibration": None}, "temperature of 1.5", "were not calibrated"),
        (
            {"test": {"error": None}},
            {"ece": None, "nll": None, "calibration": None},
            "no test images",
            "used once",
        ),
        ({}, {"status": "collapsed"}, "collapsed", "nobody"),
        (
            {"image_shape": [384, 1, 1], "embedding": {"backbone": "resnet18"}},
            {},
            "backbone resnet18",
            "images of 1 x 1",
        ),
        ({"dataset": "svhn"}, {}, "non-commercial", "their owner"),
    ],
)
def test_what_there_is_not_is_not_told(header: dict[str, Any], metrics: dict[str, Any], told: str, untold: str) -> None:
    text = model_card(HEADER | header, METRICS | metrics)
    assert told in text
    assert untold not in text


def test_a_run_writes_it(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    assert ssgan("fit", *TINY, f"runs_dir={tmp_path}").code == 0
    (path,) = tmp_path.rglob("classifier.md")
    metrics = json.loads((path.parent / "metrics.json").read_text())
    header = load_classifier(path.parent / "classifier.safetensors").header
    assert path.read_text() == model_card(header, metrics)
    assert f"runs_dir={tmp_path}" in metrics["command"]
