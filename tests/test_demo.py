"""The page to try a classifier: its answers, and a browser in front of it."""

import csv
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import TINY, Outcome
from PIL import Image

import ssgan
from ssgan.data.image_data import ImageData
from ssgan.data.images import read_picture
from ssgan.data.splits import draw_split
from ssgan.demo import Neighbors, Page, enlarged, neighbors_of, page_of
from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier
from ssgan.inference.suggestions import features
from ssgan.nets import MLPClassifier

HEADER = {"class_names": list("0123456789"), "image_shape": [1, 8, 8], "pixel_range": [0, 1], "dataset": "digits"}


@pytest.fixture
def page(classifier: MLPClassifier, digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """It takes images for outliers that half of the test images are below."""
    plain = Classifier(classifier.eval(), HEADER)
    log_z = plain.log_z(digits.test_images)
    quantiles = {"0.001": log_z.min().item(), "0.01": log_z.median().item(), "0.5": log_z.max().item()}
    known = Classifier(classifier, HEADER | {"log_z_quantiles": quantiles, "fake_logit": 0.5})
    images = digits.train_images[:30]
    names = [str(target) for target in digits.train_targets[:30].tolist()]
    return Page(known, Neighbors(images, names, features(known, images)), str(tmp_path_factory.mktemp("tables")))


def saved(image: torch.Tensor, path: Path) -> str:
    Image.fromarray(image[0].numpy()).save(path)
    return str(path)


def test_an_answer(page: Page, digits: ImageData, tmp_path: Path) -> None:
    """Kills probabilities of other classes than they are named by, and an outlier that is not told."""
    outliers = 0
    for number in range(10):
        image = digits.test_images[number]
        probabilities, said, near = page.answer(saved(image, tmp_path / f"{number}.png"))
        answers = page.classifier.answers(image[None])
        expected = answers.log_probabilities[0].exp()
        assert len(probabilities) == len(near) == 5
        assert all(p == pytest.approx(expected[int(name)].item(), abs=1e-6) for name, p in probabilities.items())
        assert next(iter(probabilities)) == str(expected.argmax().item())
        told = "Unlike the training images" in said
        assert told == (answers.log_z.item() < page.threshold)
        assert f"log Z {answers.log_z.item():.2f}, D(x) {(answers.log_z - 0.5).sigmoid().item():.3f})" in said
        assert "Resized" not in said
        outliers += told
    assert 0 < outliers < 10


def test_the_nearest_labeled_image_of_one_is_itself(page: Page, digits: ImageData, tmp_path: Path) -> None:
    _, _, near = page.answer(saved(digits.train_images[3], tmp_path / "a.png"))
    picture, name = near[0]
    assert np.array_equal(picture, enlarged(digits.train_images[3]))
    assert name == str(digits.train_targets[3].item())


def test_what_is_no_picture_is_told(page: Page, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    probabilities, said, near = page.answer(str(tmp_path / "a.png"))
    assert (probabilities, near) == ({}, [])
    assert said.startswith("not a picture that can be read")
    assert page.answer(None) == ({}, "", [])


def test_a_drawing_is_centered_and_light(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def answer(path: str) -> tuple[dict[str, float], str, list[Any]]:
        seen.append(np.asarray(Image.open(path)))
        return {}, "", []

    monkeypatch.setattr(page, "answer", answer)
    canvas = np.zeros((100, 200, 4), np.uint8)
    canvas[10:30, 150:160, 3] = 255
    for light in (True, False):
        page.drawn({"composite": canvas}, light)
    assert seen[0].shape == (28, 28)
    assert seen[0][4:24, 9:19].min() == 255
    assert seen[0].sum() == 255 * 200
    assert np.array_equal(seen[1], 255 - seen[0])
    assert (
        page.drawn({"composite": np.zeros_like(canvas)}, True) == page.drawn({"composite": None}, True) == ({}, "", [])
    )


def test_many_pictures_become_a_table(page: Page, digits: ImageData, tmp_path: Path) -> None:
    paths = [saved(digits.test_images[number], tmp_path / f"{number}.png") for number in range(3)]
    (tmp_path / "broken.png").write_text("no picture")
    path, missing = page.table([*paths, str(tmp_path / "broken.png")])
    assert path is not None
    assert missing == "1 of 4 pictures could not be read and are not in the table."
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert [row["class"] for row in rows] == [str(k) for k in page.classifier.predict(digits.test_images[:3]).tolist()]
    assert page.table(paths)[1] == ""
    assert page.table([]) == (None, "")


def test_mistakes(ssgan: Callable[..., Outcome], classifier: MLPClassifier, tmp_path: Path) -> None:
    from ssgan.inference.classifier_file import save_classifier

    save_classifier(tmp_path / "c.safetensors", classifier, tuple("0123456789"), dataset="digits")
    given = f"classifier={tmp_path / 'c.safetensors'}"
    for keys, message in (
        (["classifier=/nowhere"], "classifier=/nowhere: no such file"),
        ([given, f"run={tmp_path}"], f"run={tmp_path}: not the folder of a run"),
        ([given, "port=0"], "port=0: use a number from 1 to 65535"),
    ):
        outcome = ssgan("demo", *keys)
        assert outcome.code == 1
        assert message in outcome.err


def test_another_runs_labeled_images_are_refused(classifier: MLPClassifier, digits: ImageData, tmp_path: Path) -> None:
    split = draw_split(digits.train_targets.numpy(), 10, 50, 1)
    (tmp_path / "split.json").write_text(json.dumps(split.to_json() | {"data": digits.digest}))
    dataset = {"_target_": "ssgan.data.datasets.digits", "name": "digits"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"dataset": dataset}))
    own, other = (Classifier(classifier, HEADER | {"split_digest": digest}) for digest in (split.digest, "0" * 16))
    assert len(neighbors_of(own, str(tmp_path), "data", False).images) == 50
    with pytest.raises(SsganError, match="learned from other labeled images"):
        neighbors_of(other, str(tmp_path), "data", False)


def test_without_gradio(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SsganError, match=r"needs pip install -e '\.\[demo\]'"):
        page_of(page)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Classifier]]:
    """The address of the page of a short run, in a process of its own, and the run's classifier."""
    pytest.importorskip("gradio", reason="needs gradio: pip install -e '.[demo]'")
    result = ssgan.train("digits", "improved_gan", settings=TINY, runs_dir=tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [f"classifier={result.folder / 'classifier.safetensors'}", f"run={result.folder}", f"port={port}"]
    with subprocess.Popen([sys.executable, "-m", "ssgan.demo", *given], stdout=subprocess.PIPE) as process:
        for _ in range(1200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", result.classifier
        process.terminate()  # not SIGINT, which what is started in the background of a script ignores


@pytest.mark.slow
def test_a_person_tries_it(served: tuple[str, Classifier], digits: ImageData, browser: Any, tmp_path: Path) -> None:
    """Drops a picture, draws one, and takes away a table of three."""
    address, classifier = served
    image = digits.test_images[classifier.log_z(digits.test_images).argmin()]
    path = str(tmp_path / "a.png")  # of 16 bits, which Gradio's own reading would clip
    Image.fromarray(image[0].numpy().astype(np.uint16) * 257).save(path)
    pixels, _ = read_picture(Path(path), classifier.image_shape, classifier.reading)
    expected = str(classifier.predict(pixels[None]).item())
    window = browser.new_page(viewport={"width": 1200, "height": 900})
    window.set_default_timeout(120_000)
    window.goto(address, wait_until="commit")
    window.locator("input[type=file]").first.set_input_files(path)
    window.get_by_text("Unlike the training images").wait_for()
    assert window.get_by_text(f"log Z {classifier.log_z(pixels[None]).item():.2f}").count()
    assert window.locator("[data-testid=label-output-value]").inner_text().strip() == expected
    assert window.locator(".grid-container img, .thumbnail-item img").count() >= 5

    window.get_by_role("tab", name="A drawing").click()
    window.get_by_title("Brush", exact=True).click()
    canvas = window.locator("canvas").last
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    window.mouse.move(x, y - 80)
    window.mouse.down()
    window.mouse.move(x, y + 80, steps=12)
    window.mouse.up()
    window.get_by_role("button", name="What is it?").click()
    window.get_by_text("Resized to 8 x 8").wait_for()

    window.get_by_role("tab", name="Many pictures").click()
    files = [saved(digits.test_images[number], tmp_path / f"{number}.png") for number in range(3)]
    (tmp_path / "broken.png").write_text("no picture")
    window.locator("input[type=file]").last.set_input_files([*files, str(tmp_path / "broken.png")])
    window.get_by_text("1 of 4 pictures could not be read").wait_for()
    window.get_by_text("predictions.csv", exact=False).last.wait_for()
