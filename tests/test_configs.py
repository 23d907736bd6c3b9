"""The configuration composes, every value has one home, and every experiment runs."""

import re
from collections.abc import Callable
from pathlib import Path

import hydra
import pytest
import yaml
from conftest import Outcome
from omegaconf import DictConfig, OmegaConf

from ssgan.schema import CONFIG_DIR, register

CONF = Path(CONFIG_DIR)
DATASETS = sorted(path.stem for path in (CONF / "dataset").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def compose(*overrides: str, name: str = "config") -> DictConfig:
    register()
    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        return hydra.compose(name, overrides=list(overrides))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("method", ["improved_gan", "gan", "supervised"])
def test_every_data_set_and_method_composes(dataset: str, method: str) -> None:
    own = ["dataset.path=somewhere"] if dataset in ("npz", "folder") else []
    config = compose(f"dataset={dataset}", f"method={method}", *own)
    assert not OmegaConf.missing_keys(config)
    assert config.method.name == config.name == method


def test_a_data_set_selects_its_recipe() -> None:
    """`dataset=mnist labels=100` is `experiment=mnist_100`."""
    by_dataset = OmegaConf.to_container(compose("dataset=mnist", "labels=100"))
    by_experiment = OmegaConf.to_container(compose("experiment=mnist_100"))
    assert by_dataset["name"] != by_experiment.pop("name")
    by_dataset.pop("name")
    assert by_dataset == by_experiment


def test_choices_on_the_command_line_win_over_an_experiment() -> None:
    config = compose("experiment=mnist_100", "labels=50", "method.epochs=7")
    assert (config.labels, config.method.epochs) == (50, 7)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_a_few_steps_on_digits(
    experiment: str,
    ssgan: Callable[..., Outcome],
    tmp_path: Path,
    large_digits: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ssgan.inference.sampling.BN_BATCHES", 1)
    few = ["dataset=digits", "method.epochs=1", "trainer.limit_train_batches=3", "trainer.samples_count=4"]
    if not experiment.startswith("mnist"):
        few += ["dataset=npz", f"dataset.path={large_digits}", "labels=50", "trainer.limit_train_batches=2"]
        few += ["method.batch_size=8", "method.labeled_batch_size=8", "net.initialization_images=20"]
    outcome = ssgan("fit", f"experiment={experiment}", *few, f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err


def test_every_key_is_explained() -> None:
    """The README says that what a key means stands beside it in conf/, or above it where one word says all of a group."""
    lines = [line for path in CONF.rglob("*.yaml") for line in path.read_text().splitlines()]
    explained = {match[1] for line in lines if (match := re.match(r"\s*(\w+):[^#]*# \S", line))}
    unexplained = set()

    def walk(node: DictConfig, prefix: str) -> None:
        for key in map(str, node):
            below = node._get_node(key)
            if key in explained or key.startswith("_") or f"{prefix}{key}" in ("dataset.data_dir", "dataset.download"):
                continue
            if isinstance(below, DictConfig):
                walk(below, f"{prefix}{key}.")
            elif key != "name":
                unexplained.add(f"{prefix}{key}")

    for overrides in (
        ["dataset=mnist"],
        ["dataset=mnist", "net=dcgan"],
        ["dataset=svhn"],
        ["dataset=cifar10", "net=wrn_28_2"],
    ):
        walk(compose(*overrides), "")
    for dataset in ("npz", "folder"):
        walk(compose(f"dataset={dataset}"), "")
    assert not unexplained


OF_THE_PAPER = [name for name in EXPERIMENTS if name.startswith(("svhn", "cifar10")) and not name.endswith("_cpu")]
NOT_IN_THE_PAPER = (
    "reuse_features",
    "pull_away_weight",
    "consistency_weight",
    "balance_weight",
    "ramp_up_epochs",
    "warm_up_epochs",
)


@pytest.mark.parametrize("experiment", [*OF_THE_PAPER, "mnist_100_authors"])
def test_the_papers_experiments_have_nothing_else(experiment: str) -> None:
    """Kills settings of the lean recipe that reach them too."""
    config = compose(f"experiment={experiment}")
    assert not any(config.method[key] for key in NOT_IN_THE_PAPER)
    assert not any(config.augmentation.values())
    assert config.method.batch_size == config.method.labeled_batch_size == 100
    assert (config.method.average_rate, config.method.ema_every) == (1e-4, 1)
    lr = 0.003 if experiment.startswith("mnist") else 0.0003
    for player in ("classifier_optimizer", "generator_optimizer"):
        assert (config.method[player].lr, *config.method[player].betas) == (lr, 0.5, 0.999)


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_gives_its_command(path: Path) -> None:
    assert f"# python -m ssgan.fit experiment={path.stem}" in path.read_text()


@pytest.mark.parametrize(
    "name", ["evaluate", "predict", "sample", "score", "ablation", "report", "turing", "divergences"]
)
def test_commands_leave_no_folder(
    name: str, ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ssgan(name, "--cfg", "job").code in (0, 1)
    assert not list(tmp_path.iterdir())


def test_every_file_is_yaml_with_a_reason() -> None:
    for path in CONF.rglob("*.yaml"):
        yaml.safe_load(path.read_text())
