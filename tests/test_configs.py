"""The configuration composes, every value has one home, and every experiment runs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import hydra
import pytest
import torch
from conftest import TINY, Outcome, tiny
from omegaconf import DictConfig, OmegaConf

from ssgan import methods
from ssgan.command_schema import COMMANDS
from ssgan.configuration import compose as compose_with_choices
from ssgan.configuration import has_epochs, register
from ssgan.data.augmentation import AugmentationConfig
from ssgan.data.image_data import ImageData
from ssgan.data.splits import draw_split
from ssgan.fields import check_ranges
from ssgan.schema import CONFIG_DIR
from ssgan.training.build import build
from ssgan.training.run import prepare

CONF = Path(CONFIG_DIR)
OWN = ("folder", "npz", "table", "vectors")
DATASETS = sorted(path.stem for path in (CONF / "dataset").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def compose(*overrides: str, name: str = "config") -> DictConfig:
    register()
    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        return hydra.compose(name, overrides=list(overrides))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", methods.names())
def test_every_data_set_and_method_composes(dataset: str, method: str) -> None:
    """Catches a preset whose terms reach a method that has no preset of its own, too."""
    own = ["dataset.path=somewhere"] if dataset in OWN else []
    config, choices = compose_with_choices([f"dataset={dataset}", f"method={method}", *own])
    assert not OmegaConf.missing_keys(config)
    check_ranges(OmegaConf.to_object(config))
    assert not list(OmegaConf.to_object(config.method).terms.idle())  # settings of terms that are off
    assert config.method.name == config.name == method
    recipe = choices.get("recipe@method", "none")
    assert recipe in ("none", f"{Path(recipe).parent}/{method}")
    if not (CONF / "recipe" / f"{recipe}.yaml").exists():
        assert OmegaConf.to_object(config.method).terms == methods.find(method).Config().terms


@pytest.mark.slow
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_data_set_selects_the_preset_of_its_name(dataset: str) -> None:
    """Catches a preset that, named on the command line, does not find its recipe for the method."""
    path = ["dataset.path=somewhere"] if dataset in OWN else []
    for players, method in {"gan": "method=improved_gan", "classifier": "method=supervised"}.items():
        chosen = [f"dataset={dataset}", *path, method]
        assert compose(*chosen) == compose(*chosen, f"preset={dataset}_{players}")


def test_a_preset_brings_its_recipe_to_another_data_set() -> None:
    assert (
        compose("dataset=svhn", "method=improved_gan", "preset=digits_gan").method
        == compose("dataset=digits", "method=improved_gan").method
    )


def test_a_method_selects_the_preset_for_its_networks() -> None:
    """Catches a generator's networks for a method without one, and a data set's own method that stays with another one."""
    assert compose().method.name == "fixmatch"
    assert compose("dataset=mnist").method.name == "fixmatch"
    assert compose("dataset=svhn").method.name == "fixmatch"
    assert compose("experiment=svhn_1000").method.name == "improved_gan"
    assert compose("dataset=digits", "experiment=mnist_20").method.name == "improved_gan"
    assert compose("method=ct_gan").net.classifier == compose("method=improved_gan").net.classifier
    assert compose("method=vat").net.classifier == compose().net.classifier != compose("method=gan").net.classifier
    for dataset, method in (
        ("folder", "fixmatch"),
        ("table", "fixmatch"),
        ("npz", "fixmatch"),
        ("vectors", "improved_gan"),
    ):
        assert compose(f"dataset={dataset}", "dataset.path=x").method.name == method
    vectors = compose("dataset=vectors", "dataset.path=x", "method=vat")
    assert vectors.net.classifier == compose("dataset=vectors", "dataset.path=x").net.classifier  # one preset for both


@pytest.mark.parametrize("dataset", DATASETS)
def test_budgets(dataset: str) -> None:
    """A quick run is shorter and a long one longer than the preset's, each under a name of its own; keys of a user win."""
    own = ["dataset.path=somewhere"] if dataset in OWN else []
    for method in ("improved_gan", "fixmatch"):
        chosen = [f"dataset={dataset}", *own, f"method={method}"]
        quick, standard, long = (compose(*chosen, f"budget={name}") for name in ("quick", "standard", "long"))
        assert standard == compose(*chosen)
        assert quick.method.epochs < standard.method.epochs < long.method.epochs
        for config in (quick, standard, long):
            assert max(config.method.ramp_up_epochs, config.method.warm_up_epochs) <= config.method.epochs / 2
        assert [config.name for config in (quick, standard, long)] == [f"{method}_quick", method, f"{method}_long"]
        assert compose(*chosen, "budget=quick", "method.epochs=3", "name=mine").method.epochs == 3


def test_a_budget_keeps_the_ramp_up_of_a_method() -> None:
    """Kills a mean teacher whose consistency has its whole weight from the first step."""
    for dataset in ("svhn", "cifar10"):
        chosen = [f"dataset={dataset}", "method=mean_teacher"]
        lengths = [compose(*chosen, f"budget={budget}").method for budget in ("quick", "standard", "long")]
        assert [method.ramp_up_epochs for method in lengths] == [lengths[0].epochs // 2, 5, 5]
    assert compose("dataset=svhn", "method=fixmatch", "budget=quick").method.ramp_up_epochs == 0


def test_a_budget_beside_epochs_of_an_experiment_is_refused(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = ssgan("fit", "experiment=mnist_20", "budget=quick", f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "budget=quick: experiment=mnist_20 has epochs of its own, 30; leave one of the two out" in outcome.err
    assert not list(tmp_path.iterdir())


def test_a_budget_beside_a_sweep_without_epochs_is_not(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    """Kills epochs of the command line that are taken for the sweep's."""
    assert has_epochs("ablation", "no_labels")  # from the file that it is made from
    assert not has_epochs("sweep", "seeds")
    epochs = ["budget=quick", "method.epochs=1", "trainer.limit_train_batches=1"]
    sweep = ["sweep=seeds", "baseline=false", "split_seed=0", "seed=0,1", f"runs_dir={tmp_path}"]
    outcome = ssgan("fit", "-m", *sweep, *TINY[:-2], *epochs, "trainer.samples_count=4")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("dataset", ["mnist", "svhn", "cifar10"])
@pytest.mark.parametrize("ablation", ["full", "no_labels"])
def test_the_papers_full_set_has_nothing_of_later_papers(dataset: str, ablation: str) -> None:
    config = compose(f"ablation={ablation}", f"dataset={dataset}")
    weights = {name: term.weight for name, term in config.method.terms.items() if term.weight}
    assert not weights
    assert not any((config.augmentation.flip, *(value for key, value in config.augmentation.items() if key != "flip")))
    assert (config.method.warm_up_epochs, config.method.ramp_up_epochs) == (0, 0)


def test_choices_on_the_command_line_win_over_an_experiment() -> None:
    config = compose("experiment=mnist_100_quick", "labels=50", "method.epochs=7")
    assert (config.labels, config.method.epochs) == (50, 7)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_a_few_steps_on_digits(
    experiment: str,
    ssgan: Callable[..., Outcome],
    tmp_path: Path,
    large_digits: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ssgan.inference.sampling.BN_BATCHES", 1)
    few = [
        "dataset=digits",
        "method=improved_gan",
        "method.epochs=1",
        "trainer.limit_train_batches=3",
        "trainer.samples_count=4",
    ]
    if not experiment.startswith("mnist"):
        few += ["dataset=npz", f"dataset.path={large_digits}", "labels=50", "trainer.limit_train_batches=2"]
        few += ["method.batch_size=8", "method.labeled_batch_size=8", "method.initialization_images=20"]
    outcome = ssgan("fit", f"experiment={experiment}", *few, f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err


def test_every_key_of_a_method_has_its_meaning() -> None:
    def walk(kind: type) -> None:
        for field in dataclasses.fields(kind):
            assert len(field.metadata["meaning"].split()) > 1, f"{kind.__name__}.{field.name}"
            if dataclasses.is_dataclass(field.type):
                walk(field.type)

    for name in methods.names():
        walk(methods.find(name).Config)
    walk(AugmentationConfig)


OF_THE_PAPER = [name for name in EXPERIMENTS if name.startswith(("svhn", "cifar10")) and not name.endswith("_cpu")]


@pytest.mark.parametrize("experiment", [*OF_THE_PAPER, "mnist_100_authors"])
def test_the_papers_experiments_have_nothing_else(experiment: str) -> None:
    """Catches settings of the lean preset that reach them too."""
    config = compose(f"experiment={experiment}")
    method = OmegaConf.to_object(config.method)
    assert not method.reuse_features
    assert method.ramp_up_epochs == method.warm_up_epochs == method.label_smoothing == 0
    assert not any(term.weight for term in vars(method.terms).values())
    assert not any(config.augmentation.values())
    assert (method.batch_size, method.labeled_batch_size or 100) == (100, 100)
    assert (method.ema_decay, method.ema_every) == (0.9999, 1)
    assert not method.start_from_mean
    lr = 0.003 if experiment.startswith("mnist") else 0.0003
    for optimizer in (method.classifier_optimizer, method.generator_optimizer):
        assert (optimizer["lr"], *optimizer["betas"], optimizer["eps"]) == (lr, 0.5, 0.999, 1e-4)


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_gives_its_command(path: Path) -> None:
    assert f"# python -m ssgan.fit experiment={path.stem}" in path.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_leave_no_folder(
    name: str, ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    needed = ["dataset=digits"] if name in ("evaluate", "inspect", "turing") else []
    assert ssgan(name, *needed).code in (0, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", ["improved_gan", "fixmatch"])
def test_another_network_composes_with_every_preset(dataset: str, method: str) -> None:
    """Catches a preset with keys of its own network: no other could be chosen."""
    own = ["dataset.path=somewhere"] if dataset in OWN else []
    config = compose(f"dataset={dataset}", *own, f"method={method}", "net/classifier=wrn_28_2")
    assert "WideResNet" in config.net.classifier._target_ or "ResNet" in config.net.classifier._target_


def test_the_configuration_reaches_what_is_built(digits: ImageData) -> None:
    """Kills seeds that are all one, and augmentation that stays on paper."""
    split, firsts = draw_split(digits.train_targets.numpy(), 10, 50, 0, 100), []
    for seed in (5, 6):
        config = compose(*tiny("fixmatch"), "augmentation.shift=1", "balance=0.5", f"seed={seed}")
        prepare(config, {})
        module, data = build(config, digits, split)
        built = (module.seed, data.seed, data.balance, data.augmentations["weak"].translations)
        assert built == (seed, seed, 0.5, 9)
        firsts.append(next(module.classifier.parameters()).detach().clone())
    assert not torch.equal(*firsts)
