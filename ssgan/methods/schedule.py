"""Learning-rate schedules: from the fraction of training done, in [0, 1], to a factor of the learning rate."""

import math
from collections.abc import Callable
from typing import Any

from hydra.utils import instantiate


def linear(progress: float, constant_fraction: float = 0.667) -> float:
    """Constant for ``constant_fraction`` of training, then linear to 0; 2/3 is the authors' min(3 (1 - t), 1)."""
    return min(1.0, max(0.0, 1 - progress) / max(1 - constant_fraction, 1e-9))


def cosine(progress: float, cycles: float = 7 / 16) -> float:
    """cos(pi cycles t); 7/16 of a cycle is FixMatch's (Sohn et al. 2020, sec. 2.4), 1/2 ends at 0."""
    return max(0.0, math.cos(math.pi * cycles * progress))


def make_schedule(settings: dict[str, Any]) -> Callable[[float], float]:
    """``_target_`` of ``settings`` with its other arguments, those that are null left at its own defaults."""
    given = {name: value for name, value in settings.items() if value is not None}
    schedule: Callable[[float], float] = instantiate({**given, "_partial_": True})
    return schedule


def lr_factor(
    settings: dict[str, Any], progress: Callable[[int], float], warmth: Callable[[int], float]
) -> Callable[[int], float]:
    """The factor of the learning rate in a step: ``_target_`` of ``settings`` on ``progress(step)``, ``warmth(step)`` at most."""
    schedule = make_schedule(settings)
    return lambda step: min(warmth(step), schedule(min(1.0, progress(step))))
