"""docs/: the key reference lists every key, and the Python reference every public name."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from test_configs import compose

import ssgan
from ssgan import methods
from ssgan.configuration import register

DOCS = Path(__file__).parents[1] / "docs"
sys.path.append(str(DOCS))

import generate_keys  # noqa: E402


def leaves(node: Any, prefix: str = "") -> Iterator[str]:
    """The keys of a configuration that hold a value; a mapping that is empty is one."""
    if isinstance(node, DictConfig) and len(node):
        for key in node:
            yield from leaves(node._get_node(key), f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix


@pytest.fixture(scope="module")
def rows() -> list[generate_keys.Row]:
    """Of all tables of the reference."""
    register()
    return [row for section in generate_keys.sections() for row in section.rows]


@pytest.fixture(scope="module")
def listed(rows: list[generate_keys.Row]) -> set[str]:
    return {row.key for row in rows}


@pytest.mark.parametrize(
    "choices",
    [
        *([f"method={name}"] for name in methods.names()),
        *([f"dataset={name}"] for name in ("mnist", "svhn", "cifar10")),
        *([f"net/classifier={name}"] for name in ("air", "dcgan", "wrn_28_2")),
        ["dataset=folder", "dataset.path=pictures"],
        ["logger=wandb"],
    ],
    ids=" ".join,
)
def test_every_key_is_in_the_reference(choices: list[str], listed: set[str]) -> None:
    config = compose(*choices)
    missing = {key for key in leaves(config) if key not in listed} - {"method.name"}  # that of the group's file
    assert not missing, f"docs/generate_keys.py leaves out {sorted(missing)}"


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "python.md").read_text()
    assert [name for name in ssgan.__all__ if f"ssgan.{name}\n" not in text] == []


def test_every_key_has_a_meaning(rows: list[generate_keys.Row]) -> None:
    """A group's is the section of its own that it has."""
    assert [row.key for row in rows if not row.meaning and row.type != "group"] == []
