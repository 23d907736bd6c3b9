"""The words of a command line, before Hydra reads them: what is quoted, what is no key, and ``--help``."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from omegaconf import MISSING

from ssgan.command_schema import COMMANDS
from ssgan.configuration import GROUPS, require_folder_name
from ssgan.configuration_errors import no_such_key
from ssgan.errors import SsganError
from ssgan.fields import quoted
from ssgan.schema import CONFIG_DIR, FitConfig

STRINGS = (
    *(
        "name",
        "dataset.name",
        "dataset.path",
        "data_dir",
        "runs_dir",
        "images",
        "output",
        "classifier",
        "checkpoint",
        "start_from",
        "labels_file",
        "run",
    ),
    *("judge", "runs", "results", "readme", "weights", "backbone", "net.classifier.weights", "net.classifier.name"),
    *("dataset.path_column", "dataset.label_column", "dataset.split_column"),
)
"""Keys whose values are names, of files above all, and nothing else."""
SWEEPS = "choice|range|interval|glob|sort|shuffle|tag"
"""Functions of Hydra's that a value may be made of."""
HYDRA_WORDS = ("null", "true", "false", "inf", "nan")
"""Words that Hydra takes for something else."""


def help_of(config_name: str) -> str:
    """The usage of a command, and each of its keys with its default and meaning."""
    command = COMMANDS[config_name]
    defaults = command()
    rows = [
        (f"{field.name}={shown(getattr(defaults, field.name))}", field.metadata.get("meaning", ""))
        for field in fields(command)
        if field.name not in ("defaults", "dataset")
    ]
    if reads_data_set(config_name):
        own = "a data set; its own keys are dataset.path= and so on (python -m ssgan.fit --help)"
        rows.insert(0, ("dataset=", own))
    width = max(len(name) for name, _ in rows)
    usage = (command.__doc__ or "").replace("``", "")
    return "\n".join([f"usage: {usage}", "", *(f"  {name:{width}}  {meaning}" for name, meaning in rows), ""])


def reads_data_set(config_name: str) -> bool:
    """Whether ``dataset=`` is a choice of the command."""
    if config_name not in COMMANDS:  # fit
        return True
    return any("dataset" in one for one in COMMANDS[config_name]().defaults if isinstance(one, dict))


def shown(default: object) -> str:
    """A default as one would type it; nothing for a key that has to be given."""
    if default == MISSING:
        return ""
    if isinstance(default, bool) or default is None:
        return {None: "null", True: "true", False: "false"}[default]
    found = re.fullmatch(r"\$\{oc\.env:(\w+),(.*)\}", str(default))
    return f"${found[1]} or {found[2]}" if found else str(default)


def as_string(word: str, sweeps: bool) -> str:
    """An override of one of `STRINGS` with its value in quotes, and ~ as the home folder; any other word as it is, but for letters
    that are not ASCII, which Hydra refuses without quotes.

    Hydra would otherwise take 1_1_1 for a number, and refuse umlauts, brackets and much else that names of files have. What
    is in quotes stays; so do null and, where a command ``sweeps``, commas and the like in what is no file.
    """
    key, separator, value = word.partition("=")
    if key.lstrip("+") in STRINGS and re.match(r"~(/|$)", value):
        value = os.path.expanduser(value)
        word = f"{key}={value}"
    in_quotes = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    plain = re.fullmatch(r"(\.{0,2}/)*[A-Za-z_][\w./-]*", value, re.ASCII) and value.lower() not in HYDRA_WORDS
    if not separator or in_quotes or value in ("", "null", "???") or plain:
        return word
    if sweeps and not os.path.exists(value) and re.search(rf",|\b({SWEEPS})\(", value):
        return word
    if key.lstrip("+") in STRINGS:
        return f"{key}={quoted(value)}"
    if value.isascii() or value[0] in "{'\"":
        return word
    if value[0] == "[" and value[-1] == "]":
        items = [
            item if item.isascii() or item.strip()[:1] in "'\"" else quoted(item.strip())
            for item in value[1:-1].split(",")
        ]
        return f"{key}=[{','.join(items)}]"
    return f"{key}={quoted(value)}"


def unknown_keys(config_name: str) -> list[str]:
    """A message for each override whose first word is neither a key nor a group of conf/."""
    owner = COMMANDS.get(config_name, FitConfig)
    known = [field.name for field in fields(owner) if field.name != "defaults"]
    words = [match[1] for word in sys.argv[1:] if (match := re.match(r"(\w+)[^\s=]*=", word))]
    return [no_such_key(word, known) for word in words if word not in (*known, *groups(), "hydra")]


def empty_values() -> Iterator[str]:
    """A message for each file or name that is empty, as one whose variable the shell does not know."""
    for word in sys.argv[1:]:
        key, separator, value = word.partition("=")
        if separator and not value.strip("'\" ") and key.lstrip("+") in STRINGS:
            yield f"{key}=: names nothing; give it a value, or leave it out (. is this folder)"


def misplaced_names() -> Iterator[str]:
    """A message for each name that would have Hydra make a folder outside of that of all runs."""
    for word in sys.argv[1:]:
        key, separator, value = word.partition("=")
        if separator and key in ("name", "dataset.name"):
            try:
                require_folder_name(key, value.strip("'\""))
            except SsganError as error:
                yield str(error)


def paths_as_names(config_name: str) -> Iterator[str]:
    """A message for each place of files that stands where a key or the name of a data set should."""
    reads_data = reads_data_set(config_name)
    for before, word in pairwise(sys.argv):
        key, separator, value = word.partition("=")
        place = value if separator else word
        named = key == "dataset" and "/" in value
        alone = not separator and not before.startswith("-") and not word.startswith("-") and Path(word).exists()
        if alone and not reads_data:
            key = before if before.endswith("=") else "KEY="
            yield f"{word}: stands alone; write {key}{word}, without a space"
        elif named or alone:
            yield f"{word}: for files use dataset=folder dataset.path={place} (or dataset=table, npz, vectors)"


def groups() -> set[str]:
    """Those of conf/, and those of the package."""
    return {*GROUPS, *(path.name for path in Path(CONFIG_DIR).iterdir() if path.is_dir())}
