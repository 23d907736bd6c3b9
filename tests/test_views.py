"""A classifier's word on several views of an image."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from conftest import Outcome
from PIL import Image
from torch import Tensor

from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import load_classifier, save_classifier
from ssgan.inference.ensemble import Ensemble
from ssgan.inference.views import AveragedViews, moved
from ssgan.nets import MLPClassifier

HEADER = {"class_names": list("0123456789"), "image_shape": [1, 8, 8], "pixel_range": [0, 1]}


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)


def as_classifier(network: MLPClassifier, shift: bool = True, flip: bool = True) -> Classifier:
    return Classifier(network.eval(), {**HEADER, "views": {"shift": shift, "flip": flip}})


def test_images_are_moved_along_their_diagonal(images: Tensor) -> None:
    """Catches rows and columns moved apart, and images that come back around on the other side."""
    down = moved(images, 1, flip=False)
    assert torch.equal(down[:, :, 1:, 1:], images[:, :, :-1, :-1])
    assert torch.equal(down[:, :, 0, 1:], images[:, :, 1, :-1])  # reflected, without the border's own row
    up = moved(images, -1, flip=True).flip(3)
    assert torch.equal(up[:, :, :-1, :-1], images[:, :, 1:, 1:])
    assert torch.equal(up[:, :, -1, :-1], images[:, :, -2, 1:])
    assert torch.equal(moved(images, 0, flip=False), images)


@pytest.mark.parametrize(("shift", "flip", "views"), [(True, True, 6), (True, False, 3), (False, True, 2)])
def test_mean_probability(
    classifier: MLPClassifier, images: Tensor, shift: bool, flip: bool, views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = as_classifier(classifier, shift, flip)
    of_views = [
        single.predict_proba(moved(images, move, mirrored))
        for move in ((0, -1, 1) if shift else (0,))
        for mirrored in ((False, True) if flip else (False,))
    ]
    assert len(of_views) == views
    averaged = AveragedViews(single)
    torch.testing.assert_close(averaged.predict_proba(images), torch.stack(of_views).mean(0))
    assert torch.equal(averaged.log_z(images), single.log_z(images))  # the outliers of a file are of images as they are
    torch.testing.assert_close(averaged.predict_proba(images[:, 0].numpy()), averaged.predict_proba(images))
    with pytest.raises(SsganError, match="images have the shape"):
        averaged.predict(images[:, :, :4])
    of_all = averaged.predict_proba(images)
    monkeypatch.setattr("ssgan.pixels.AT_ONCE", 3 * images[0].numel())
    torch.testing.assert_close(averaged.predict_proba(images), of_all)


def test_an_ensemble_has_the_views_of_all_its_members(classifier: MLPClassifier, images: Tensor) -> None:
    members = [as_classifier(classifier, flip=flip) for flip in (True, False)]
    averaged = AveragedViews(Ensemble(members))
    assert averaged.flips == (False,)
    torch.testing.assert_close(averaged.predict_proba(images), AveragedViews(members[1]).predict_proba(images))


def test_all_networks_move_to_a_device(classifier: MLPClassifier) -> None:
    members = [as_classifier(deepcopy(classifier)) for _ in range(2)]
    averaged = AveragedViews(Ensemble(members))
    assert averaged.to("meta") is averaged
    assert {p.device.type for member in members for p in member.network.parameters()} == {"meta"}


@pytest.mark.parametrize("device", ["cuda:9", "meta", "gpu"])
def test_a_device_that_is_not_there(ssgan: Callable[..., Outcome], tmp_path: Path, device: str) -> None:
    outcome = ssgan("evaluate", f"classifier={tmp_path}", "dataset=digits", f"device={device}")
    assert outcome.code == 1
    assert f"device={device}: not available" in outcome.err
    assert "use auto or cpu" in outcome.err


def test_classifiers_without_views(classifier: MLPClassifier) -> None:
    with pytest.raises(SsganError, match="does not say how training shifted"):
        AveragedViews(Classifier(classifier, dict(HEADER)))
    with pytest.raises(SsganError, match="neither moved nor flipped"):
        AveragedViews(as_classifier(classifier, False, False))


def test_commands(ssgan: Callable[..., Outcome], classifier: MLPClassifier, tmp_path: Path) -> None:
    """What `fit` writes is read: `views=true` of `evaluate`; `predict` is told of a file that does not say it."""
    file = tmp_path / "c.safetensors"
    save_classifier(file, classifier, tuple("0123456789"), dataset="digits", views={"shift": True, "flip": False})
    answers = [
        json.loads(ssgan("evaluate", f"classifier={file}", "dataset=digits", key).out)
        for key in ("views=true", "views=false")
    ]
    assert [answer["views"] for answer in answers] == [True, False]
    assert answers[0]["nll"] != answers[1]["nll"]
    pictures = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture[0].numpy()).save(tmp_path / f"{number}.png")
    asked = (f"classifier={file}", f"images={tmp_path}", f"output={tmp_path / 'p.csv'}", "views=true", "outliers=0")
    outcome = ssgan("predict", *asked)
    assert outcome.code == 0, outcome.err
    rows = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    expected = AveragedViews(load_classifier(file)).predict_proba(pictures).max(1)
    assert [int(row[1]) for row in rows] == expected.indices.tolist()
    assert [float(row[2]) for row in rows] == pytest.approx(expected.values.tolist(), abs=1e-5)
    save_classifier(file, classifier, tuple("0123456789"), dataset="digits")
    outcome = ssgan("predict", f"classifier={file}", f"images={tmp_path}", f"output={tmp_path / 'p.csv'}", "views=true")
    assert outcome.code == 1
    assert "views: the classifier's file does not say" in outcome.err
