"""The files of a run folder, read back; each raises `SsganError` for a file that is not whole, with a remedy."""

import json
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ssgan.data.splits import Split
from ssgan.errors import SsganError, first_line

KINDS: dict[str, Any] = {
    **dict.fromkeys(("condition", "name", "status", "command"), str),
    **dict.fromkeys(("split_seed", "seed"), int),
    **dict.fromkeys(("test_error", "ece"), int | float | None),
    "seconds": int | float,
}
"""The entries of metrics.json that others read, and their types."""


def read_config(folder: Path, remedy: str = "") -> DictConfig:
    """config.yaml, not resolved."""
    path = folder / "config.yaml"
    try:
        config = OmegaConf.load(path)
        if not isinstance(config, DictConfig):
            raise ValueError("no keys")
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError) as error:
        raise damaged(path, error, remedy) from error
    return config


def read_split(folder: Path, remedy: str = "") -> tuple[Split, str | None]:
    """split.json, and the digest of the data of which its numbers are, None if it does not say it."""
    path = folder / "split.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error, remedy) from error
    return Split.from_json(content, str(path)), content.get("data")


def read_metrics(folder: Path, remedy: str = "") -> dict[str, Any]:
    """metrics.json, with all `KINDS` of entries."""
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        entries = metrics if isinstance(metrics, dict) else {}
        wrong = [key for key, kind in KINDS.items() if key not in entries or not isinstance(entries[key], kind)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} missing or of another type than ssgan.fit writes")
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error, remedy) from error
    return entries


def damaged(path: Path, error: Exception, remedy: str) -> SsganError:
    what = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({first_line(error)})"
    return SsganError(f"{path} {what}. {remedy}".rstrip(" "))
