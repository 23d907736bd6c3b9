"""The library without commands: `ssgan.train`, and the Lightning parts in the user's own trainer."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from conftest import TINY, Outcome
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import ssgan
from ssgan.configuration import compose, run_path
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.datasets import from_arrays
from ssgan.data.image_data import ImageData
from ssgan.methods.fixmatch import FixMatch
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.nets import MLPClassifier, MLPGenerator
from ssgan.schema import CONFIG_DIR
from ssgan.training.trainer import devices

DOCS = Path(__file__).parents[1] / "docs"


def test_train_on_a_named_data_set_is_what_the_command_does(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    """Catches a library that trains otherwise: same files, same weights, and the same folder goes on."""
    result = train("digits", settings=TINY, runs_dir=tmp_path / "library")
    outcome = ssgan("fit", *TINY, f"runs_dir={tmp_path / 'command'}")
    assert outcome.code == 0
    folder = tmp_path / "command/digits@50/improved_gan/split0-seed0"
    assert result.folder.relative_to(tmp_path / "library") == folder.relative_to(tmp_path / "command")
    assert {path.name for path in result.folder.iterdir()} == {path.name for path in folder.iterdir()}
    names = ("classifier.safetensors",)
    assert all((result.folder / name).read_bytes() == (folder / name).read_bytes() for name in names)
    again = train("digits", settings=TINY, runs_dir=tmp_path / "library")
    assert again.metrics == result.metrics
    assert 0 < result.metrics["test_error"] < 1


def train(*arguments: Any, **keys: Any) -> Any:
    return ssgan.train(*arguments, **keys)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_train_on_arrays(digits: ImageData, tmp_path: Path, kind: Callable[[Tensor], Any]) -> None:
    targets = digits.train_targets.clone()
    targets[::2] = -1
    data = (kind(digits.train_images), kind(targets), kind(digits.test_images), kind(digits.test_targets))
    result = train(
        data, "supervised", 50, settings=["net/classifier=digits", "net/generator=digits", *TINY[2:]], runs_dir=tmp_path
    )
    assert result.folder == tmp_path / "arrays@50/supervised/split0-seed0"
    classes = result.classifier.predict(kind(digits.test_images))
    assert (classes != digits.test_targets).float().mean().item() == pytest.approx(result.metrics["test_error"])


def test_train_on_files(digits: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "it's own.npz"
    np.savez(path, x_train=digits.train_images[:, 0].numpy(), y_train=digits.train_targets.numpy())
    result = train(
        path, "supervised", 50, settings=["net/classifier=digits", "method.epochs=1"], name="a", runs_dir=tmp_path
    )
    assert result.metrics["test_error"] is None
    assert result.classifier.image_shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": 55}, "labels=55: not divisible by the 10 classes"),
        ({"settings": ["method.epochs=0"]}, "method.epochs=0: use 1 or more"),
        ({"settings": ["method.epoch=1"]}, "epoch: there is no such key; did you mean"),
        ({"method": "improved_gna"}, "method=improved_gna: there is none of that name; did you mean improved_gan"),
        ({"settings": ["net/classifier=dcgan", "dataset=npz", "dataset.path=nowhere.npz"]}, "nowhere.npz"),
        ({"settings": ["seed=abc"]}, "could not be converted to Integer"),
        ({"data": ([], [], [])}, "data: 3 arrays; use"),
        ({"devices": 2, "settings": ["trainer=ddp"]}, "devices=2: start this program with torchrun"),
    ],
)
def test_mistakes(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ssgan.SsganError, match=message):
        train(**{"data": "digits", "runs_dir": tmp_path, **arguments})
    assert not list(tmp_path.iterdir())


def test_the_callers_random_numbers_and_warnings_stay_its_own(tmp_path: Path) -> None:
    """Kills numbers after a run that are those of its last step, whatever seed the caller gave."""
    torch.manual_seed(7)
    expected, filters = torch.rand(3), list(warnings.filters)
    torch.manual_seed(7)
    train("digits", "supervised", 50, settings=TINY[1:], runs_dir=tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert warnings.filters == filters


def test_a_name_is_that_of_a_data_set_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a folder that is named as one and lies in the working directory. Numbers may be NumPy's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    result = train("digits", "supervised", np.int64(50), settings=TINY[1:], seed=np.int64(1), balanced=np.True_)
    assert result.metrics["condition"] == "digits@50"


def test_a_logger_of_conf_writes_into_the_run_folder(tmp_path: Path) -> None:
    """Catches an interpolation that only Hydra's own program resolves."""
    config = compose(["logger=wandb", f"runs_dir={tmp_path}"])[0]
    assert config.logger.save_dir == str(run_path(config))


def test_the_configuration_of_a_method_is_checked_in_python_too(digits: ImageData) -> None:
    classifier = MLPClassifier((1, 8, 8), 10, [64, 32], 0.3, 0.5, 0.1)
    with pytest.raises(ssgan.SsganError, match=r"method.epochs=0: use 1 or more"):
        FixMatch(classifier, FixMatch.Config(epochs=0))


@pytest.mark.filterwarnings("ignore:.*(tensorboardX|does not have many workers)")
def test_a_strong_view_needs_a_strong_augmentation(digits: ImageData, tmp_path: Path) -> None:
    data = parts(digits)[1]
    classifier = MLPClassifier((1, 8, 8), 10, [64, 32], 0.3, 0.5, 0.1)
    trainer = pl.Trainer(fast_dev_run=True, enable_progress_bar=False, default_root_dir=tmp_path)
    with pytest.raises(ssgan.SsganError, match="strong=None: strong is augmented strongly"):
        trainer.fit(FixMatch(classifier), data)


def test_inside_of_a_program_of_hydras(tmp_path: Path) -> None:
    """Catches a second initialization of Hydra's global state, and one that is not given back."""
    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        with pytest.raises(ssgan.SsganError, match="labels=55"):
            train("digits", labels=55, runs_dir=tmp_path)
        assert GlobalHydra.instance().hydra is outer


def test_sgd_in_place_of_adam(tmp_path: Path) -> None:
    """The guide's override: null leaves an argument at the optimizer's own default."""
    sgd = "method.classifier_optimizer={_target_:torch.optim.SGD,lr:0.1,betas:null,eps:null,fused:null}"
    assert sgd in (DOCS / "methods.md").read_text()
    result = train("digits", "supervised", settings=[*TINY[1:], sgd], runs_dir=tmp_path)
    assert result.metrics["status"] == "finished"


class Steps(pl.Callback):
    """A user's own callback."""

    steps = 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps += 1


def parts(digits: ImageData) -> tuple[ImprovedGAN, SemiSupervisedData]:
    data = SemiSupervisedData.from_arrays(digits.train_images, digits.train_targets, labels=50, validation=100)
    classifier = MLPClassifier((1, 8, 8), 10, [64, 32], 0.3, 0.5, 0.1)
    return ImprovedGAN(classifier, MLPGenerator((1, 8, 8), 20, [32], "sigmoid")), data


@pytest.mark.filterwarnings(
    "ignore:.*(tensorboardX|does not have many workers|resumable|logging interval|across ranks is zero)"
)
def test_the_lightning_parts_work_in_a_trainer_of_the_user(digits: ImageData, tmp_path: Path) -> None:
    """Own logger, own callback, data-dependent initialization at the start, and a classifier file at the end."""
    module, data = parts(digits)
    logger, steps = pl.loggers.CSVLogger(str(tmp_path)), Steps()
    trainer = pl.Trainer(
        max_epochs=2, logger=logger, callbacks=[steps], enable_progress_bar=False, default_root_dir=tmp_path
    )
    trainer.fit(module, datamodule=data)
    assert steps.steps == 2 * (1197 // 100)
    assert (Path(logger.log_dir) / "metrics.csv").exists()
    assert module.classifier.trunk[2].g.std() > 0  # set from images; it starts at 1 in every unit
    assert trainer.callback_metrics["val/error"] < 0.9
    ssgan.save_classifier(tmp_path / "c.safetensors", module.ema_classifier.module, data.data.class_names)
    assert ssgan.load_classifier(tmp_path / "c.safetensors").predict(digits.test_images).shape == (500,)


@pytest.mark.filterwarnings(
    "ignore:.*(tensorboardX|does not have many workers|resumable|logging interval|across ranks is zero)"
)
def test_fast_dev_run_without_validation_images(digits: ImageData, tmp_path: Path) -> None:
    module, _ = parts(digits)
    data = SemiSupervisedData.from_arrays(digits.train_images, digits.train_targets, labels=50)
    pl.Trainer(fast_dev_run=True, enable_progress_bar=False, default_root_dir=tmp_path).fit(module, datamodule=data)


def test_arrays_are_understood() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 9), np.uint8)
    targets = np.arange(20) % 2
    first = from_arrays(images, targets, class_names=["cat", "dog"])
    assert first.class_names == ("cat", "dog")
    assert first.image_shape == (3, 8, 9)
    last = from_arrays(images.transpose(0, 2, 3, 1), torch.from_numpy(targets), class_names=["cat", "dog"])
    assert torch.equal(first.train_images, last.train_images)
    assert first.digest == last.digest
    assert torch.equal(first.train_images, from_arrays(images / 255, targets).train_images)


SNIPPETS = re.findall(r"^```python\n(.*?)^```$", (DOCS / "from_python.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_the_snippets_of_the_guide_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = SNIPPETS[number]
    assert len(code.splitlines()) <= 15
    code = code.replace('"budget=quick"', '"method.epochs=2"')
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(action="ignore"):  # of Lightning, to a user's own trainer
        exec(compile(code, "guide", "exec"), {"__name__": "__main__"})


def test_a_baseline_of_few_images(tmp_path: Path) -> None:
    """The preset's batches, which are the baseline's too whatever the run's are, do not fit a pool of 90."""
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8), np.uint8)
    settings = [
        "method.batch_size=32",
        "method.labeled_batch_size=8",
        "method.epochs=1",
        "preset=digits_classifier",
    ]
    data = (images, np.arange(90) % 2)
    result = ssgan.train(data, "fixmatch", labels=10, validation=0, settings=settings, runs_dir=tmp_path, baseline=True)
    assert result.baseline is not None
    assert result.baseline.metrics["status"] == "finished"


def test_jobs_of_a_sweep_take_turns_at_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches four jobs at once that all train on the first of four."""
    config, _ = compose([])
    assert devices(config) == 1
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert devices(config) == 1
    monkeypatch.setattr("ssgan.training.trainer.HydraConfig.initialized", lambda: True)
    hydra_config = SimpleNamespace(mode=RunMode.MULTIRUN, job=SimpleNamespace(num=6))
    monkeypatch.setattr("ssgan.training.trainer.HydraConfig.get", lambda: hydra_config)
    assert devices(config) == [2]
    config.trainer.accelerator = "cpu"
    assert devices(config) == 1
    config.trainer.accelerator, config.devices = "auto", 4
    assert devices(config) == 4


def test_a_wrapper_for_several_devices_is_refused() -> None:
    """Lightning's default with two GPUs; it would end in an error of torch's in the generator's turn."""
    method = FixMatch(MLPClassifier((1, 8, 8), 10, [8], 0.1, 0.1, 0.1))
    wrapper = DistributedDataParallel.__new__(DistributedDataParallel)
    method._trainer = SimpleNamespace(strategy=SimpleNamespace(model=wrapper))  # type: ignore[assignment]
    with pytest.raises(ssgan.SsganError, match=r"use devices=1, or strategy=ssgan.training.launch.ManualDDPStrategy"):
        method.on_fit_start()


class OwnNetwork(MLPClassifier):
    """Of a user's own package."""


def test_a_network_that_no_file_can_name_is_refused_before_training(tmp_path: Path) -> None:
    sizes = ["net.classifier.input_noise=0.1", "preset=digits_gan"]
    own = [*sizes, f"net.classifier._target_={__name__}.OwnNetwork", "method.epochs=1"]
    with pytest.raises(ssgan.SsganError, match=r"OwnNetwork: a classifier file names a network of ssgan.nets"):
        ssgan.train("digits", "supervised", settings=own, runs_dir=tmp_path)


@pytest.mark.parametrize("data", ["some/photoss", "mnistt"])
def test_data_that_are_not_there(data: str, tmp_path: Path) -> None:
    with pytest.raises(ssgan.SsganError, match=f"{data}: there is no such folder, table .* use one of"):
        ssgan.train(data, runs_dir=tmp_path)


def test_a_group_without_a_file_is_told() -> None:
    with pytest.raises(ssgan.SsganError, match="trainer=null: a group takes the name of a file"):
        compose(["trainer=null"])
    assert compose([])[0].trainer
