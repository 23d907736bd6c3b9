"""docs/: the key reference lists every key, and the Python reference every public name."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import DictConfig, OmegaConf

import ssgan
from ssgan import methods
from ssgan.configuration import register
from ssgan.schema import CONFIG_DIR

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

import generate_keys  # noqa: E402


def leaves(node: Any, prefix: str = "") -> Iterator[str]:
    """The keys of a configuration that hold a value; a mapping that is empty is one."""
    if isinstance(node, DictConfig) and len(node):
        for key in node:
            yield from leaves(node._get_node(key), f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix


@pytest.fixture(scope="module")
def listed() -> set[str]:
    """The keys in the tables of the reference, the baseline's among them: they are named after the method's."""
    register()
    keys = {row.key for section in generate_keys.sections() for row in section.rows}
    return keys | {key.replace("method.", "supervised.", 1) for key in keys if key.startswith("method.")}


@pytest.mark.parametrize(
    "choices",
    [
        *([f"method={name}"] for name in methods.names()),
        *([f"dataset={name}"] for name in ("mnist", "svhn", "cifar10")),
        *([f"net={name}"] for name in ("air", "dcgan", "wrn_28_2")),
        ["dataset=folder", "dataset.path=pictures"],
        ["logger=wandb"],
    ],
    ids=" ".join,
)
def test_every_key_is_in_the_reference(choices: list[str], listed: set[str]) -> None:
    register()
    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = hydra.compose("config", choices)
    names = {"method.name", "supervised.name"}  # that of the group's file
    missing = {key for key in leaves(OmegaConf.masked_copy(config, list(config))) if key not in listed} - names
    assert not missing, f"docs/generate_keys.py leaves out {sorted(missing)}"


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "python.md").read_text()
    assert [name for name in ssgan.__all__ if f"ssgan.{name}\n" not in text] == []


def test_every_key_has_a_meaning() -> None:
    assert generate_keys.undocumented() == []
