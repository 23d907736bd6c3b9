"""Results that outlive their run folders: one JSON file for each condition and recipe, to which new runs are added."""

import json
from pathlib import Path
from typing import Any

from ssgan.errors import SsganError
from ssgan.files import write_json
from ssgan.reporting.results import Group, Results, in_order

NUMBER = int | float | None
KINDS: dict[str, Any] = {
    "split_seed": int,
    "seed": int,
    "labels": NUMBER,
    "test_error": NUMBER,
    "supervised_error": NUMBER,
    "label_spreading_error": NUMBER,
    "logistic_regression_error": NUMBER,
    "ece": NUMBER,
    "nll": NUMBER,
    "status": str | None,
    "epochs": NUMBER,
    "seconds": NUMBER,
    "threads": NUMBER,
    "has_classes": bool | None,
    "command": str | None,
    "supervised_command": str | None,
}
"""What is kept of a run, and of what type it is; errors are fractions."""

FROM_BEFORE = (
    ("supervised_error", "supervised_command"),
    ("label_spreading_error",),
    ("logistic_regression_error",),
)
"""What a run that is given again has from its entry before, where it has none of its own: they are of the split."""


def add_runs(folder: Path, group: Group) -> Path:
    """Write ``group`` to its file in ``folder``; runs that are there stay, but those of the same seeds. Returns its path.

    Mean and sample standard deviation are over all of them, collapsed ones included. Raises `SsganError` for a file that holds
    something else.
    """
    path = path_of(folder, group)
    entries = {(entry["split_seed"], entry["seed"]): entry for entry in kept(path, group)}
    for run, metrics in zip(group.runs, group.entries, strict=True):
        made = (run.starts() or [{}])[-1]
        known = {**metrics, "command": run.command, "threads": made.get("threads")}
        entry, before = {key: known.get(key) for key in KINDS}, entries.get(run.seeds, {})
        for keys in FROM_BEFORE:
            if entry[keys[0]] is None:
                entry.update({key: before.get(key) for key in keys})
        entries[run.seeds] = entry
    results = Results(group.condition, group.recipe, tuple(entries[seeds] for seeds in sorted(entries)))
    content = {
        "condition": group.condition,
        "method": group.runs[-1].metrics["method"],
        "recipe": group.recipe,
        "runs": list(results.entries),
        **(summary(results, "test_error") or {"mean": None, "sd": None}),
        "n": len(results.entries),
        **{key.removesuffix("_error"): summary(results, key) for key, *_ in FROM_BEFORE},
        "collapsed": results.collapsed(),
        "machine": made.get("machine"),
        "versions": made.get("versions"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, content)
    return path


def path_of(folder: Path, group: Group) -> Path:
    return folder / f"{group.condition}_{group.recipe}.json".replace("/", "_")


def kept(path: Path, group: Group) -> list[dict[str, Any]]:
    """The runs that the file of ``group`` holds; raises `SsganError` if it holds something else."""
    if not path.exists():
        return []
    there = read(path)
    if (there["condition"], there["recipe"]) != (group.condition, group.recipe):
        raise SsganError(
            f"{path}: holds results of {there['condition']}, {there['recipe']}; those of {group.condition}, {group.recipe} would go "
            f"to the same file. Give one of them another name="
        )
    return list(there["runs"])


def summary(results: Results, key: str) -> dict[str, float | None] | None:
    found = results.summary(key)
    if found is None:
        return None
    return {"mean": round(found.mean, 8), "sd": round(found.sd, 8) if found.n > 1 else None}


def read_results(folder: Path) -> list[Results]:
    """All that are in ``folder``, as a report orders them; files without @ in their names are passed over.

    Raises `SsganError` if there are none, or for a file that is not JSON.
    """
    contents = [read(path) for path in sorted(folder.glob("*@*.json"))]
    found = [Results(content["condition"], content["recipe"], tuple(content["runs"])) for content in contents]
    if not found:
        raise SsganError(f"results={folder}: holds no results; write some with runs=...")
    return in_order(found)


def read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not all(entry.keys() >= {"split_seed", "seed", "test_error"} for entry in content["runs"]):
            raise ValueError("a run without seeds or error")
        for key, kind in KINDS.items():
            if not all(isinstance(entry.get(key), kind) for entry in content["runs"]):
                raise ValueError(f"a run with another type of {key}")
        if not {"condition", "recipe"} <= content.keys():
            raise ValueError("without condition or recipe")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SsganError(f"{path}: holds no results ({error}). Move it away, or repair it.") from error
    return dict(content)
