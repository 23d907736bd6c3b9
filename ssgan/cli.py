"""From a command line to an exit code: 0 done, 1 a mistake that the message explains, 3 collapsed, 130 or 143 stopped."""

import dataclasses
import io
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import hydra
from omegaconf import MISSING as OMEGACONF_MISSING
from omegaconf import DictConfig, OmegaConf

from ssgan.command_schema import COMMANDS
from ssgan.configuration import GROUPS, register, require_folder_name, require_keys
from ssgan.configuration_errors import hydra_errors, no_such_key
from ssgan.errors import SsganError, first_line, print_error
from ssgan.fields import check_ranges, quoted
from ssgan.schema import CONFIG_DIR, FitConfig
from ssgan.sweeps import mistakes_of


def print_any_name() -> None:
    """Let file names be printed that are any bytes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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


def run(config_name: str, job: Callable[[DictConfig], int], help_text: str | None = None) -> None:
    """Compose the configuration ``config_name`` with the overrides of the command line, run ``job`` once, or once per job of
    a sweep, and exit with the highest code that a job returned. A job that fails does not end a sweep.

    ``--help`` prints ``help_text``, or what `help_of` says. A word that is no key of the command is answered before anything
    slow is imported.
    """
    if not {"-h", "--help"}.isdisjoint(sys.argv):
        print(help_text or help_of(config_name), end="")
        sys.exit(0)
    sweeps = not {"-m", "--multirun"}.isdisjoint(sys.argv)
    sys.argv[1:] = [as_string(word, sweeps) for word in sys.argv[1:]]
    exit_with([*unknown_keys(config_name), *empty_values(), *misplaced_names(), *paths_as_names(config_name)])
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors come up to here, where they are told in one message
    print_any_name()
    register(trains=config_name == "config")
    if sweeps and config_name == "config":
        exit_with([*mistakes_of([word for word in sys.argv[1:] if not word.startswith("-")])])
    code, composed = 0, list[bool]()
    with tempfile.TemporaryDirectory() as answers:  # of the jobs, which a launcher may run in processes of their own

        def task(config: DictConfig) -> None:
            composed.append(True)
            here = Path(answers).is_dir()  # not so on another machine, whose logs tell what became of the job
            answer = Path(answers) / uuid4().hex if here else Path(os.devnull)
            answer.write_text("1")
            try:
                require_keys(config)
                if config_name in COMMANDS:
                    check_ranges(OmegaConf.to_object(config))
                with hydra_errors(config_name, sys.argv[1:]):
                    answer.write_text(str(job(config)))
            except SsganError as error:
                print_error(str(error))
            except (MemoryError, RuntimeError) as error:
                if not (isinstance(error, MemoryError) or re.search("(out of|enough|allocate) memory", str(error))):
                    raise
                print_error(f"not enough memory ({first_line(error)}); {memory_advice(config)}")

        try:
            with hydra_errors(config_name, sys.argv[1:], composing=lambda: not composed):
                hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name=config_name)(task)()
        except SsganError as error:
            print_error(str(error))
            code = 1
        except OSError as error:
            print_error(
                f"{error.filename or 'a file'} cannot be written or read ({error.strerror}). Name a place that can."
            )
            code = 1
        except KeyboardInterrupt as stop:
            print_error("interrupted; run the same command to resume")
            code = 128 + getattr(stop, "signal", signal.SIGINT)
        code = max([code, *(int(answer.read_text()) for answer in Path(answers).iterdir())])
    sys.exit(code)


def exit_with(mistakes: Sequence[str]) -> None:
    """Tell of ``mistakes``, if there are any, and exit."""
    if mistakes:
        print_error("; ".join(mistakes))
        sys.exit(1)


def help_of(config_name: str) -> str:
    """The usage of a command, and each of its keys with its default and meaning."""
    command = COMMANDS[config_name]
    rows = [
        (
            f"{field.name}={'' if is_needed(field.default) else f'{shown(field.default)}'}",
            field.metadata.get("meaning", ""),
        )
        for field in fields(command)
        if field.name not in ("defaults", "dataset")
    ]
    if any("dataset" in choice for choice in command().defaults if isinstance(choice, dict)):
        rows.insert(
            0, ("dataset=", "a data set; its own keys are dataset.path= and so on (python -m ssgan.fit --help)")
        )
    width = max(len(name) for name, _ in rows)
    usage = (command.__doc__ or "").replace("``", "")
    return "\n".join([f"usage: {usage}", "", *(f"  {name:{width}}  {meaning}" for name, meaning in rows), ""])


def is_needed(default: object) -> bool:
    return default is dataclasses.MISSING or default == OMEGACONF_MISSING


def shown(default: object) -> str:
    """A default as one would type it."""
    if isinstance(default, bool) or default is None:
        return {None: "null", True: "true", False: "false"}[default]
    found = re.fullmatch(r"\$\{oc\.env:(\w+),(.*)\}", str(default))
    return f"${found[1]} or {found[2]}" if found else str(default)


def memory_advice(config: DictConfig) -> str:
    """What makes a job of ``config`` need less memory: the keys, and their values now."""
    method = OmegaConf.select(config, "method")
    if not isinstance(method, DictConfig):
        return "name a smaller size=, fewer images, or end other programs"
    keys = ("batch_size", "labeled_batch_size", "initialization_images")
    given = ", ".join(f"method.{key}={method[key]}" for key in keys if key in method)
    return f"use smaller ones of {given}, fewer channels (net.classifier) or a smaller dataset.size"


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
    reads_data = config_name not in COMMANDS or "dataset" in help_of(config_name)
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
