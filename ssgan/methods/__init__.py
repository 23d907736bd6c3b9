"""One file per method; what they share is in `base` and `terms`."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from ssgan.errors import SsganError

if TYPE_CHECKING:
    from ssgan.methods.base import Method

SHARED = (
    "base",
    "lifecycle",
    "config",
    "historical_averaging",
    "neighbors",
    "optimizers",
    "running_means",
    "schedule",
    "term_means",
    "terms",
)


def names() -> list[str]:
    """The methods there are: the other modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED)


def find(name: str) -> "type[Method]":
    """The class of the method in the module ``name``; raises `SsganError` if there is none of that name."""
    from ssgan.methods.base import Method

    if name not in names():
        raise SsganError(f"method={name}: there is no such method; use {' or '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__:
            return value
    raise SsganError(f"{module.__file__}: defines no class derived from Method; move it out of ssgan/methods")
