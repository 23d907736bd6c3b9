"""Suggestions: the rules by hand, the page in a browser, and the way back into a run."""

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, Outcome
from PIL import Image
from torch import Tensor, nn

from ssgan import load_classifier
from ssgan.data.folder import folder
from ssgan.data.image_data import ImageData
from ssgan.data.labels_file import read_labels
from ssgan.errors import SsganError
from ssgan.inference.classifier import Classifier
from ssgan.inference.suggestions import RULES, Query, by_views, entropy, farthest, suggest
from ssgan.nets.base import ImageClassifier
from ssgan.page import fill
from ssgan.reporting import predictions
from ssgan.suggest import TEMPLATE, picture_of, require_unicode

Command = Callable[..., Outcome]


class Reads(ImageClassifier):
    """Logits and features are an image's first pixels."""

    pixel_range = (0.0, 1.0)

    def __init__(self, classes: int = 2):
        super().__init__()
        self.arguments = {"image_shape": [1, 1, 4], "classes": classes}
        self.head, self.unused = nn.Identity(), nn.Parameter(torch.zeros(1))
        self.classes = classes

    def features(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, : self.classes]


def reading(views: dict[str, bool] | None = None) -> Classifier:
    header = {"class_names": ["a", "b"], "image_shape": [1, 1, 4], "pixel_range": [0, 1]}
    return Classifier(Reads(), header | ({"views": views} if views else {}))


def images_of(*pixels: list[float]) -> Tensor:
    return torch.tensor([[*first, 0, 0] for first in pixels])[:, None, None]


def test_the_least_margin_comes_first() -> None:
    images = images_of([1, 0], [0.5, 0.4], [0.2, 0.2], [0, 0.7])
    query = Query(reading(), images, images[:1], 3)
    assert suggest(query, "margin").tolist() == [2, 1, 3]


def test_the_farthest_from_what_is_covered_comes_first() -> None:
    """Kills distances to the first labeled image alone, and choices that do not count as covered."""
    points = torch.tensor([[0.0, 0], [1, 0], [10, 0], [10, 1], [0, 6]])
    covered = torch.tensor([[0.0, 0], [1, 0.0]])
    assert farthest(points, covered, 3).tolist() == [3, 4, 2]
    same = torch.zeros(4, 2)
    assert sorted(farthest(same, same, 4).tolist()) == [0, 1, 2, 3]


def test_the_mix_is_far_apart_among_the_uncertain() -> None:
    angles = torch.linspace(0.05, 1.5, 200)
    images = images_of(*torch.stack([angles.cos(), angles.sin()], 1).tolist())
    query = Query(reading(), images, images[:1], 2)
    margins = (images[:, 0, 0, 0] - images[:, 0, 0, 1]).abs()
    uncertain = set(margins.argsort()[:20].tolist())
    chosen = suggest(query, "mix").tolist()
    assert set(chosen) <= uncertain
    assert chosen[0] == max(uncertain)  # the farthest from the image at angle 0


def test_views_that_disagree_come_first() -> None:
    """An image of which the mirrored view is of the other class, and one that is uncertain in both alike."""
    unsure, sure, torn = (
        [0.5, 0.5, 0.5, 0.5],
        [1.0, 0.0, 0.0, 1.0],
        [1.0, 0.0, 1.0, 0.0],
    )  # the last one mirrored: 0, 1, 0, 1
    images = torch.tensor([unsure, sure, torn])[:, None, None]
    query = Query(reading({"shift": False, "flip": True}), images, images[:1], 3)
    assert by_views(query).tolist()[0] == 2
    with pytest.raises(SsganError, match="does not say how training shifted"):
        suggest(Query(reading(), images, images[:1], 1), "views")


def test_entropy() -> None:
    assert entropy(torch.tensor([0.5, 0.5]).log()).item() == pytest.approx(np.log(2))


def test_mistakes_in_a_query() -> None:
    images = images_of([1, 0], [0, 1])
    for count in (0, 3):
        with pytest.raises(SsganError, match=f"count={count}: use 1 to 2"):
            suggest(Query(reading(), images, images[:1], count), "margin")
    with pytest.raises(SsganError, match="rule=best: use mix, margin, views, coverage, random"):
        suggest(Query(reading(), images, images[:1], 1), "best")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import ssgan

    keys = [key for key in TINY if not key.startswith("method=")]
    keys.append("augmentation.shift=1")  # or there are no views
    result = ssgan.train("digits", "improved_gan", settings=keys, runs_dir=tmp_path_factory.mktemp("runs"))
    return result.folder


def content(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("rule", RULES)
def test_the_page_shows_unlabeled_images(
    rule: str, ssgan: Command, run_folder: Path, digits: ImageData, tmp_path: Path
) -> None:
    """Kills pictures that are not those that their name names, and images that have a label, or are for validation."""
    path = tmp_path / "labels.html"
    outcome = ssgan("suggest", f"run={run_folder}", f"output={path}", "count=12", f"rule={rule}")
    assert outcome.code == 0, outcome.err
    about = content(path.read_text())
    split = json.loads((run_folder / "split.json").read_text())
    places = [int(image["image"]) for image in about["images"]]
    assert len(set(places)) == 12
    assert not {*places} & {*split["labeled"], *split["validation"]}
    classifier = load_classifier(run_folder / "classifier.safetensors")
    for place, image in zip(places, about["images"], strict=True):
        with Image.open(io.BytesIO(base64.b64decode(image["picture"].partition(",")[2]))) as picture:
            assert np.array_equal(np.asarray(picture), digits.train_images[place, 0])
        probabilities = classifier.predict_proba(digits.train_images[place : place + 1])[0]
        assert image["guess"] == probabilities.argmax()
        assert image["probability"] == pytest.approx(probabilities.max().item(), abs=1e-4)


def test_the_page_shows_pictures_as_their_files_have_them(tmp_path: Path) -> None:
    """A person cannot name what is on 32x32 pixels of a photograph; it stands as its camera was held."""
    random = np.random.default_rng(0)
    for number in range(3):
        for name in ("cat", "dog"):
            (tmp_path / name).mkdir(exist_ok=True)
            large = Image.fromarray(random.integers(0, 256, (600, 800, 3), np.uint8))
            exif = large.getexif()
            exif[0x0112] = 6  # turned by 90 degrees
            large.save(tmp_path / name / f"{number}.jpg", exif=exif)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / name / f"small{number}.png")
    data = folder("pets", str(tmp_path), 32, 3, strict=False)
    sizes = set()
    for place, image in enumerate(data.train_images):
        kind, _, encoded = picture_of(data, place, image).partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            sizes.add((kind, picture.size))
    assert sizes == {("data:image/jpeg", (288, 384)), ("data:image/png", (8, 8))}


def test_a_table_to_fill_in(ssgan: Command, run_folder: Path, tmp_path: Path) -> None:
    outcome = ssgan("suggest", f"run={run_folder}", f"output={tmp_path / 'l.csv'}", "count=5", "pool=100", "seed=3")
    assert outcome.code == 0, outcome.err
    assert "5 of 100 unlabeled images" in outcome.out
    assert [label for _, _, label, _ in read_labels("", str(tmp_path / "l.csv"))] == [""] * 5


def test_labels_by_hand_are_not_overwritten(ssgan: Command, run_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.CSV"
    arguments = (f"run={run_folder}", f"output={file}", "count=5")
    for _ in range(2):  # one that nobody has filled in is written again
        assert ssgan("suggest", *arguments).code == 0
    filled = file.read_text().replace(",,", ",3,", 2)
    file.write_text(filled)
    outcome = ssgan("suggest", *arguments)
    assert outcome.code == 1
    assert f"output={file}: holds 2 labels already; name another file" in outcome.err
    assert file.read_text() == filled


def test_a_run_on_other_images_is_told(
    ssgan: Command, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: ImageData
) -> None:
    """Kills places of images that were in another order when the run was trained."""
    mirrored = replace(digits, train_images=digits.train_images.flip(0), train_targets=digits.train_targets.flip(0))
    predictions._kept.cache_clear()
    monkeypatch.setattr(predictions, "load_dataset", lambda described: mirrored)
    outcome = ssgan("suggest", f"run={run_folder}", f"output={tmp_path / 'l.csv'}", "count=5")
    predictions._kept.cache_clear()
    assert outcome.code == 1
    assert (
        f"{run_folder}: digits has other images, labels or class names now than when this run was trained"
        in outcome.err
    )
    assert not list(tmp_path.iterdir())


def test_mistakes(ssgan: Command, run_folder: Path, tmp_path: Path) -> None:
    output = f"output={tmp_path / 'l.html'}"
    for keys, message in (
        ([f"run={tmp_path}", output], f"run={tmp_path}: not the folder of a run"),
        ([f"run={run_folder}", output, "rule=best"], "rule=best: use mix"),
        ([f"run={run_folder}", output, "count=5000"], "count=5000: use 1 to"),
        ([f"run={run_folder}", output, "count=0"], "count=0: use 1 or more"),
        ([f"run={run_folder}", f"output={tmp_path}"], "cannot be written"),
        ([f"run={run_folder}", f"output={tmp_path / 'l.tsv'}"], "l.tsv: use a name that ends with .html"),
        ([f"run={run_folder}", f"output={run_folder / 'split.json'}"], "split.json: is also an input file"),
    ):
        outcome = ssgan("suggest", *keys)
        assert outcome.code == 1
        assert message in outcome.err
        assert "Traceback" not in outcome.err


def test_a_page_holds_no_name_that_is_no_unicode() -> None:
    """JSON writes it, and a browser reads U+FFFD: labels for an image that is not there."""
    require_unicode("l.html", ["a/ä.png", "0"])
    with pytest.raises(
        SsganError, match=r"output=l.html: a page cannot hold the name 'caf\\udce9.png'.*ends with .csv"
    ):
        require_unicode("l.html", ["a.png", "caf\udce9.png"])


def test_nothing_external_is_referenced(ssgan: Command, run_folder: Path, tmp_path: Path) -> None:
    ssgan("suggest", f"run={run_folder}", f"output={tmp_path / 'l.html'}", "count=2")
    page = (tmp_path / "l.html").read_text()
    assert not re.search(r"https?:|//\w+\.\w|@import|url\(|<link|<iframe|fetch\(", page)
    assert "default-src 'none'" in page


def load_again(page: Any) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.get_by_role("button", name="Start").click()


def test_a_person_labels_and_the_labels_are_trained_on(
    ssgan: Command, run_folder: Path, digits: ImageData, browser: Any, tmp_path: Path
) -> None:
    """By keys and by clicks, with a mistake taken back, an image left out, and one changed at the end."""
    path = tmp_path / "labels.html"
    assert ssgan("suggest", f"run={run_folder}", f"output={path}", "count=6", "hints=true").code == 0
    images = content(path.read_text())["images"]
    truth = [str(digits.train_targets[int(image["image"])].item()) for image in images]
    problems: list[str] = []
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(path.as_uri())
    page.keyboard.press("3")  # before the start nothing is labeled
    page.get_by_role("button", name="Start").click()
    assert page.get_by_text("The classifier: ").is_visible()
    for place, (image, name) in enumerate(zip(images, truth, strict=True)):
        assert page.get_by_text(f"Image {place + 1} of 6", exact=True).is_visible()
        assert page.locator("#image").get_attribute("src") == image["picture"]
        match place:
            case 0:  # wrong, and back; on from it nothing changes
                page.keyboard.press(str((int(name) + 1) % 10))
                page.keyboard.press("ArrowLeft")
                page.keyboard.press("ArrowRight")
                page.keyboard.press("ArrowLeft")
                assert page.get_by_text(f"labeled {(int(name) + 1) % 10}").is_visible()
                page.keyboard.press(name)
            case 1 | 2:  # left out
                page.keyboard.press("ArrowRight")
            case 3:
                page.get_by_role("button", name=name, exact=True).click()
            case _:
                page.keyboard.press(name)
    assert page.get_by_text("4 of 6 images have a label").is_visible()
    page.get_by_role("button", name="Image 3 no label").click()
    page.get_by_role("button", name=truth[2], exact=True).focus()
    held = page.evaluate(
        "!document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', repeat: true, bubbles: true, cancelable: true}))"
    )
    assert held  # a button that is held labels no second image
    page.keyboard.press(truth[2])
    assert page.get_by_text("5 of 6 images have a label").is_visible()
    load_again(page)
    assert page.get_by_text("5 of 6 images have a label").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save labels.csv").click()
    assert download.value.suggested_filename == "labels.csv"
    labels = tmp_path / "labels.csv"
    labels.write_bytes(Path(download.value.path()).read_bytes())
    named = [(image["image"], name) for i, (image, name) in enumerate(zip(images, truth, strict=True)) if i != 1]
    assert [(image, label) for _, image, label, _ in read_labels("", str(labels))] == named
    assert not problems
    outcome = ssgan("fit", *TINY, f"labels_file={labels}", f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 0, outcome.err
    assert "55 labeled images" in outcome.out


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["b", "a"], ["B", "a"]),
        (["A", "a"], ["A", "a"]),
        (["cat", 'a "dog", big'], ["1", "2"]),
        ([f"class {k}" for k in range(12)], ["1", "b"]),
    ],
)
def test_keys_and_quotes_of_any_names(
    names: list[str], keys: list[str], browser: Any, ssgan: Command, run_folder: Path, tmp_path: Path
) -> None:

    blank = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    files = ["a, b/1.png", 'c"d.png']
    images = [{"image": file, "picture": blank, "guess": 0, "probability": 0.5, "digest": "0a"} for file in files]
    about = {"dataset": "<b>", "rule": "mix", "hints": False, "class_names": names, "images": images}
    (tmp_path / "p.html").write_text(fill(TEMPLATE.read_text(), about))
    page = browser.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    page.get_by_role("button", name="Start").click()
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("labels.clear(); finish()")  # as if Finish was pressed at once
    page.get_by_role("button", name="Image 1 no label").click()
    for key in keys:
        page.keyboard.press(key)
    (tmp_path / "l.csv").write_text(page.evaluate("table()"))
    expected = [names[0], names[1] if len(names) == 2 else names[11]]
    read = [row[1:] for row in read_labels("", str(tmp_path / "l.csv"))]
    assert read == [(*row, "0a") for row in zip(files, expected, strict=True)]
