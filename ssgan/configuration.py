"""What conf/ refers to: the configuration dataclasses, under their names."""

from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from ssgan import methods, schema
from ssgan.data.augmentation import AugmentationConfig
from ssgan.errors import SsganError
from ssgan.nets import config as net_config


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


def require_keys(config: DictConfig) -> None:
    """Raise `SsganError` if a mandatory key has no value."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise SsganError("missing: " + ", ".join(f"{key}=..." for key in missing))
