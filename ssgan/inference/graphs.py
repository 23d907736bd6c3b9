"""Classifiers as graphs that run without ssgan: ONNX, torch.export, TorchScript."""

import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssgan.errors import SsganError, first_line
from ssgan.files import write_atomically
from ssgan.inference.classifier import Classifier, Predictor
from ssgan.inference.ensemble import Ensemble
from ssgan.pixels import scale_pixels

TOLERANCE = 1e-5
"""By how much a graph's probabilities may differ from the classifier's."""

BATCHES = (1, 3, 64)
"""Sizes of batches on which the two are compared."""

Graph = Callable[[Tensor], Tensor]
"""What a file computes: probabilities of images."""


class ImagesToProbabilities(nn.Module):
    """uint8 images (N, C, H, W), or vectors, float (N, F) -> p(y | x), float32 (N, K); the mean over ``members``."""

    def __init__(self, members: Sequence[Classifier]):
        super().__init__()
        self.networks = nn.ModuleList(member.network for member in members)
        self.ranges = [member.pixel_range for member in members]
        self.temperatures = [member.temperature for member in members]
        self.takes_vectors = members[0].takes_vectors
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        if self.takes_vectors:
            images = images[:, :, None, None]
        each = [
            (network(scale_pixels(images, pixel_range)).float() / temperature).softmax(1)
            for network, pixel_range, temperature in zip(self.networks, self.ranges, self.temperatures, strict=True)
        ]
        return torch.stack(each).mean(0)


def members_of(predictor: Predictor) -> Sequence[Classifier]:
    """The classifiers that ``predictor`` is made of; raises `SsganError` for one of another kind."""
    if isinstance(predictor, Classifier | Ensemble):
        return predictor.members
    raise SsganError(f"{type(predictor).__name__} cannot be written as a graph; name a classifier file or several")


def random_inputs(predictor: Predictor, count: int, seed: int = 0) -> Tensor:
    """``count`` images of noise, or vectors, as the graph takes them."""
    rng = torch.Generator().manual_seed(seed)
    if predictor.takes_vectors:
        return torch.randn(count, predictor.image_shape[0], generator=rng)
    return torch.randint(0, 256, (count, *predictor.image_shape), dtype=torch.uint8, generator=rng)


def export_graph(predictor: Predictor, kind: str, path: str | Path) -> float:
    """Write ``predictor`` to ``path`` as a graph of `ImagesToProbabilities`, with any number of images, and what it is in its metadata.

    kind: of `WRITERS`. ONNX needs the packages of the extra ``export``

    Returns the greatest difference of its probabilities, as the file gives them, from the predictor's; raises `SsganError` if that is
    above `TOLERANCE`, and then nothing is written.
    """
    module = ImagesToProbabilities(members_of(predictor))
    record = {
        "class_names": list(predictor.class_names),
        "image_shape": list(predictor.image_shape),
        "reading": predictor.reading.to_json(),
        "input": "float32 (N, F)" if module.takes_vectors else "uint8 (N, C, H, W), 0..255",
        "output": "probabilities, float32 (N, K), in the order of class_names",
    }
    if kind not in WRITERS:
        raise SsganError(f"format={kind}: use {', '.join(WRITERS)}")
    content, answers = _quietly(WRITERS[kind], module, random_inputs(predictor, 2), record)
    worst = 0.0
    for count in BATCHES:
        images = random_inputs(predictor, count, seed=count)
        worst = max(worst, (answers(images) - predictor.predict_proba(images)).abs().max().item())
    if not worst <= TOLERANCE:  # also if it is NaN
        raise SsganError(
            f"format={kind}: its probabilities differ by {worst:.1e} from the classifier's; use another format"
        )
    write_atomically(path, content)
    return worst


def _quietly(
    writer: Callable[..., tuple[bytes, Graph]], module: nn.Module, example: Tensor, record: dict[str, Any]
) -> tuple[bytes, Graph]:
    """What ``writer`` returns; what it says on the way is for its own authors."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(action="ignore"), torch.no_grad():
            return writer(module, example, record)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _onnx(module: nn.Module, example: Tensor, record: dict[str, Any]) -> tuple[bytes, Graph]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  # torch.onnx needs it
    except ImportError as error:
        raise SsganError(
            f"format=onnx: needs pip install -e '.[export]' in a checkout of ssgan ({first_line(error)})"
        ) from error
    program: Any = torch.onnx.export(
        module,
        (example,),
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in record.items()})
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda images: torch.from_numpy(np.asarray(session.run(None, {"images": images.numpy()})[0]))


def _torch_export(module: nn.Module, example: Tensor, record: dict[str, Any]) -> tuple[bytes, Graph]:
    program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.pt2")
        torch.export.save(program, path, extra_files={"ssgan.json": json.dumps(record)})
        return path.read_bytes(), torch.export.load(path).module()


def _torchscript(module: nn.Module, example: Tensor, record: dict[str, Any]) -> tuple[bytes, Graph]:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, example), buffer, _extra_files={"ssgan.json": json.dumps(record)})
    return buffer.getvalue(), torch.jit.load(io.BytesIO(buffer.getvalue()))


WRITERS = {"onnx": _onnx, "torch_export": _torch_export, "torchscript": _torchscript}
"""The formats: each gives the file's content, and what the file answers."""
