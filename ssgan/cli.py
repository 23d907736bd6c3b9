"""From a command line to an exit code: 0 done, 1 a mistake that the message explains, 3 collapsed, 130 or 143 stopped."""

import io
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import hydra
from omegaconf import DictConfig, OmegaConf

from ssgan.command_schema import COMMANDS
from ssgan.command_words import as_string, empty_values, help_of, misplaced_names, paths_as_names, unknown_keys
from ssgan.configuration import register, require_keys
from ssgan.configuration_errors import hydra_errors
from ssgan.errors import SsganError, first_line, print_error
from ssgan.fields import check_ranges
from ssgan.schema import CONFIG_DIR
from ssgan.sweeps import mistakes_of


def print_any_name() -> None:
    """Let file names be printed that are any bytes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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


def memory_advice(config: DictConfig) -> str:
    """What makes a job of ``config`` need less memory: the keys, and their values now."""
    method = OmegaConf.select(config, "method")
    if not isinstance(method, DictConfig):
        return "name a smaller size=, fewer images, or end other programs"
    keys = ("batch_size", "labeled_batch_size", "initialization_images")
    given = ", ".join(f"method.{key}={method[key]}" for key in keys if key in method)
    return f"use smaller ones of {given}, fewer channels (net.classifier) or a smaller dataset.size"
