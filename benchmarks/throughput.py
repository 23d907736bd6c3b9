"""python benchmarks/throughput.py [OVERRIDE ...]: seconds per epoch of a recipe, and where they go.

Trains a recipe, `dataset=mnist method=improved_gan labels=100` in batches of 100 unless overrides choose another, for some epochs, and prints
the seconds of each but the first, steps and images per second, the share of every kind of operation in the profiled
steps, and the rate of matrix products and convolutions as a fraction of the rate that this machine reaches on large
products. With `trainer.limit_train_batches=N` only N steps of each epoch run, and the seconds are scaled up to a whole one. Adds to
benchmarks/results/throughput.json.
"""

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ssgan.configuration import compose
from ssgan.data.registry import load_dataset
from ssgan.data.splits import draw_split
from ssgan.precision import PRECISIONS
from ssgan.training.build import build
from ssgan.training.environment import machine
from ssgan.training.run import prepare
from ssgan.training.trainer import make_trainer

RECIPE = ("dataset=mnist", "method=improved_gan", "labels=100", "method.batch_size=100")
EPOCHS, PROFILED_STEPS = 5, 60
PARTS = {
    "matrix products and convolutions": (
        "aten::mm",
        "aten::addmm",
        "aten::mkldnn_convolution",
        "aten::convolution_backward",
        "aten::_slow_conv",
        "aten::slow_conv",
    ),
    "Adam": ("aten::_fused_adam_", "Optimizer."),
    "weight norm": ("aten::_weight_norm",),
    "conversion and copies": ("aten::copy_", "aten::_to_copy", "aten::to", "aten::cat", "aten::index_select"),
    "averages": ("aten::lerp_", "aten::_foreach_lerp_"),
    "noise": ("aten::randn_like", "aten::normal_", "aten::add"),
    "nonlinearities and batch norm": ("aten::clamp_min", "aten::relu", "aten::leaky_relu", "aten::threshold", "aten::softplus", "aten::sigmoid", "aten::tanh", "aten::native_batch_norm"),
    "elementwise products, dropout among them": ("aten::mul",),
}  # fmt: skip


class Timer(pl.Callback):
    """Seconds of every epoch; from the first one the FLOPs of a step, and a profile of up to 60 in its middle."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.steps = int(trainer.num_training_batches)
        self.first, self.profiled = self.steps // 4, min(PROFILED_STEPS, self.steps // 2)
        self.started = time.perf_counter()

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch:
            return
        if batch_idx == 1:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()
        if batch_idx == 2:
            self.counter.__exit__(None, None, None)
        if batch_idx == self.first:
            self.profiler = profile(activities=[ProfilerActivity.CPU])
            self.profiler.__enter__()
        if batch_idx == self.first + self.profiled:
            self.profiler.__exit__(None, None, None)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        self.seconds.append(time.perf_counter() - self.started)


def shares(profiler: profile) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        part = next((part for part, names in PARTS.items() if event.key.startswith(names)), "everything else")
        totals[part] += event.self_cpu_time_total
    whole = sum(totals.values())
    return {part: round(total / whole, 3) for part, total in sorted(totals.items(), key=lambda item: -item[1])}


def product_rate(dtype: torch.dtype, size: int = 3000, repeats: int = 5) -> float:
    """TFLOP/s of this machine on large matrix products, with as many threads as training has."""
    a = torch.randn(size, size).to(dtype)
    times: list[float] = []
    while len(times) <= repeats and sum(times) < 60:  # in bfloat16 without instructions for it one takes half a minute
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times) / 1e12


def measure(overrides: list[str]) -> dict[str, Any]:
    config, _ = compose([*(overrides or RECIPE), f"method.epochs={EPOCHS}"])
    prepare(config, {})
    data = load_dataset(config.dataset)
    split = draw_split(data.train_targets.numpy(), len(data.class_names), config.labels, 0, config.validation)
    module, datamodule = build(config, data, split)
    timer = Timer()
    make_trainer(config, [timer]).fit(module, datamodule=datamodule)
    steps = datamodule.steps_per_epoch
    share_run = timer.steps / steps
    seconds = [s / share_run for s in timer.seconds[1:]]
    dtype = PRECISIONS[config.method.precision]
    flops = timer.counter.get_total_flops()
    rate = product_rate(dtype)
    return {
        "recipe": " ".join(overrides or RECIPE),
        "precision": config.method.precision,
        "threads": torch.get_num_threads(),
        "machine": machine(),
        "torch": torch.__version__.partition("+")[0],
        "load_average": round(os.getloadavg()[0], 2),
        "steps_per_epoch": steps,
        "seconds_per_epoch": [round(s, 2) for s in seconds],
        "median_seconds": round(median(seconds), 2),
        "best_seconds": round(min(seconds), 2),
        "images_per_second": round(
            (2 * config.method.batch_size + config.method.labeled_batch_size) * steps / median(seconds)
        ),
        "shares": shares(timer.profiler),
        "gflop_per_step": round(flops / 1e9, 2),
        "machine_tflops": round(rate, 4),
        "fraction_of_machine_rate": round(flops * steps / median(seconds) / 1e12 / rate, 3),
    }


if __name__ == "__main__":
    result = measure(sys.argv[1:])
    print(json.dumps(result, indent=2))
    path = Path(__file__).parent / "results" / "throughput.json"
    measured = json.loads(path.read_text())["measurements"] if path.exists() else []
    condition = ("recipe", "precision", "threads", "machine")
    kept = [m for m in measured if any(m[key] != result[key] for key in condition)]
    path.write_text(json.dumps({"measurements": [*kept, result]}, indent=2) + "\n")
