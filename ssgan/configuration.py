"""What conf/ refers to, the configuration dataclasses under their names; and what is wrong with a configuration, in one sentence."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ssgan import methods, schema
from ssgan.data.augmentation import AugmentationConfig
from ssgan.errors import SsganError, first_line
from ssgan.nets import config as net_config
from ssgan.schema import CONFIG_DIR


def register(trains: bool = True) -> None:
    """Store the configuration dataclasses under the names by which conf/ refers to them.

    Those of methods, whose import takes seconds, only for a command that ``trains``.
    """
    store = ConfigStore.instance().store
    for command in ("Fit", "Evaluate", "Predict", "Sample", "Score", "Turing", "Ablation", "Report", "Divergences"):
        store(name=f"{command.lower()}_schema", node=getattr(schema, f"{command}Config"))
    groups: dict[str, dict[str, Any]] = {
        "dataset": {
            "embedded": schema.DatasetConfig,
            "files": schema.FilesDatasetConfig,
            "npz": schema.NpzDatasetConfig,
            "folder": schema.FolderDatasetConfig,
        },
        "net": {
            "mlp": net_config.MLPNetConfig,
            "dcgan": net_config.DCGANNetConfig,
            "conv": net_config.ConvNetConfig,
            "resnet": net_config.ResNetConfig,
            "air": net_config.AirNetConfig,
        },
    }
    for group, nodes in groups.items():
        for name, node in nodes.items():
            store(group=f"schema/{name}", name=group, node=node)
    for name in methods.names() if trains else ():
        store(group="method", name=name, node=methods.find(name).Config(name=name))
    for name in ("augmentation", "strong_augmentation"):
        store(group=f"schema/{name}", name="default", node=AugmentationConfig, package=name)


def trained(config: DictConfig) -> list[str]:
    """The groups of keys of what a run trains: its method and, if there is one to compare it with, the baseline."""
    name = config.method.name
    compares = config.baseline and name != "supervised" and methods.find(name).uses_labels
    return ["method", "supervised"] if compares else ["method"]


def condition(config: DictConfig) -> str:
    """The name of a data set and a number of labels: svhn@1000."""
    return f"{config.dataset.name}@{config.labels}"


def require_keys(config: DictConfig) -> None:
    """Raise `SsganError` if a mandatory key has no value."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise SsganError("missing: " + ", ".join(f"{key}=..." for key in missing))


def explain(error: Exception, config_name: str) -> str:
    """One message with the key, the value and the remedy from what Hydra or OmegaConf raised."""
    text = str(error)
    unknown = re.match(r"Could not override '([^']+)'", text) or re.match(r"Key '([^']+)' is not in struct", text)
    if unknown:
        key = str(unknown[1]).partition("@")[0]
        return no_such_key(key, known_keys(config_name))
    causes = [first_line(error)]
    while error.__cause__ is not None:
        error = error.__cause__  # type: ignore[assignment]
        if isinstance(error, SsganError):  # a data set or a network says it in one sentence
            return str(error)
        causes += [line for line in str(error).splitlines()[:1] if line not in causes[-1]]
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        causes.append(f"key: {error.full_key}")
    lines = [line.strip() for line in text.splitlines()[1:]]
    return "; ".join([causes[0], *causes[1:], *(line for line in lines if line and line not in causes)])


def no_such_key(key: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {similar[0]}? " if similar else ""
    return f"{key}: there is no such key; {hint}--cfg job lists them all"


def known_keys(config_name: str) -> list[str]:
    """All keys of a command's configuration, with dots."""
    keys: list[str] = []

    def walk(node: DictConfig, prefix: str) -> None:
        for key in node:
            keys.append(f"{prefix}{key!s}")
            if not OmegaConf.is_missing(node, key) and isinstance(node._get_node(key), DictConfig):
                walk(node[key], f"{prefix}{key!s}.")

    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        walk(hydra.compose(config_name), "")
    return keys
