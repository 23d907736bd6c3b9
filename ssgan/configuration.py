"""What conf/ refers to, the configuration dataclasses under their names; and configurations that are made of them."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from ssgan import methods, schema
from ssgan.command_schema import COMMANDS
from ssgan.configuration_errors import hydra_errors
from ssgan.data.augmentation import AugmentationConfig
from ssgan.errors import SsganError
from ssgan.nets import config as net_config
from ssgan.schema import CONFIG_DIR, BudgetConfig

GROUPS = ("budget", "optimizer")
"""Groups whose choices are dictionaries of the package, not files of conf/."""

FAMILIES = ("gan", "classifier")
"""What a method trains, a generator with its classifier or a classifier alone; it selects the preset."""


@cache
def register(trains: bool = True) -> None:
    """Store the configuration dataclasses under the names by which conf/ refers to them.

    Those of methods, whose import takes seconds, and the presets that they choose only for a command that ``trains``.
    """
    store = ConfigStore.instance().store
    store(name="fit_schema", node=schema.FitConfig)
    for command, config in COMMANDS.items():
        store(name=command, node=config)
    for name, dataset in schema.DATASETS.items():
        store(group="schema/dataset", name=name, node=dataset)
    for group, networks in (("net/classifier", net_config.CLASSIFIERS), ("net/generator", net_config.GENERATORS)):
        for name, network in networks.items():
            store(group=group, name=name, node=network)
    store(group="budget", name="standard", node={}, package="_global_")
    for budget in ("quick", "long"):
        lengths = {name: f"${{budgets.{budget}.{name}}}" for name in BudgetConfig.__annotations__}
        lengths["ramp_up_epochs"] = f"${{ramp_up:{lengths['ramp_up_epochs']},{lengths['epochs']},${{method.name}}}}"
        node = {"method": lengths, "name": f"${{method.name}}_{budget}"}
        store(group="budget", name=budget, node=node, package="_global_")
    for name in ("augmentation", "strong_augmentation"):
        store(group=f"schema/{name}", name="default", node=AugmentationConfig, package=name)
    if trains:
        _register_methods()


def _register_methods() -> None:
    from ssgan.methods.optimizers import OPTIMIZERS

    def ramp_up(given: int | None, epochs: int, method: str) -> int:
        """Of a budget, in epochs: what it says, or the method's own, which half of the run at most may take."""
        return min(methods.find(method).Config().ramp_up_epochs, epochs // 2) if given is None else given

    OmegaConf.register_new_resolver("ramp_up", ramp_up, replace=True)
    store = ConfigStore.instance().store
    for name, settings in OPTIMIZERS.items():
        store(group="optimizer", name=name, node=settings, package="method.classifier_optimizer")
    for name in methods.names():
        kind = methods.find(name)
        store(group="schema/method", name=name, node=kind.Config(name=name))
        store(
            group="method",
            name=name,
            node={"defaults": [{"override /family": FAMILIES[not kind.has_generator]}]},
            package="_global_",
        )
    presets, datasets = (
        {file.stem for file in (Path(CONFIG_DIR) / group).glob("*.yaml")} for group in ("preset", "dataset")
    )
    for family in FAMILIES:
        store(group="family", name=family, node={}, package="_global_")
        for dataset in datasets:
            if f"{dataset}_{family}" not in presets:  # one is for methods with and without a generator
                node = {"defaults": [{"/preset@_global_": dataset if dataset in presets else f"own_{family}"}]}
                store(group="preset", name=f"{dataset}_{family}", node=node, package="_global_")


def compose(overrides: Iterable[str]) -> tuple[DictConfig, dict[str, str]]:
    """The configuration of a run with ``overrides``, inside of a program of Hydra's too, and which file of each group it has.

    Raises `SsganError` for a mistake.
    """
    register()
    overrides = list(overrides)
    outer, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with (
            hydra_errors("config", overrides, composing=lambda: True),
            hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"),
        ):
            config = hydra.compose("config", overrides, return_hydra_config=True)
            choices = dict(config.hydra.runtime.choices)
            with open_dict(config):
                del config.hydra
            return config, choices
    finally:
        GlobalHydra.instance().hydra = outer


def baseline_config(config: DictConfig, choices: Mapping[str, str]) -> DictConfig:
    """The run that learns from the labeled images of ``config`` alone, with network, images and seeds of ``config``.

    Its ``method`` is what the preset, or the experiment's folder of recipes, has for ``method=supervised``.
    """
    overrides = ["method=supervised", f"dataset={choices['dataset']}", f"preset={choices['preset']}"]
    recipe = f"{choices.get('recipe@method', '').rpartition('/')[0]}/supervised"
    if (Path(CONFIG_DIR) / "recipe" / f"{recipe}.yaml").is_file():
        overrides.append(f"recipe@method={recipe}")
    beside = config.copy()
    beside.method = compose(overrides)[0].method
    beside.name, beside.baseline, beside.max_time = f"{config.name}_supervised", False, None
    beside.calibration_folds, beside.start_from = 0, None  # what it would start from may have learned from the pool
    return beside


def check_budget(config: DictConfig, choices: Mapping[str, str]) -> None:
    """Raise `SsganError` for a budget beside an experiment, a sweep or an ablation with epochs of its own."""
    budget = choices["budget"]
    for group in ("experiment", "sweep", "ablation"):
        if budget != "standard" and choices.get(group) and has_epochs(group, choices[group]):
            raise SsganError(
                f"budget={budget}: {group}={choices[group]} has epochs of its own, {config.method.epochs}; "
                f"leave one of the two out"
            )


def has_epochs(group: str, name: str) -> bool:
    """The file of conf/ sets ``method.epochs``, or one of its group that it is made from does."""
    path = Path(CONFIG_DIR) / group / f"{name}.yaml"
    content: Any = OmegaConf.load(path) if path.is_file() else {}  # a user's own is not looked into
    parents = [entry for entry in content.get("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    return OmegaConf.select(content, "method.epochs") is not None or any(has_epochs(group, one) for one in parents)


def condition(config: DictConfig) -> str:
    """The name of a data set and a number of labels: svhn@1000."""
    return f"{config.dataset.name}@{config.labels}"


def process_count(config: DictConfig) -> int:
    """How many train one run together, on all machines."""
    return int(config.devices * config.num_nodes)


def run_path(config: DictConfig) -> Path:
    """Where a run's folder is, as conf/config.yaml says it to Hydra."""
    return Path(config.runs_dir) / condition(config) / config.name / f"split{config.split_seed}-seed{config.seed}"


def require_folder_name(key: str, value: str) -> None:
    """Raise `SsganError` for a name that would put a run's folder elsewhere than into ``runs_dir``."""
    parts = PurePath(value).parts
    if len(parts) != 1 or ".." in parts or PurePath(value).is_absolute():
        raise SsganError(f"{key}={value}: it names a folder in runs_dir; use a word")


def require_keys(config: DictConfig) -> None:
    """Raise `SsganError` if a mandatory key has no value."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise SsganError("missing: " + ", ".join(f"{key}=..." for key in missing))
