"""python -m ssgan.inspect: what a data set holds, as ssgan reads it, before anything is trained on it."""

import json
import sys
from types import ModuleType
from typing import Any

from omegaconf import DictConfig

from ssgan import cli
from ssgan.data.inspection import described, inspect_data, warnings_of
from ssgan.data.registry import load_dataset
from ssgan.errors import warn


def inspect(config: DictConfig) -> int:
    found = inspect_data(load_dataset(config.dataset))
    print(json.dumps(found, indent=2) if config.json else "\n".join(described(found)))
    for line in warnings_of(found):
        warn(line)
    return 0


def main() -> None:
    cli.run("inspect", inspect)


class _Callable(ModuleType):
    """`ssgan.inspect` is a function of the package, also after this module of the same name was imported."""

    def __call__(self, *arguments: Any, **settings: Any) -> dict[str, Any]:
        from ssgan.training.api import inspect as of_data

        return of_data(*arguments, **settings)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    main()
