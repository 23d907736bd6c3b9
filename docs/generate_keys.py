"""Write the reference of every configuration key: python docs/generate_keys.py docs/reference/keys.md.

Types, defaults, ranges and meanings are those of the configuration dataclasses, values those of conf/. Where a
dataclass has no meaning for a key, the comment behind the key in conf/ stands in.
"""

import dataclasses
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import yaml  # type: ignore[import-untyped]
from omegaconf import MISSING, OmegaConf

from ssgan import methods, schema
from ssgan.command_schema import COMMANDS
from ssgan.configuration import register
from ssgan.data.augmentation import AugmentationConfig
from ssgan.fields import remedy
from ssgan.methods.config import MethodConfig
from ssgan.methods.optimizers import OPTIMIZERS
from ssgan.nets.config import CLASSIFIERS, GENERATORS

CONF = Path(schema.CONFIG_DIR)
NETWORKS = {"net/classifier": CLASSIFIERS, "net/generator": GENERATORS}
OF_HYDRA = "class or function that is called"
"""The meaning of ``_target_``, which is a key of Hydra's."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One key; texts are Markdown."""

    key: str
    type: str
    default: str
    range: str
    meaning: str


Comments = dict[str, str]
"""The comment behind each key of a file of conf/, by the key's path with dots."""


# What conf/ says


def comments(path: Path) -> Comments:
    """The comments of a file and of those that its defaults list names in the same folder, its own first."""
    if not path.is_file():
        return {}
    text = path.read_text()
    found = dict(_comments(yaml.compose(text), text.splitlines()))
    for parent in (yaml.safe_load(text) or {}).get("defaults", []):
        if isinstance(parent, str) and not parent.startswith(("/", "_")):
            found = comments(path.parent / f"{parent}.yaml") | found
    return found


def _comments(node: Any, lines: list[str], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        inline = value.end_mark.line == name.end_mark.line
        line = lines[name.end_mark.line][value.end_mark.column if inline else name.end_mark.column :]
        comment = re.search(r"(?:^|\s)#\s*(.+)", line)
        if comment:
            yield f"{prefix}{name.value}", comment[1].strip()
        yield from _comments(value, lines, f"{prefix}{name.value}.")


def about(path: Path) -> str:
    """The comment at the head of a file of conf/."""
    head: list[str] = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if "@package" not in line:
            head.append(line.lstrip("# "))
    return " ".join(head)


def choices(group: str) -> list[str]:
    """The names that ``group=`` takes: files of conf/, methods, and networks of `ssgan.nets.config`."""
    files = [path.stem for path in (CONF / group).glob("*.yaml")]
    return sorted([*files, *(methods.names() if group == "method" else NETWORKS.get(group, ()))])


def compose(*overrides: str) -> Any:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("config", list(overrides))


def plain(node: Any) -> Any:
    """What a configuration holds, interpolations as they stand."""
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node


# From dataclasses to rows


def rows(
    owner: type,
    prefix: str,
    texts: Comments,
    *,
    values: Any = None,
    default: Any = None,
    context: str = "",
    only: Callable[[str], bool] = lambda name: True,
) -> Iterator[Row]:
    """The keys of a dataclass and of the dataclasses in it, their names with ``prefix`` before them.

    values: what conf/ gives them, shown in place of the dataclass's defaults
    default: an instance whose values are the defaults, where it is not ``owner()``
    context: what the dataclass is about, put before the meaning of each of its own keys
    only: which of the dataclass's own fields
    """
    hints = typing.get_type_hints(owner)
    for field in dataclasses.fields(owner):
        if not only(field.name):
            continue
        value = default_of(field) if default is None else getattr(default, field.name)
        if values is not None:
            value = values.get(field.name, value)
        name, hint = f"{prefix}{field.name}", hints[field.name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            about_it = field.metadata.get("meaning", "")
            inner = {key.partition(".")[2]: text for key, text in texts.items() if key.startswith(f"{field.name}.")}
            if isinstance(value, dict):
                yield from rows(hint, f"{name}.", inner, values=value, context=about_it)
            else:
                instance = value if dataclasses.is_dataclass(value) else None
                yield from rows(hint, f"{name}.", inner, default=instance, context=about_it)
            continue
        meaning = field.metadata.get("meaning") or texts.get(field.name, "")
        if field.name == "_target_":
            meaning = OF_HYDRA
        elif not meaning and (source := re.fullmatch(r"\$\{(\w+)\}", str(value))):
            meaning = f"that of `{source[1]}`"
        meaning = ": ".join(text for text in (context, meaning) if text)
        limits = {name: limit for name, limit in field.metadata.items() if name != "meaning"}
        if isinstance(value, dict):
            yield Row(name, shown_type(hint), "", "", meaning)
            yield from arguments(name, value)
        else:
            yield Row(name, shown_type(hint), shown(value), remedy(limits) if limits else "", meaning)


def arguments(name: str, given: dict[str, Any]) -> Iterator[Row]:
    """The arguments of a ``_target_``, which may be any."""
    for key, value in given.items():
        meaning = OF_HYDRA if key == "_target_" else "argument of the `_target_`"
        yield Row(f"{name}.{key}", type(value).__name__, shown(value), "", meaning)


def default_of(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def shown(value: Any) -> str:
    """A value as the command line and YAML write it; nothing for one that has to be given."""
    if value is dataclasses.MISSING or value == MISSING:
        return ""
    if value == "":
        return "`''`"
    if value is None or isinstance(value, bool):
        return {None: "`null`", True: "`true`", False: "`false`"}[value]
    return f"`{value}`"


def shown_type(hint: Any) -> str:
    if hint is Any:
        return "any"
    return hint.__name__ if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) else _written(hint)


def _written(hint: Any) -> str:
    return str(hint).replace("typing.", "").replace("NoneType", "None")


def table(found: Sequence[Row], heading: str) -> str:
    """A table, without columns in which nothing stands."""
    head = ("key", "type", heading, "allowed", "meaning")
    cells = [(f"`{row.key}`", f"`{row.type}`", row.default, row.range, row.meaning) for row in found]
    kept = [i for i in range(len(head)) if any(row[i] for row in cells)]
    lines = [[head[i] for i in kept], ["---"] * len(kept), *([escaped(row[i]) for i in kept] for row in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """In a table's cell: a bar would end it, and outside of code a Markdown sign would be one."""
    parts = re.split("(`[^`]*`)", text.replace("|", "\\|"))
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[])", r"\\\1", part) for part in parts)


# Sections


class Section(NamedTuple):
    """A heading of ``level``, an introduction, and a table whose column of values has the heading ``values``."""

    title: str
    introduction: str = ""
    rows: Sequence[Row] = ()
    values: str = "value"
    level: int = 2


def sections() -> Iterator[Section]:
    yield from of_fit()
    yield from of_variants("dataset", "Data sets")
    yield from of_variants("net/classifier", "Classifiers")
    yield from of_variants("net/generator", "Generators")
    yield from of_methods()
    for group in ("augmentation", "strong_augmentation"):
        views = "strong" if group.startswith("strong") else "weak"
        introduction = f"Of {views} views. Presets set some of them."
        yield Section(f"`{group}`", introduction, list(rows(AugmentationConfig, f"{group}.", {})), "default")
    yield from of_run_parts()
    yield from of_loggers()
    yield from of_other_commands()


def of_fit() -> Iterator[Section]:
    """The keys of the top level, with the values of conf/config.yaml or of the presets."""
    file = CONF / "config.yaml"
    values, texts = yaml.safe_load(file.read_text()), comments(file)
    hints = typing.get_type_hints(schema.FitConfig)
    groups = {field.name for field in dataclasses.fields(schema.FitConfig) if is_group(hints[field.name], field.name)}
    found = []
    for row in rows(schema.FitConfig, "", texts, values=values, only=lambda name: name not in groups):
        found.append(row if row.key in values else dataclasses.replace(row, default=of_presets(row.key)))
    yield Section("The run", "Keys of the top level, with their values in `conf/config.yaml`.", found)
    defaults = {key: value for entry in values["defaults"] if isinstance(entry, dict) for key, value in entry.items()}
    listed = []
    for group in (*NETWORKS, *(name for name in defaults if name.isidentifier() and name != "family")):
        named = ", ".join(f"`{name}`" for name in choices(group))
        listed.append(Row(group, "group", shown(defaults[group]) if group in defaults else "", named, ""))
    introduction = "A group takes the name of a set of values: `dataset=mnist`. Presets choose the networks."
    yield Section("Groups", introduction, listed)


def is_group(hint: Any, name: str) -> bool:
    return dataclasses.is_dataclass(hint) or hint is Any or (CONF / name).is_dir()


def of_presets(key: str) -> str:
    """The values that the data sets' presets give a key of the top level."""
    by_value: dict[str, list[str]] = {}
    for name in choices("dataset"):
        by_value.setdefault(shown(compose(f"dataset={name}")[key]), []).append(name)
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in by_value.items())


def of_variants(group: str, title: str) -> Iterator[Section]:
    """The keys of every choice of a group: those of its dataclass, or of the one that the file's defaults list names."""
    yield Section(title)
    prefix = group.replace("/", ".")
    for name in choices(group):
        node = OmegaConf.select(compose(f"{group}={name}"), prefix)
        file, owner = CONF / group / f"{name}.yaml", typing.cast(type, OmegaConf.get_type(node))
        found = list(rows(owner, f"{prefix}.", comments(file), values=plain(node)))
        text = escaped(about(file)) if file.is_file() else described(owner)
        yield Section(f"`{group}={name}`", text, found, level=3)


def of_methods() -> Iterator[Section]:
    """The keys that every method has, then what each adds to those of the class that it is derived from."""
    shared = rows(MethodConfig, "method.", {}, only=lambda name: name != "terms")
    introduction = "Presets and recipes set some of them."
    yield Section("Methods")
    yield Section("Keys of every method", introduction, list(shared), "default", 3)
    terms = [row for row in rows(MethodConfig, "method.", {}) if row.key.startswith("method.terms.")]
    yield Section("Optional terms", described(typing.get_type_hints(MethodConfig)["terms"]), terms, "default", 3)
    for name, settings in OPTIMIZERS.items():
        given = {argument: value for argument, value in settings.items() if value is not None}
        introduction = "In place of the preset's optimizer of the classifier; with values to start from."
        found = list(arguments("method.classifier_optimizer", given))
        yield Section(f"`optimizer={name}`", introduction, found, level=3)
    for name in methods.names():
        config = methods.find(name).Config
        parent = next((base for base in config.__mro__[1:] if issubclass(base, MethodConfig)), MethodConfig)
        inherited = {row.key: row for row in rows(parent, "method.", {})}
        own = [row for row in rows(config, "method.", {}) if inherited.get(row.key) != row]
        base = parent.__module__.rpartition(".")[2]
        known = "those of every method" if parent is MethodConfig else f"those of `method={base}`"
        text = "" if config is MethodConfig else described(config)
        also = f"Its keys are {known}" + (", with these added or changed:" if own else ".")
        yield Section(
            f"`method={name}`", f"{described(methods.find(name))} {text}".strip() + f"\n\n{also}", own, "default", 3
        )


def described(owner: type) -> str:
    """The first paragraph of a docstring, for a reader who sees no source."""
    return escaped(" ".join((inspect.getdoc(owner) or "").split("\n\n")[0].split()).replace("``", "`"))


def of_run_parts() -> Iterator[Section]:
    """The dataclasses in `FitConfig` that are not groups of variants."""
    hints = typing.get_type_hints(schema.FitConfig)
    composed = compose()
    for field in dataclasses.fields(schema.FitConfig):
        owner = hints[field.name]
        if (
            isinstance(owner, type)
            and dataclasses.is_dataclass(owner)
            and owner not in (schema.DatasetConfig, schema.NetConfig)
        ):
            texts = comments(CONF / field.name / "default.yaml")
            found = rows(owner, f"{field.name}.", texts, values=plain(composed[field.name]))
            yield Section(f"`{field.name}`", "", list(found))


def of_loggers() -> Iterator[Section]:
    yield Section("Loggers")
    for name in choices("logger"):
        file = CONF / "logger" / f"{name}.yaml"
        texts = comments(file)
        found = [
            Row(row.key, row.type, row.default, "", texts.get(row.key.partition(".")[2], row.meaning))
            for row in arguments("logger", yaml.safe_load(file.read_text()) or {})
        ]
        yield Section(f"`logger={name}`", escaped(about(file)), found, level=3)


def of_other_commands() -> Iterator[Section]:
    yield Section("Other commands")
    for command, owner in COMMANDS.items():
        hints = typing.get_type_hints(owner)
        groups: dict[str, Any] = {}
        for entry in owner().defaults:
            groups |= entry if isinstance(entry, dict) else {}
        found = []
        for field in dataclasses.fields(owner):
            if field.name in groups:
                named = ", ".join(f"`{choice}`" for choice in choices(field.name))
                meaning = field.metadata.get("meaning", "")
                found.append(Row(field.name, "group", shown(groups[field.name]), named, meaning))
            elif field.name != "defaults" and not dataclasses.is_dataclass(hints[field.name]):
                found += rows(owner, "", {}, only=field.name.__eq__)
        yield Section(f"`ssgan.{command}`", described(owner), found, level=3)


# The page


def page() -> str:
    register()
    parts = [
        "# Configuration keys",
        "Every key of the commands. `python -m ssgan.fit --cfg job` prints the values of a run. A key is given on the "
        "command line as `key=value`. An empty value means that the key has to be given.",
    ]
    for section in sections():
        parts += [f"{'#' * section.level} {section.title}", section.introduction]
        parts += [table(section.rows, section.values)] if section.rows else []
    return "\n\n".join(part for part in parts if part) + "\n"


def write(path: Path) -> None:
    """Write the page, unless it stands there already."""
    text = page()
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
