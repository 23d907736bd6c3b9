"""The page of the visual Turing test holds what it should, gives nothing away, and counts right in a browser."""

import base64
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from PIL import Image

from ssgan.data.image_data import ImageData
from ssgan.inference.classifier_file import to_spec
from ssgan.inference.sampling import draw_images
from ssgan.nets import MLPGenerator
from ssgan.nets.layers.batch_norm import batch_norms
from ssgan.page import fill
from ssgan.turing import TEMPLATE

COUNT = 6
WritePage = Callable[..., Path]


@pytest.fixture
def checkpoint(generator: MLPGenerator, tmp_path: Path) -> Path:
    weights = {f"ema_generator.module.{name}": tensor for name, tensor in generator.state_dict().items()}
    torch.save({"generator": to_spec(generator), "state_dict": weights}, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


@pytest.fixture
def write_page(ssgan: Callable[..., Outcome], checkpoint: Path, tmp_path: Path) -> WritePage:
    def write(name: str = "turing.html", *overrides: str) -> Path:
        arguments = [f"checkpoint={checkpoint}", "dataset=digits", f"count={COUNT}", f"output={tmp_path / name}"]
        outcome = ssgan("turing", *arguments, *overrides)
        assert outcome.code == 0, outcome.err
        return tmp_path / name

    return write


def content(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def pixels(png: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(png.removeprefix("data:image/png;base64,")))) as image:
        return np.asarray(image)


def test_the_page_shows_count_images_of_each_kind(
    write_page: WritePage, digits: ImageData, generator: MLPGenerator
) -> None:
    """Kills images that are not the ones their index names, such as training images, and an order that is none."""
    page = write_page().read_text()
    assert page.count("data:image/png;base64,") == 2 * COUNT
    images = content(page)["images"]
    generated = torch.cat(list(draw_images(generator, COUNT, seed=0)))
    for truth, source in (("real", digits.test_images), ("generated", generated)):
        chosen = [image for image in images if image["truth"] == truth]
        assert len({image["index"] for image in chosen}) == COUNT
        assert all(np.array_equal(pixels(image["png"]), source[image["index"], 0]) for image in chosen)
    truths = [image["truth"] for image in images]
    assert truths not in (sorted(truths), sorted(truths, reverse=True))


def test_the_encoding_does_not_tell_the_truth(write_page: WritePage) -> None:
    """Kills a compression that makes real images shorter, and a header that differs between the kinds."""
    images = content(write_page().read_text())["images"]
    assert len({len(image["png"]) for image in images}) == 1
    assert len({base64.b64decode(image["png"].partition(",")[2])[:33] for image in images}) == 1
    assert len({tuple(image) for image in images}) == 1


def test_nothing_external_is_referenced(write_page: WritePage) -> None:
    page = write_page().read_text()
    assert not re.search(r"https?:|//\w+\.\w|@import|url\(|<link|<iframe|fetch\(", page)
    assert not re.search(r"\s(?:src|href|srcset|action)\s*=", TEMPLATE.read_text().partition("<script>")[0])
    assert "default-src 'none'" in page


def test_the_seed_decides_images_and_order(write_page: WritePage) -> None:
    first, again, other = write_page("a.html"), write_page("b.html"), write_page("c.html", "seed=1")
    assert first.read_bytes() == again.read_bytes()
    indices = [
        [image["index"] for image in content(page.read_text())["images"] if image["truth"] == "real"]
        for page in (first, other)
    ]
    assert indices[0] != indices[1]
    assert not {image["png"] for image in content(first.read_text())["images"] if image["truth"] == "generated"} & {
        image["png"] for image in content(other.read_text())["images"]
    }


def test_no_value_can_end_the_script() -> None:
    hostile = {"dataset": "</script><script>alert(1)</script>", "checkpoint": "<!--<script>"}
    page = fill(TEMPLATE.read_text(), hostile)
    assert content(page) == hostile
    assert page.count("<script") == TEMPLATE.read_text().count("<script") == 2


def test_mistakes(
    ssgan: Callable[..., Outcome], checkpoint: Path, tmp_path: Path, write_npz: Callable[..., Path]
) -> None:
    output = tmp_path / "turing.html"
    mnist = ["dataset=mnist", f"data_dir={write_npz().parent}"]
    arrays = tmp_path / "arrays.npz"
    images = np.zeros((20, 8, 8), np.uint8)
    np.savez(arrays, x_train=images, y_train=np.arange(20) % 10, x_test=images, y_test=np.arange(20) % 10)
    npz = ["dataset=npz", f"dataset.path={arrays}", "count=2"]
    for overrides, messages in (
        (["dataset=digits", "count=0"], ["count=0: use 1 to 500, the test images of digits"]),
        (["dataset=digits", "count=501"], ["count=501: use 1 to 500"]),
        (mnist, [f"checkpoint={checkpoint}: its generator makes (1, 8, 8)", "dataset=mnist are (1, 28, 28); name the"]),
        (["dataset=digits", "checkpoint=/nowhere.ckpt"], ["checkpoint=/nowhere.ckpt: no such file"]),
        (["dataset=digits", f"output={tmp_path}"], ["cannot be written"]),
        (["dataset=digits", f"output={checkpoint}"], [f"output={checkpoint}: is also an input file"]),
        (["dataset=digits", "feedback=perhaps"], ["feedback", "perhaps"]),
        ([*npz, f"output={arrays}"], [f"output={arrays}: is also an input file"]),
        ([], ["missing: dataset=..., one of"]),
    ):
        outcome = ssgan("turing", f"checkpoint={checkpoint}", f"output={output}", *overrides)
        assert outcome.code == 1
        for message in messages:
            assert message in outcome.err
        assert outcome.err.count("error: ") == 1
        assert "Traceback" not in outcome.err
        assert not output.exists()


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The p at which the observed share is 1.96 standard errors away: the roots of (share - p)^2 = z^2 p (1 - p) / n."""
    z, share = 1.959963984540054, successes / n
    low, high = np.roots([1 + z**2 / n, -(2 * share + z**2 / n), share**2])[::-1]
    return float(low), float(high)


@pytest.mark.parametrize("feedback", [True, False])
def test_a_person_answers_all(write_page: WritePage, browser: Any, feedback: bool) -> None:
    """By all five ways to answer, every verdict is recorded with its own image, and the figures are those of Wilson."""
    path = write_page("turing.html", f"feedback={feedback}")
    images = content(path.read_text())["images"]
    verdicts = [("real", "generated")[i % 5 in (1, 3)] for i in range(len(images))]
    requests, problems = [], []
    page = browser.new_page(viewport={"width": 320, "height": 640})
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(path.as_uri())
    assert page.get_by_text("52.4").is_visible()
    assert page.get_by_role("checkbox").is_checked() == feedback
    page.keyboard.press("r")
    page.get_by_role("button", name="Start").click()
    for i, (image, verdict) in enumerate(zip(images, verdicts, strict=True)):
        assert page.get_by_text(f"Image {i + 1} of {len(images)}", exact=True).is_visible()
        assert page.locator("#image").get_attribute("src") == image["png"]
        assert image["truth"] not in page.locator("#image").get_attribute("alt").replace("real or generated?", "")
        match i % 5:
            case 0:
                page.keyboard.press("ArrowLeft")
            case 1:
                page.keyboard.press("g")
            case 2:
                page.keyboard.press("R")
            case 3:
                page.keyboard.press("ArrowRight")
            case 4:
                page.get_by_role("button", name="Real").click()
        if feedback:
            judged = "Right" if verdict == image["truth"] else "Wrong"
            assert page.locator("#status").text_content() == f"{judged}: it is {image['truth']}."
            page.keyboard.press("g")  # a second verdict on the same image does not count
            page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone must not scroll sideways"
    check_result(page, images, verdicts, feedback)
    assert not problems
    assert all(url.startswith((path.as_uri(), "data:", "blob:")) for url in requests)


def check_result(page: Any, images: list[dict[str, Any]], verdicts: list[str], feedback: bool) -> None:
    """What the last screen shows and what its download holds, against ``verdicts`` counted anew."""
    correct = sum(verdict == image["truth"] for verdict, image in zip(verdicts, images, strict=True))
    low, high = wilson(correct, len(images))
    assert page.locator("#accuracy").text_content() == f"{100 * correct / len(images):.1f} %"
    assert (
        f"95 % interval (Wilson): {100 * low:.1f} % to {100 * high:.1f} %" in page.locator("#interval").text_content()
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "turing-digits.json"
    record = json.loads(Path(download.value.path()).read_text())
    assert record["feedback"] == feedback
    assert [(v["index"], v["truth"], v["verdict"]) for v in record["verdicts"]] == [
        (image["index"], image["truth"], verdict) for image, verdict in zip(images, verdicts, strict=True)
    ]
    assert all(isinstance(v["milliseconds"], int) and 0 <= v["milliseconds"] < 60_000 for v in record["verdicts"])
    summary = record["summary"]
    assert (summary["images"], summary["correct"]) == (len(images), correct)
    assert summary["wilson_interval_95"] == pytest.approx([low, high], abs=1e-6)
    for truth, verdict in (("generated", "real"), ("real", "generated")):
        fooled = [i for i, v in zip(images, verdicts, strict=True) if i["truth"] == truth and v == verdict]
        assert summary[f"{truth}_taken_for_{verdict}"] == len(fooled)
        shown = page.locator(f"#{truth}-fooled img").evaluate_all("images => images.map(image => image.src)")
        assert shown == [image["png"] for image in fooled]


def test_the_interval_at_its_ends(write_page: WritePage, browser: Any) -> None:
    """None and all right: the normal approximation would give an interval of no width, or one beyond 0 and 1."""
    page = browser.new_page()
    page.goto(write_page().as_uri())
    for successes, n in ((0, 10), (10, 10), (1, 2), (52, 100), (1048, 2000)):
        low, high = page.evaluate(f"wilson({successes}, {n})")
        assert (low, high) == pytest.approx(wilson(successes, n), abs=1e-6)
        assert 0 <= low < high <= 1
        assert math.isclose(low, 0, abs_tol=1e-12) == (successes == 0)


def test_an_image_depends_on_weights_and_its_own_z(generator: MLPGenerator) -> None:
    """Kills running statistics of training in samples."""
    first = torch.cat(list(draw_images(generator, 50, 0)))
    for norm in batch_norms(generator):
        norm.running_mean.add_(1)
        norm.running_var.mul_(9)
    assert torch.equal(torch.cat(list(draw_images(generator, 50, 0))), first)
    assert torch.equal(torch.cat(list(draw_images(generator, 3, 0))), first[:3])
