"""python benchmarks/throughput.py [OVERRIDE ...]: seconds per epoch of a recipe, and where they go.

Trains `experiment=mnist_100` in batches of 100 (with the overrides) for some epochs, and prints the seconds of each but the first, steps
and images per second, the share of every kind of operation in the profiled steps, and the rate of the matrix products
as a fraction of the rate that this machine reaches on large ones. Writes benchmarks/results/throughput.json.
"""

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch.profiler import ProfilerActivity, profile

from ssgan.assembly import build, make_trainer
from ssgan.config import CONFIG_DIR, register
from ssgan.run_folder import environment
from ssgan.splits import draw_split

RECIPE = ("experiment=mnist_100", "method.batch_size=100")
EPOCHS, PROFILED_STEPS = 5, 60
PARTS = {
    "matrix products": ("aten::mm", "aten::addmm"),
    "Adam": ("aten::_fused_adam_", "Optimizer."),
    "weight norm": ("aten::_weight_norm",),
    "conversion and copies": ("aten::copy_", "aten::_to_copy", "aten::to", "aten::cat", "aten::index_select"),
    "averages": ("aten::lerp_", "aten::_foreach_lerp_"),
    "noise": ("aten::randn_like", "aten::normal_", "aten::add"),
    "nonlinearities and batch norm": ("aten::clamp_min", "aten::relu", "aten::threshold", "aten::softplus", "aten::sigmoid", "aten::native_batch_norm"),
}  # fmt: skip


class Timer(pl.Callback):
    """Seconds of every epoch, and a profile of some steps in the middle of the first."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 0 and batch_idx == 100:
            self.profiler = profile(activities=[ProfilerActivity.CPU], with_flops=True)
            self.profiler.__enter__()
        if trainer.current_epoch == 0 and batch_idx == 100 + PROFILED_STEPS:
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
    """TFLOP/s of this machine on large matrix products."""
    a = torch.randn(size, size).to(dtype)
    a @ a
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times) / 1e12


def measure(overrides: list[str]) -> dict[str, Any]:
    register()
    with hydra.initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = hydra.compose("config", [*RECIPE, f"method.epochs={EPOCHS}", *overrides])
    data = instantiate(config.dataset)
    split = draw_split(data.train_targets.numpy(), len(data.class_names), config.labels, 0, config.validation)
    module, datamodule = build(config, config.method, data, split)
    timer = Timer()
    make_trainer(config, config.method, [timer]).fit(module, datamodule=datamodule)
    seconds, steps = timer.seconds[1:], datamodule.steps_per_epoch
    dtype = torch.float32 if config.method.precision == "32-true" else torch.bfloat16
    products = [e for e in timer.profiler.key_averages() if e.key in PARTS["matrix products"]]
    flops = sum(event.flops for event in products) / PROFILED_STEPS
    rate = product_rate(dtype)
    return {
        "recipe": " ".join([*RECIPE, *overrides]),
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "steps_per_epoch": steps,
        "seconds_per_epoch": [round(s, 2) for s in seconds],
        "median_seconds": round(median(seconds), 2),
        "best_seconds": round(min(seconds), 2),
        "images_per_second": round(3 * config.method.batch_size * steps / median(seconds)),
        "shares": shares(timer.profiler),
        "gflop_per_step": round(flops / 1e9, 2),
        "machine_tflops": round(rate, 2),
        "fraction_of_machine_rate": round(flops * steps / median(seconds) / 1e12 / rate, 3),
    }


if __name__ == "__main__":
    result = measure(sys.argv[1:])
    print(json.dumps(result, indent=2))
    path = Path(__file__).parent / "results" / "throughput.json"
    stored = json.loads(path.read_text()) if path.exists() else {"measurements": []}
    kept = [m for m in stored["measurements"] if (m["recipe"], m["threads"]) != (result["recipe"], result["threads"])]
    here = environment()
    about = {"machine": here["machine"], "versions": here["versions"]}
    path.write_text(json.dumps(about | {"measurements": [*kept, result]}, indent=2) + "\n")
