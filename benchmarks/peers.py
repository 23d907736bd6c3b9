"""python benchmarks/peers.py gan=CHECKOUT fixmatch=CHECKOUT: a step of a port in common use and of ssgan, one after the other.

``gan`` is a checkout of Sleepychord/ImprovedGAN-pytorch, whose step on MNIST (100 labeled, 100 unlabeled and 100 generated images) stands beside
`dataset=mnist method=improved_gan labels=100 method.batch_size=100`; ``fixmatch`` one of kekmodel/FixMatch-pytorch, whose step on CIFAR-10 (64 labeled and 448
unlabeled images, WRN-28-2) stands beside `dataset=cifar10 method=fixmatch` with this network and these batches. The ports run as they
are, their own training loops with their own loaders; only what stops them on this machine is replaced: iterators have `next` again, the
download of the data set (read from `$SSGAN_DATA`), TensorBoard, and the test that ends an epoch. They have no bfloat16 on a CPU; ssgan takes it
where the processor has instructions for it, and float32 in a third measurement. Takes turns, and adds to benchmarks/results/peers.json. Needs
an idle machine.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import types
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ssgan.training.environment import environment

RESULT = Path(__file__).parent / "results" / "peers.json"
ROUNDS = 3
STEPS = {"gan": 200, "fixmatch": 3}
"""Timed in each round, after as many that are not. Those of ssgan include what it does at the end of an epoch, such as a checkpoint."""
UNLABELED = {"gan": 100, "fixmatch": 448}
OVERRIDES = {
    "gan": ["dataset=mnist", "method=improved_gan", "labels=100", "method.batch_size=100"],
    "fixmatch": [
        "dataset=cifar10",
        "method=fixmatch",
        "labels=4000",
        "net/classifier=wrn_28_2",
        "method.batch_size=448",
        "method.labeled_batch_size=64",
    ],
}


class Done(Exception):
    """Enough steps were timed."""


class Clock:
    """Called after every step of a port; ends it, with the seconds a step."""

    def __init__(self, steps: int):
        self.steps, self.count, self.start = steps, 0, 0.0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.steps:
            self.start = time.perf_counter()
        if self.count == 2 * self.steps:
            print(json.dumps((time.perf_counter() - self.start) / self.steps))
            raise Done


def with_next(loader: type) -> type:
    """A ``DataLoader`` whose iterators have `next`, as those of torch had until 1.13."""

    class Loader(loader):  # type: ignore[misc]
        def __iter__(self) -> Iterator[Any]:
            iterator = super().__iter__()
            type(iterator).next = type(iterator).__next__
            return iterator

    return Loader


def stub(name: str) -> None:
    """A TensorBoard that writes nothing."""
    module = types.ModuleType(name)
    module.SummaryWriter = lambda *_, **__: types.SimpleNamespace(  # type: ignore[attr-defined]
        add_scalars=lambda *_: None, add_histogram=lambda *_: None, add_scalar=lambda *_: None
    )
    sys.modules[name] = module


def arrays(name: str) -> tuple[Any, Any]:
    with np.load(Path(os.environ["SSGAN_DATA"]) / f"{name}.npz") as file:
        return file["x_train"], file["y_train"]


def run_gan(checkout: str, clock: Clock) -> None:
    import torch
    from torchvision import datasets

    images, targets = arrays("mnist")

    def read(self: Any, root: str, train: bool = True, transform: Any = None, **_: Any) -> None:
        self.root, self.train, self.transform, self.target_transform = root, train, transform, None
        self.data, self.targets = torch.from_numpy(images), torch.from_numpy(targets)

    datasets.MNIST.__init__ = read  # type: ignore[method-assign]
    stub("tensorboardX")
    sys.path.insert(0, checkout)
    import ImprovedGAN as port
    from Datasets import MnistLabel, MnistTest, MnistUnlabel
    from Nets import Discriminator, Generator

    port.DataLoader = with_next(port.DataLoader)
    with tempfile.TemporaryDirectory() as folder:
        options = Namespace(
            **{"batch_size": 100, "epochs": 1, "lr": 0.003, "momentum": 0.5, "cuda": False, "seed": 1},
            **{
                "log_interval": 10**9,
                "eval_interval": 1,
                "unlabel_weight": 1,
                "logdir": folder,
                "savedir": f"{folder}/models",
            },
        )
        port.args = options  # its loop reads the global one
        gan = port.ImprovedGAN(Generator(100), Discriminator(), MnistLabel(10), MnistUnlabel(), MnistTest(), options)
        train_generator = gan.trainG

        def timed(images: Any) -> Any:
            loss = train_generator(images)
            clock()
            return loss

        gan.trainG = timed
        gan.train()


def run_fixmatch(checkout: str, clock: Clock) -> None:
    import torch
    from torch.utils.data import RandomSampler
    from torchvision import datasets

    images, targets = arrays("cifar10")

    def read(
        self: Any, root: str, train: bool = True, transform: Any = None, target_transform: Any = None, **_: Any
    ) -> None:
        self.root, self.train, self.transform, self.target_transform = root, train, transform, target_transform
        self.data, self.targets = images, targets.tolist()

    datasets.CIFAR10.__init__ = read  # type: ignore[method-assign]
    stub("torch.utils.tensorboard")
    sys.path.insert(0, checkout)
    import train as port
    from dataset.cifar import DATASET_GETTERS
    from models.ema import ModelEMA
    from models.wideresnet import build_wideresnet

    options = Namespace(
        **{"num_labeled": 4000, "num_classes": 10, "expand_labels": True, "batch_size": 64, "eval_step": 1024, "mu": 7},
        **{
            "world_size": 1,
            "local_rank": -1,
            "start_epoch": 0,
            "epochs": 1,
            "no_progress": True,
            "T": 1,
            "threshold": 0.95,
        },
        **{"lambda_u": 1, "amp": False, "use_ema": True, "device": torch.device("cpu")},
    )
    labeled, unlabeled, _ = DATASET_GETTERS["cifar10"](options, "")
    loaders = [
        with_next(port.DataLoader)(kind, sampler=RandomSampler(kind), batch_size=size, num_workers=2, drop_last=True)
        for kind, size in ((labeled, 64), (unlabeled, 448))
    ]
    model = build_wideresnet(depth=28, widen_factor=2, dropout=0, num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)
    average = ModelEMA(options, model, 0.999)
    schedule = port.get_cosine_schedule_with_warmup(optimizer, 0, 2**20)
    update = average.update

    def timed(model: Any) -> None:
        update(model)
        clock()

    average.update = timed
    model.train()
    port.train(options, *loaders, None, model, optimizer, average, schedule)


def seconds_of_port(kind: str, checkout: str) -> float:
    """Of one step, in a process of its own."""
    command = [sys.executable, __file__, "--run", kind, str(Path(checkout).resolve())]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{checkout} did not run:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def seconds_of_ssgan(kind: str, *more: str) -> float:
    """Of one step of a run's second epoch."""
    steps = STEPS[kind]
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "ssgan.fit", *OVERRIDES[kind], f"trainer.limit_train_batches={steps}", *more]
        command += ["method.epochs=2", "method.warm_up_epochs=0", "method.ramp_up_epochs=0", f"runs_dir={runs}"]
        command += ["trainer.samples_every=1000000"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
            while len(seconds := list(epochs_in(Path(runs)))) < 2:
                if run.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} did not run:\n{run.communicate()[1]}")
                time.sleep(0.5)
            run.terminate()  # what follows the last epoch, such as the test, takes longer than these few steps
            run.communicate()
    return (seconds[1] - seconds[0]) / steps


def epochs_in(runs: Path) -> Iterator[float]:
    """When each epoch ended, in seconds of training, as the run's metrics.csv has it so far."""
    for path in runs.rglob("metrics.csv"):
        with path.open() as file:
            yield from (float(row["seconds"]) for row in csv.DictReader(file) if row["seconds"])


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        kind, checkout = sys.argv[2:]
        try:
            {"gan": run_gan, "fixmatch": run_fixmatch}[kind](checkout, Clock(STEPS[kind]))
        except Done:
            sys.stdout.flush()
            os._exit(0)  # its workers would be waited for
    results: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for kind, checkout in (word.split("=", 1) for word in sys.argv[1:]):
        commit = subprocess.check_output(["git", "-C", checkout, "rev-parse", "HEAD"], text=True).strip()
        times: dict[str, list[float]] = {"port": [], "ssgan": [], "ssgan, float32": []}
        for _ in range(ROUNDS):
            times["port"].append(seconds_of_port(kind, checkout))
            times["ssgan"].append(seconds_of_ssgan(kind))
            times["ssgan, float32"].append(seconds_of_ssgan(kind, "method.precision=32-true"))
        middle = {name: median(seconds) for name, seconds in times.items()}
        results[kind] = {
            "commit": commit,
            "environment": environment() | {"command": f"python benchmarks/peers.py {kind}=CHECKOUT"},
            "seconds a step": {name: [round(s, 4) for s in seconds] for name, seconds in times.items()},
            "unlabeled images a second": {name: round(UNLABELED[kind] / s, 1) for name, s in middle.items()},
            "times the port": {name: round(middle["port"] / s, 2) for name, s in middle.items()},
        }
        print(kind, json.dumps(results[kind]), flush=True)
        RESULT.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
