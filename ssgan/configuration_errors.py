"""What is wrong with a configuration, in one sentence."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ssgan.errors import SsganError, first_line
from ssgan.schema import CONFIG_DIR


@contextmanager
def hydra_errors(config_name: str, overrides: Iterable[str], composing: Callable[[], bool] = bool) -> Iterator[None]:
    """Inside, what Hydra and OmegaConf raise becomes an `SsganError`.

    While a configuration is ``composing``, so does what they raise for a group that got something else than the name of a file.
    """
    try:
        yield
    except SsganError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise SsganError(format_hydra_error(error, config_name, overrides)) from error
    except (ValueError, TypeError) as error:
        if not composing() or not (chosen := group_overrides(overrides)):
            raise
        raise SsganError(f"{', '.join(chosen)}: a group takes the name of a file of conf/ (dataset=mnist)") from error


def format_hydra_error(error: Exception, config_name: str, overrides: Iterable[str] = ()) -> str:
    """One message with the key, the value and the remedy from what Hydra or OmegaConf raised.

    ``overrides`` are those of the command; the groups among them decide which keys there are.
    """
    text = str(error)
    choice = re.search(r"Could not find '([\w/]+)/([^/']+)'\n+Available options in '[^']+':\n((?:\t\S+\n)+)", text)
    if choice:
        group, value, options = choice[1], choice[2], choice[3].split()
        return f"{group}={value}: there is none of that name; {did_you_mean(value, options)}use one of {', '.join(options)}"
    missing = re.search(r"You must specify '([^']+)'.*Available options:\n((?:\t\S+\n?)+)", text, re.DOTALL)
    if missing:
        return f"missing: {missing[1]}=..., one of {', '.join(missing[2].split())}"
    unknown = re.match(r"Could not override '([^']+)'", text) or re.match(r"Key '([^']+)' is not in struct", text)
    if unknown:
        key = str(unknown[1]).partition("@")[0]
        chosen = group_overrides(overrides)
        known = known_keys(config_name, chosen)
        elsewhere: set[str] = set()
        if config_name == "config" and key.startswith(("method.", "net.", "dataset.")):
            elsewhere = {*known_keys("config"), *known_keys("config", ["method=improved_gan"])}
        return no_such_key(key, known, elsewhere)
    budget = re.search(r"\$\{budgets\.(\w+)\.epochs\}': Incompatible value 'None'", text)
    if budget:
        return f"budget={budget[1]}: the preset of this data set has none; use method.epochs="
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


def no_such_key(key: str, known: Iterable[str], elsewhere: Collection[str] = ()) -> str:
    """That there is no ``key``, and which of ``known`` may be meant; other choices than the command's have those ``elsewhere``."""
    parts = sorted(path.name for path in (Path(CONFIG_DIR) / key).glob("*") if path.is_dir())
    if parts:
        return f"{key}: its parts are chosen apart: " + ", ".join(f"{key}/{part}=NAME" for part in parts)
    if key in elsewhere:
        return f"{key}: a key of another network, method or data set than those chosen; --cfg job lists all keys"
    hint = did_you_mean(key, known)
    if re.match(r"method\.(classifier_optimizer|generator_optimizer|schedule)\.", key):
        return f"{key}: the preset gives no such argument; {hint}+{key}=... adds it"
    return f"{key}: there is no such key; {hint}--cfg job lists them all"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {similar[0]}? " if similar else ""


def group_overrides(overrides: Iterable[str]) -> list[str]:
    """Those of ``overrides`` that choose a file of conf/ or a configuration dataclass for a group."""

    def is_group(name: str) -> bool:
        node: Any = ConfigStore.instance().repo
        for part in name.split("/"):
            node = node.get(part) if isinstance(node, dict) else None
        return isinstance(node, dict) or (Path(CONFIG_DIR) / name).is_dir()

    return [override for override in overrides if is_group(re.split("[=@]", override.lstrip("+~"))[0])]


def known_keys(config_name: str, chosen: Sequence[str] = ()) -> list[str]:
    """All keys of a command's configuration, with dots, with the choices of groups that overrides have ``chosen``."""
    keys: list[str] = []

    def walk(node: DictConfig, prefix: str) -> None:
        for key in node:
            keys.append(f"{prefix}{key!s}")
            if not OmegaConf.is_missing(node, key) and isinstance(node._get_node(key), DictConfig):
                walk(node[key], f"{prefix}{key!s}.")

    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        try:
            walk(hydra.compose(config_name, list(chosen)), "")
        except HydraException:  # one of them is wrong, too
            walk(hydra.compose(config_name), "")
    return keys
