"""The jobs of a sweep, looked at before the first one trains."""

from collections.abc import Iterator, Sequence

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ssgan.configuration import compose, register, run_path
from ssgan.errors import SsganError
from ssgan.schema import CONFIG_DIR


def jobs_of(words: Sequence[str]) -> list[list[str]]:
    """The overrides of each job that ``-m`` makes of ``words``; none if another sweeper decides, or if Hydra refuses them."""
    register()
    try:
        overrides = OverridesParser.create().parse_overrides(list(words))
        plain = [word for word, override in zip(words, overrides, strict=True) if not override.is_sweep_override()]
        with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
            sweeper = hydra.compose("config", plain, return_hydra_config=True).hydra.sweeper
        if sweeper._target_ != f"{BasicSweeper.__module__}.{BasicSweeper.__name__}":
            return []
        params = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
        arguments = OverridesParser.create().parse_overrides([*params, *words])
        return [[*job] for batch in BasicSweeper.split_arguments(arguments, None) for job in batch]
    except (HydraException, ValueError, TypeError):
        return []


def mistakes_of(words: Sequence[str]) -> Iterator[str]:
    """A message for the first job that cannot be composed, and for the first two that would train in one folder."""
    seen: dict[str, list[str]] = {}
    for job in jobs_of(words):
        try:
            path = str(run_path(compose([word for word in job if not word.lstrip("+~").startswith("hydra.")])[0]))
        except SsganError as error:
            yield f"{' '.join(job)}: {error}"
            return
        if path in seen:
            differ = [word for word in job if word not in seen[path]]
            key = differ[0].partition("=")[0] if differ else "seed"
            yield (
                f"two jobs of this sweep have the folder {path}: {' '.join(seen[path])}, and {' '.join(job)}. Give them names: "
                f"'name={key.rpartition('.')[2]}_${{{key}}}'"
            )
            return
        seen[path] = job
