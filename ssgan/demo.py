"""python -m ssgan.demo: a page on this machine on which pictures are dropped or drawn, and a classifier says what they are."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from ssgan import cli
from ssgan.data.file_predictions import predict_files
from ssgan.data.images import read_picture
from ssgan.data.registry import require_known
from ssgan.errors import SsganError, first_line
from ssgan.inference.classifier import OUTLIER_SHARE, Classifier, Predictor
from ssgan.inference.classifier_file import load_named
from ssgan.inference.embedding import taking_images
from ssgan.inference.suggestions import features
from ssgan.reporting.predictions import data_of
from ssgan.reporting.runs import run_in

SHOWN, NAMED = 5, 20
"""Classes and labeled images that an answer shows, and class names at the top of the page, at most."""


@dataclass(frozen=True)
class Neighbors:
    """The labeled images of a run, (N, C, H, W), with their classes' names, and where they lie in a classifier's feature space."""

    images: Tensor
    names: list[str]
    places: Tensor

    def nearest(self, place: Tensor) -> list[tuple[np.ndarray[Any, Any], str]]:
        """Pictures and classes of the `SHOWN` nearest of a place (F,)."""
        order = (self.places - place).norm(dim=1).argsort()[:SHOWN].tolist()
        return [(enlarged(self.images[number]), self.names[number]) for number in order]


def neighbors_of(classifier: Predictor, folder: str, data_dir: str, download: bool) -> Neighbors:
    """Of the run in ``folder``; raises `SsganError` if it is none, or another one's classifier."""
    run = run_in(folder)
    if not isinstance(classifier, Classifier):
        raise SsganError(
            f"run={folder}: the nearest labeled images are those of one classifier of images; name one file that was not trained on "
            f"vectors, and leave views=true out, or leave run= out"
        )
    data = data_of(run, data_dir, download)
    require_known(data, classifier, f"run={folder}")
    split = run.split()
    if classifier.header.get("split_digest") not in (None, split.digest):
        raise SsganError(
            f"run={folder}: the classifier learned from other labeled images; name its own run, or leave run= out"
        )
    images, targets = data.train_images[list(split.labeled)], data.train_targets[list(split.labeled)]
    names = [data.class_names[target] if target >= 0 else "?" for target in targets.tolist()]
    return Neighbors(images, names, features(classifier, images))


def enlarged(image: Tensor, side: int = 96) -> np.ndarray[Any, Any]:
    """A uint8 (C, H, W) image as (H, W, 3), each pixel a square."""
    picture = image.permute(1, 2, 0).expand(-1, -1, 3).numpy()
    times = max(1, side // max(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1)


class Page:
    """What the page's buttons call; tables are written into ``folder``."""

    def __init__(self, classifier: Predictor, neighbors: Neighbors | None, folder: str):
        self.classifier, self.neighbors, self.folder = classifier, neighbors, folder
        known = classifier.header.get("log_z_quantiles")
        self.threshold = classifier.outlier_threshold() if known else None

    def answer(self, path: str | None) -> tuple[dict[str, float], str, list[tuple[np.ndarray[Any, Any], str]]]:
        """Probabilities of the most probable classes, what else there is to say, and the nearest labeled images."""
        if path is None:
            return {}, "", []
        try:
            pixels, resized = read_picture(Path(path), self.classifier.image_shape, self.classifier.reading)
        except SsganError as error:
            return {}, str(error).partition(": ")[2], []
        answers = self.classifier.answers(pixels[None])
        probabilities, classes = answers.log_probabilities[0].exp().topk(min(SHOWN, len(self.classifier.class_names)))
        log_z = answers.log_z.item()
        fake_logit = self.classifier.header.get("fake_logit")
        d = "" if fake_logit is None else f", D(x) {torch.tensor(log_z - fake_logit).sigmoid():.3f}"
        said = [f"(log Z {log_z:.2f}{d})"]
        if self.threshold is not None and log_z < self.threshold:
            share = f"{1 - OUTLIER_SHARE:.0%}"
            said.insert(
                0,
                f"**Unlike the training images**: {share} of them have a higher log Z. The classes may mean nothing here.",
            )
        elif self.threshold is not None:
            said.insert(0, "Looks like the training images.")
        if resized:
            said.append(f"Resized to {self.classifier.image_shape[1]} x {self.classifier.image_shape[2]}.")
        near = []
        if self.neighbors is not None and isinstance(self.classifier, Classifier):
            near = self.neighbors.nearest(features(self.classifier, pixels[None])[0])
        names = [self.classifier.class_names[k] for k in classes.tolist()]
        return dict(zip(names, probabilities.tolist(), strict=True)), " ".join(said), near

    def drawn(self, sketch: dict[str, Any] | None, light: bool) -> tuple[dict[str, float], str, list[Any]]:
        """`answer` to a drawing: the square around what was drawn, on black if it is ``light`` on dark."""
        if sketch is None or sketch["composite"] is None or not np.asarray(sketch["composite"])[..., -1].any():
            return {}, "", []
        strokes = np.asarray(sketch["composite"])[..., -1]
        rows, columns = (np.flatnonzero(strokes.any(axis)) for axis in (1, 0))
        part = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        side = round(1.4 * max(part.shape))  # digits of MNIST fill 20 of 28 pixels
        square = np.zeros((side, side), np.uint8)
        top, left = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
        square[top : top + part.shape[0], left : left + part.shape[1]] = part
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = os.path.join(folder, "drawing.png")
            Image.fromarray(square if light else 255 - square).save(path)
            return self.answer(path)

    def table(self, paths: list[str] | None) -> tuple[str | None, str]:
        """The .csv file of `ssgan.predict` for many pictures, by their names alone, and what is missing in it."""
        if not paths:
            return None, ""
        output = Path(tempfile.mkdtemp(dir=self.folder), "predictions.csv")
        broken = predict_files(self.classifier, [Path(path) for path in paths], output)
        if broken == len(paths):
            return None, "None of the pictures could be read."
        folders = {f"{Path(path).parent}/" for path in paths}
        text = output.read_text(encoding="utf-8", errors="surrogateescape")
        for folder in folders:
            text = text.replace(folder, "")
        output.write_text(text, encoding="utf-8", errors="surrogateescape")
        missing = f"{broken} of {len(paths)} pictures could not be read and are not in the table." if broken else ""
        return str(output), missing


def page_of(page: Page) -> Any:
    """The page as Gradio's `Blocks`; raises `SsganError` if Gradio is not installed."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError as error:
        raise SsganError(
            f"demo: needs pip install -e '.[demo]' in a checkout of ssgan ({first_line(error)})"
        ) from error
    header = page.classifier.header
    with gr.Blocks(title="ssgan") as blocks:
        gr.Markdown(
            f"# {len(page.classifier.class_names)} classes of {header.get('dataset', 'images')}\n"
            f"{', '.join(page.classifier.class_names[:NAMED])}{', ...' if len(page.classifier.class_names) > NAMED else ''}. "
            f"Trained by {header.get('method', 'ssgan')} with {header.get('labels', '?')} labels."
        )
        with gr.Row():
            with gr.Column():
                with gr.Tab("A picture"):
                    picture: Any = gr.Image(type="filepath", label="Picture", sources=["upload", "clipboard"])
                    # The file as it is: Gradio's own reading drops transparency, clips 16 bits, and fails where it is broken.
                    picture.preprocess = lambda payload: payload and payload.path
                with gr.Tab("A drawing"):
                    sketch = gr.Sketchpad(
                        type="numpy", image_mode="RGBA", label="Drawing", layers=False, brush=gr.Brush(24)
                    )
                    light = gr.Checkbox(
                        page.classifier.image_shape[0] == 1, label="Light on dark, as MNIST's digits are"
                    )
                    look = gr.Button("What is it?")
                with gr.Tab("Many pictures"):
                    files = gr.File(file_count="multiple", file_types=["image"], label="Pictures")
                    table = gr.File(label="predictions.csv")
                    missing = gr.Markdown()
            with gr.Column():
                classes = gr.Label(label="Classes")
                said = gr.Markdown()
                near = gr.Gallery(label="Nearest labeled images", columns=SHOWN, visible=page.neighbors is not None)
        picture.change(page.answer, picture, [classes, said, near])
        look.click(page.drawn, [sketch, light], [classes, said, near])
        files.change(page.table, files, [table, missing])
    return blocks


def demo(config: DictConfig) -> int:
    """Serve the page until the program is stopped."""
    classifier = taking_images(load_named(config.classifier, config.views))
    run = config.run and neighbors_of(classifier, config.run, config.data_dir, config.download)
    with tempfile.TemporaryDirectory(prefix="ssgan_") as folder:
        blocks = page_of(Page(classifier, run or None, folder))
        print(f"http://{config.host}:{config.port}, until Ctrl-C", flush=True)
        try:
            blocks.launch(**settings(config.host, config.port, config.megabytes))
        except OSError as error:
            raise SsganError(f"port={config.port}: cannot be used ({first_line(error)}); use another one") from error
    return 0


def settings(host: str, port: int, megabytes: int) -> dict[str, Any]:
    """How Gradio serves: nothing leaves the machine, and no file is larger."""
    return {
        "server_name": host,
        "server_port": port,
        "max_file_size": f"{megabytes}mb",
        "share": False,
        "quiet": True,
        "ssr_mode": False,
    }


def main() -> None:
    cli.run("demo", demo)


if __name__ == "__main__":
    main()
