"""Checkpoints that a run goes on from, whenever and however it was stopped."""

import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import pytorch_lightning as pl

from ssgan.distributed import all_reduce_max, is_lost_connection, world_size
from ssgan.errors import DAMAGED, SsganError, first_line
from ssgan.inference.classifier_file import read_checkpoint, why_outdated


class Stopped(KeyboardInterrupt):
    """Training was stopped by ``signal`` after a step, with a checkpoint."""

    def __init__(self, number: int):
        super().__init__("training stopped after a step, with a checkpoint; the same call resumes it")
        self.signal = number


class StopSignal:
    """Defers the first SIGINT (Ctrl-C) or SIGTERM, in ``number``; a second one takes its default action.

    In a thread that may not handle signals it does nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.number: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Handle the signals, whoever has put another handler in the place since."""
        for number in self.before:
            signal.signal(number, self._keep)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
            signal.raise_signal(number)
        self.number = number


class Checkpoints(pl.Callback):
    """After every epoch, ``minutes`` after the last one, and when a signal asks to stop: a checkpoint in ``last``.

    The one before stays in ``previous``. Each appears whole or not at all, and names the ``run`` that it belongs to;
    none is written when ``healthy`` says no. Processes of another ``run``, or of images with another digest ``data``, do not
    train together. After the one that a signal asked for, KeyboardInterrupt ends the training.
    """

    def __init__(
        self,
        last: Path,
        previous: Path,
        run: str,
        minutes: float | None,
        healthy: Callable[[], bool] = lambda: True,
        data: str = "",
    ):
        self.last, self.previous, self.run, self.minutes, self.healthy = last, previous, run, minutes, healthy
        self.data = data
        self.stop = StopSignal()
        self.last_is_whole = True

    def find(self) -> tuple[Path | None, list[str]]:
        """The latest usable checkpoint, or None; and why newer ones were rejected.

        Raises `SsganError` if there are checkpoints and none of them can be used.
        """
        complaints: list[str] = []
        for path in (self.last, self.previous):
            if path.exists():
                reason = self._unusable(path)
                if reason is None:
                    return path, complaints
                complaints.append(f"{path} {reason}")
                self.last_is_whole = False
        if complaints:
            raise SsganError(f"{'; '.join(complaints)}. To start this run anew, move them away.")
        return None, []

    def _unusable(self, path: Path) -> str | None:
        try:
            checkpoint = read_checkpoint(path)
            outdated = why_outdated(checkpoint)
        except DAMAGED as error:
            return f"is not a whole checkpoint ({first_line(error)})"
        if checkpoint.get("run") != self.run:
            return "belongs to another run"
        return None if outdated is None else f"cannot be used: {outdated}"

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = self.run

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.stop.listen()  # Lightning's own handler talks to the other processes, whatever they are at
        self.saved = time.monotonic()
        name = int(hashlib.sha256(f"{self.run} {self.data}".encode()).hexdigest()[:12], 16)  # as much as a float holds
        step = trainer.global_step
        highest, lowest, most, least = all_reduce_max(name, -name, step, -step)
        if highest != -lowest:
            raise SsganError(
                "the processes of this run have different configurations, splits or images. Give all of them the same "
                "command, with method.precision= if their machines differ."
            )
        if most != -least:
            raise SsganError(
                f"the processes of this run start from different checkpoints (steps {-least:.0f} and {most:.0f}): "
                f"{self.last} is not the same file for all of them. Let runs_dir be a folder that all machines share."
            )

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            return  # the end of the epoch comes next
        due = self.minutes is not None and time.monotonic() - self.saved >= 60 * self.minutes
        due, stop = agree(due, self.stop.number)
        if due or stop is not None:
            self._save_and_stop(trainer, stop)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        _, stop = agree(True, self.stop.number)
        self._save_and_stop(trainer, stop)

    def _save_and_stop(self, trainer: pl.Trainer, stop: int | None) -> None:
        """``stop`` is the signal that all have agreed on; one that came in the meantime waits for the next step."""
        if self.healthy():  # a collapsed epoch is not what a run should go on from
            self._save(trainer)
        if stop is not None:
            self.stop.number = stop
            raise KeyboardInterrupt

    def _save(self, trainer: pl.Trainer) -> None:
        partial = self.last.with_name(f".{self.last.name}.partial")
        try:
            trainer.save_checkpoint(partial)  # all processes have to ask; the first one writes
            if trainer.is_global_zero:
                self._put_in_place(partial)
        except (OSError, RuntimeError) as error:
            if world_size() > 1 and isinstance(error, RuntimeError) and is_lost_connection(error):
                raise
            partial.unlink(missing_ok=True)
            raise SsganError(
                f"{self.last} cannot be written ({first_line(error)}). The checkpoints before it are whole: "
                f"make room, and the same command goes on from them."
            ) from error
        trainer.strategy.barrier()  # none may end before the files are in place: its end would end the others
        self.saved = time.monotonic()

    def _put_in_place(self, partial: Path) -> None:
        """Let ``partial`` be the last one, and the last one the previous."""
        with partial.open("r+b") as file:  # Windows syncs no file that is open to read alone
            os.fsync(file.fileno())
        if self.last.exists() and self.last_is_whole:  # else the previous one is the only one
            second = self.last.with_name(f".{self.previous.name}.partial")
            second.unlink(missing_ok=True)
            try:
                os.link(self.last, second)  # so that there is a last one at every moment
            except OSError:  # not every file system has links
                shutil.copyfile(self.last, second)
            second.replace(self.previous)
        partial.replace(self.last)
        self.last_is_whole = True


def agree(due: bool, stop: int | None) -> tuple[bool, int | None]:
    """What any of the processes that train together wants: a checkpoint, and to stop for a signal of this number."""
    due_anywhere, number = all_reduce_max(due, stop or 0)
    return bool(due_anywhere), int(number) or None
