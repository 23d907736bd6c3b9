"""How long a run will take, and an end to it at a given time."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from ssgan.distributed import all_reduce_max
from ssgan.errors import SsganError

WARM_UP, TIMED = 10, 20
"""Steps that are not timed, and those after them that are."""

UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Seconds of "90s", "30m", "1h30m"; raises `SsganError` for anything else and for no time at all."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise SsganError(f"max_time={text}: use a time like 90s, 30m or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def time_left(seconds_per_step: float, module: Any, limit: float | None) -> str:
    """How long a run will still take, at so many seconds per step; ``limit`` is its `TimeLimit` in seconds."""
    left = (module.total_steps - module.step_number - 1) * seconds_per_step
    if limit is not None:
        left = min(left, limit * (1 - module.elapsed_fraction()))
    return f"{1 / seconds_per_step:.1f} steps a second: about {format_duration(left)} to go"


class TimeEstimate(pl.Callback):
    """Times the first steps of training, `TIMED` ones after `WARM_UP`, and then hands the seconds per step to ``on_estimate``.

    Of several processes, the first one does.
    """

    def __init__(self, on_estimate: Callable[[float, Any], None]):
        self.on_estimate = on_estimate

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.steps = 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps += 1
        if self.steps == WARM_UP:
            self.started = time.perf_counter()
        elif self.steps == WARM_UP + TIMED and trainer.is_global_zero:
            self.on_estimate((time.perf_counter() - self.started) / TIMED, pl_module)


class TimeLimit(pl.Callback):
    """Ends training after ``seconds`` of it, those before a resume included; the learning rate falls to 0 by then.

    The clock is looked at after every step; of several processes, that of the slowest counts for all.
    """

    def __init__(self, seconds: float):
        self.seconds, self.elapsed = seconds, 0.0

    def state_dict(self) -> dict[str, float]:
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.elapsed = state_dict["elapsed"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.started = time.monotonic() - self.elapsed
        pl_module.elapsed_fraction = self.used_fraction
        trainer.should_stop = self.used_fraction() >= 1  # a run that was stopped after its last step

    def used_fraction(self) -> float:
        """The part of the time that is used up."""
        return self.elapsed / self.seconds

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        (self.elapsed,) = all_reduce_max(time.monotonic() - self.started)
        if self.used_fraction() >= 1:
            trainer.should_stop = True
