"""A graph says what the classifier says, without ssgan."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Outcome, make_classifier

from ssgan import nets
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier, save_classifier
from ssgan.inference.graphs import WRITERS, ImagesToProbabilities, export_graph, random_inputs
from ssgan.nets.base import ImageClassifier
from ssgan.nets.config import ConvClassifierConfig
from ssgan.nets.pretrained import PretrainedClassifier

Command = Callable[..., Outcome]

NETWORKS: dict[str, Callable[[], ImageClassifier]] = {
    "mlp": lambda: make_classifier(classes=4),
    "minibatch": lambda: nets.MLPClassifier((1, 8, 8), 4, [16], 0.1, 0.1, 0.1, minibatch_kernels=3, minibatch_dims=2),
    "vectors": lambda: nets.MLPClassifier((6, 1, 1), 4, [16], 0.1, 0.1, 0.1, standardized=True),
    "small": lambda: nets.SmallClassifier((1, 8, 8), 4, [8, 8]),
    "air": lambda: nets.AirClassifier((3, 32, 32), 4, [8, 8, 8]),
    "lean": lambda: nets.ConvClassifier((3, 32, 32), 4, ConvClassifierConfig().rows, 0.05, 0.1),
    "resnet": lambda: nets.ResNetClassifier(
        (3, 32, 32), 4, stem=4, stages=[[4, 1, 1], [8, 1, 2]], dropout=0.0, init_std=0.05
    ),
    "pretrained": lambda: PretrainedClassifier((3, 16, 16), 4, name="resnet18", size=32),
}


def written(path: Path, network: str, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    save_classifier(path, NETWORKS[network](), list("abcd"))
    return path


def needs(kind: str) -> None:
    if kind == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs pip install -e '.[export]'")


pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:FutureWarning")


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_in_every_format(network: str, kind: str, tmp_path: Path) -> None:
    needs(kind)
    classifier = load_classifier(written(tmp_path / "c", network))
    assert export_graph(classifier, kind, tmp_path / "graph") <= 1e-5
    images = random_inputs(classifier, 5, seed=7)
    expected = classifier.predict_proba(images)
    assert expected.std() > 1e-4  # a graph of one answer for all would pass otherwise
    content = (tmp_path / "graph").read_bytes()
    if kind == "onnx":
        import onnx
        import onnxruntime

        record = {entry.key: json.loads(entry.value) for entry in onnx.load_from_string(content).metadata_props}
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        answer = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    elif kind == "torch_export":
        files = {"ssgan.json": ""}
        answer = torch.export.load(io.BytesIO(content), extra_files=files).module()(images)
        record = json.loads(files["ssgan.json"])
    else:
        files = {"ssgan.json": ""}
        answer = torch.jit.load(io.BytesIO(content), _extra_files=files)(images)
        record = json.loads(files["ssgan.json"])
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)
    assert record["class_names"] == list("abcd")
    assert record["image_shape"] == list(classifier.image_shape)


def test_the_module_of_a_classifier(tmp_path: Path) -> None:
    classifier = load_classifier(written(tmp_path / "c", "small"))
    images = random_inputs(classifier, 4)
    torch.testing.assert_close(classifier.module(images), classifier.predict_proba(images))
    traced = torch.jit.trace(classifier.module, images)
    torch.testing.assert_close(traced(images[:1]), classifier.predict_proba(images[:1]))


def test_command(ssgan: Command, tmp_path: Path) -> None:
    for seed in range(2):
        written(tmp_path / f"c{seed}", "mlp", seed)
    arguments = [f"classifier={tmp_path / 'c*'}", f"output={tmp_path / 'out.pt'}"]
    outcome = ssgan("export", *arguments, "format=torchscript")
    assert outcome.code == 0, outcome.err
    assert "differ by" in outcome.out
    ensemble = load_classifier([tmp_path / "c0", tmp_path / "c1"])
    images = random_inputs(ensemble, 4)
    torch.testing.assert_close(
        torch.jit.load(tmp_path / "out.pt")(images), ensemble.predict_proba(images), atol=1e-5, rtol=0
    )
    assert "format=tflite: use onnx" in ssgan("export", *arguments, "format=tflite").err
    over = ssgan("export", arguments[0], f"output={tmp_path / 'c1'}", "format=torchscript")
    assert over.code == 1
    assert f"output={tmp_path / 'c1'}: is also an input file" in over.err


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = load_classifier(written(tmp_path / "c", "mlp"))
    right = ImagesToProbabilities.forward
    monkeypatch.setattr(ImagesToProbabilities, "forward", lambda self, images: right(self, images).flip(1))
    with pytest.raises(SsganError, match="its probabilities differ by"):
        export_graph(classifier, "torchscript", tmp_path / "graph")
    assert not (tmp_path / "graph").exists()
