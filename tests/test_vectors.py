"""Vectors in place of images: read as they are, standardized in the networks, trained by the methods that need no augmentation."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome

import ssgan
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import from_arrays
from ssgan.data.splits import draw_split
from ssgan.data.views import UNLABELED
from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier, load_generator, save_classifier
from ssgan.inference.sampling import draw_images, sample_grid
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.nets import MLPClassifier, MLPGenerator

Command = Callable[..., Outcome]


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds in 6 dimensions, one of whose numbers is a thousand times as large as the others, and one constant."""
    random = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    x = random.normal(size=(count, 6)) + 2.5 * targets[:, None] * np.array([1, -1, 0, 0, 1, 0])
    return x * [1, 1, 1, 1, 1000, 0] + [0, 0, 0, 5, -2000, 7], targets


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (x_train, y_train), (x_test, y_test) = blobs(600, 0), blobs(200, 1)
    words = np.where(y_train == 1, "spam", "ham")
    words[40:] = ""
    path = tmp_path_factory.mktemp("vectors") / "mail.npz"
    np.savez(
        path, x_train=x_train, y_train=words, x_test=x_test.astype(">f4"), y_test=np.array(["ham", "spam"])[y_test]
    )
    return path


def test_vectors_are_read_as_they_are(file: Path) -> None:
    data = ssgan.inspect(file)
    assert data["shape"] == [6]
    assert data["classes"] == {"ham": 20, "spam": 20}
    arrays = blobs(10, 0)
    vectors = from_arrays(*arrays)
    assert vectors.of_vectors
    np.testing.assert_allclose(vectors.train_images[:, :, 0, 0], arrays[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[0.0, np.nan], [1, 2]]), "NaN or infinite values, the first in row 0"),
        (np.array([[0.0, 1], [1e39, 2]]), "infinite values, the first in row 1"),
        (np.zeros((2, 0)), "it holds no vector"),
        (np.zeros((2, 3), np.int64), r"Vectors, \(N, F\), are floats"),
    ],
)
def test_vectors_that_are_wrong(x: np.ndarray, message: str) -> None:
    with pytest.raises(SsganError, match=message), np.errstate(over="ignore"):
        from_arrays(x, np.arange(2))


def test_vectors_are_not_rounded_before_they_are_standardized() -> None:
    """Kills 2003 that is 2000 in bfloat16, of numbers that differ by their last digits."""
    years = np.linspace(1990, 2010, 40, dtype=np.float32)[:, None]
    data = SemiSupervisedData(from_arrays(years, np.arange(40) % 2), draw_split(np.arange(40) % 2, 2, 10, 0), 10)
    data.serve({"unlabeled": UNLABELED}, (0.0, 1.0), torch.bfloat16)
    batch = data.on_after_batch_transfer({"unlabeled": data.data.train_images}, 0)
    assert torch.equal(batch["unlabeled"], data.data.train_images)


def test_networks_standardize_and_restore() -> None:
    x = torch.from_numpy(blobs(1000, 0)[0]).float()[..., None, None]
    classifier = MLPClassifier((6, 1, 1), 2, [8], input_noise=0.1, hidden_noise=0.1, init_std=0.1, standardized=True)
    classifier.initialize(x)
    inside = classifier.trunk[1](x.flatten(1))
    torch.testing.assert_close(inside.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(inside.std(0), torch.tensor([1.0] * 5 + [0.0]), atol=1e-2, rtol=0)
    generator = MLPGenerator((6, 1, 1), 10, [16], output="standardized")
    generator.start_from_mean(x)
    vectors = torch.cat(list(draw_images(generator, 100, 0)))
    assert vectors.shape == (100, 6, 1, 1)
    assert vectors[:, 5].sub(7).abs().max() < 5
    assert vectors[:, 4].std() > 10 * vectors[:, 0].std()
    with pytest.raises(SsganError, match="makes vectors, and no images"):
        sample_grid(generator, 4, 2, 0)


def test_a_classifier_file_takes_vectors(tmp_path: Path) -> None:
    x = torch.from_numpy(blobs(1000, 0)[0]).float()
    classifier = MLPClassifier((6, 1, 1), 2, [8], input_noise=0.1, hidden_noise=0.1, init_std=0.1, standardized=True)
    classifier.initialize(x[..., None, None])
    save_classifier(tmp_path / "c", classifier, ["a", "b"])
    loaded = load_classifier(tmp_path / "c")
    expected = classifier.eval()(x[..., None, None]).softmax(1)
    torch.testing.assert_close(loaded.predict_proba(x.double().numpy()), expected)
    for wrong in (x[:, :5], x.byte(), x * torch.nan):
        with pytest.raises(SsganError, match="vectors"):
            loaded.predict(wrong)


def test_vectors_of_different_backbones_make_no_ensemble(tmp_path: Path) -> None:
    classifier = MLPClassifier((6, 1, 1), 2, [8], input_noise=0.1, hidden_noise=0.1, init_std=0.1, standardized=True)
    for name in ("resnet18", "resnet34"):
        embedding = {"backbone": name, "size": 64, "weights": None, "digest": "0" * 16}
        save_classifier(tmp_path / name, classifier, ["a", "b"], embedding=embedding)
    assert len(load_classifier([tmp_path / "resnet18"] * 2).members) == 2
    with pytest.raises(SsganError, match=r"vectors that resnet18 64 0+ and resnet34 64 0+ made make no ensemble"):
        load_classifier([tmp_path / "resnet18", tmp_path / "resnet34"])


@pytest.mark.parametrize(
    ("dataset", "generator", "makes"), [("vectors", "mnist", "images"), ("digits", "vectors", "vectors")]
)
def test_generators_make_what_there_is(
    ssgan: Callable[..., Outcome], tmp_path: Path, dataset: str, generator: str, makes: str
) -> None:
    """Kills vectors that a generator of pixels has no way to look like."""
    x, y = blobs(200, 0)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y)
    data = [f"dataset={dataset}", *([f"dataset.path={tmp_path / 'd.npz'}"] if dataset == "vectors" else [])]
    outcome = ssgan("fit", "method=improved_gan", *data, f"net/generator={generator}", f"runs_dir={tmp_path / 'runs'}")
    assert outcome.code == 1
    assert f"makes {makes}, and dataset=" in outcome.err
    assert not list(tmp_path.rglob("metrics.csv"))


def test_generated_vectors_have_the_scale_of_real_ones() -> None:
    """`start_from_mean=false` leaves the bias of the output as it is, and not the units of the vectors."""
    x = (5 + 0.01 * torch.randn(200, 6)).numpy()
    data = from_arrays(x, np.arange(200) % 2)
    config = ImprovedGAN.Config(start_from_mean=False, batch_size=50, labeled_batch_size=10)
    classifier = MLPClassifier((6, 1, 1), 2, [16], 0.1, 0.1, 0.1, standardized=True)
    module = ImprovedGAN(classifier, MLPGenerator((6, 1, 1), 10, [16], output="standardized"), config)
    module.attach(SemiSupervisedData(data, draw_split(data.train_targets.numpy(), 2, 20, 0)))
    vectors = torch.cat(list(draw_images(module.generator, 100, 0)))
    assert vectors.mean().item() == pytest.approx(5, abs=0.05)
    assert vectors.std() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["improved_gan", "mean_teacher", "manifold_gan", "gan"])
def test_methods_without_augmentation_train(method: str, ssgan: Command, file: Path, tmp_path: Path) -> None:
    """Without standardization the large number drowns the others: 0.2 and more."""
    short = [
        "method.epochs=20",
        "method.least_steps=0",
        "method.ema_decay=0.95",
        "method.labeled_batch_size=20",
        "method.batch_size=50",
        "net.classifier.hidden=[32,16]",
    ]
    source = ["dataset=vectors", f"dataset.path={file}", "dataset.name=mail", f"runs_dir={tmp_path}"]
    outcome = ssgan("fit", f"method={method}", *source, *short)
    assert outcome.code == 0, outcome.err
    assert "mail: vectors of 6 numbers" in outcome.out
    folder = tmp_path / f"mail@all/{method}/split0-seed0"
    if method != "gan":
        assert json.loads((folder / "metrics.json").read_text())["test_error"] < 0.08
        outcome = ssgan("evaluate", f"classifier={folder / 'classifier.safetensors'}", *source[:3])
        assert json.loads(outcome.out)["error"] < 0.08
    if method in ("gan", "improved_gan"):
        assert load_generator(folder / "last.ckpt").pixel_range is None
        assert not (folder / "samples").exists()
        outcome = ssgan("sample", f"checkpoint={folder / 'last.ckpt'}", f"output={tmp_path / 's.png'}")
        assert outcome.code == 1
        assert "makes vectors" in outcome.err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["method=fixmatch"],
            "learns from strongly augmented images (strong), and vectors have no augmentation; use improved_gan",
        ),
        (["method=mixmatch"], "vectors have no augmentation"),
        (["method=vat"], "virtual adversarial changes are measured in pixels"),
        (["augmentation.shift=2"], "augmentation.shift=2: vectors have no augmentation; use 0"),
        (["net/classifier=mnist"], "holds vectors of 6 numbers, and the networks take images; use dataset=vectors"),
    ],
)
def test_what_vectors_do_not_have(
    overrides: list[str], message: str, ssgan: Command, file: Path, tmp_path: Path
) -> None:
    outcome = ssgan(
        "fit", "dataset=vectors", f"dataset.path={file}", *overrides, "method.batch_size=50", f"runs_dir={tmp_path}"
    )
    assert outcome.code == 1
    assert message in outcome.err


@pytest.mark.slow
def test_vectors_from_python(tmp_path: Path) -> None:
    (x, y), (x_test, y_test) = blobs(300, 0), blobs(100, 1)
    np.savez(tmp_path / "blobs.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    from_file = ssgan.train(
        tmp_path / "blobs.npz", "supervised", settings=["method.epochs=5"], runs_dir=tmp_path / "file"
    )
    result = ssgan.train((x, y, x_test, y_test), "supervised", settings=["method.epochs=5"], runs_dir=tmp_path)
    assert result.metrics["test_error"] < 0.08
    assert from_file.metrics["test_error"] == result.metrics["test_error"]
    assert (result.classifier.predict(x_test).numpy() != y_test).mean() == pytest.approx(result.metrics["test_error"])


def test_images_are_not_taken_for_vectors(ssgan: Command, large_digits: Path, file: Path, tmp_path: Path) -> None:
    outcome = ssgan("fit", "dataset=vectors", f"dataset.path={large_digits}", f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "holds images, 3 x 32 x 32, and the networks take vectors; use dataset=npz" in outcome.err
    outcome = ssgan("fit", "dataset=npz", f"dataset.path={file}", f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "use dataset=vectors" in outcome.err
