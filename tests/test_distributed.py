"""Any number of processes trains as one does on the same global batch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from conftest import TINY, Outcome, make_classifier
from test_configs import compose
from test_improved_gan import SHARED, fit, make_method, sgd, uninitialized, weights
from test_resume import assert_same_end, beside, rows_of
from test_techniques import mixing_classifier
from torch import nn

from ssgan import methods
from ssgan.data.image_data import ImageData
from ssgan.methods.base import Method
from ssgan.methods.fixmatch import FixMatch
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.methods.manifold_gan import ManifoldGAN
from ssgan.methods.mixmatch import MixMatch
from ssgan.methods.supervised import Supervised
from ssgan.nets import MLPGenerator
from ssgan.nets.initialization import initialize_from_data
from ssgan.training.launch import ManualDDPStrategy, check_processes, resolve_batch_sizes

pytestmark = pytest.mark.distributed


class Rounded(pl.Callback):
    """Processors of another kind round initial weights differently."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for p in pl_module.parameters():
            p.data.add_(0.01 * trainer.global_rank)


def train(digits: ImageData, processes: int, make: Any) -> Method:
    """The method after 40 steps with SGD and without noise, in so many processes."""
    torch.manual_seed(0)
    module: Method = make()
    several = {"strategy": ManualDDPStrategy(start_method="fork"), "devices": processes} if processes > 1 else {}
    settings = {"use_distributed_sampler": False, "callbacks": [Rounded()]} | several
    fit(module, digits, steps=20, epochs=2, batch_size=48, **settings)
    return module


def without_noise(**changes: Any) -> Any:
    return lambda: make_method(noise=0.0, **changes)


def discriminating() -> Method:
    """With small steps, and without the kinks of an L1 norm: with others rounding grows a thousandfold on the way, whatever
    the number of processes.
    """
    classifier = mixing_classifier()
    initialize_from_data(classifier, torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    return make_method(noise=0.0, lr=0.0001, feature_norm="l2", classifier=classifier)


def supervised() -> Method:
    config = Supervised.Config(**SHARED, classifier_optimizer=sgd(0.1))
    return uninitialized(Supervised(make_classifier(0.0), config))


def initialized(name: str) -> Any:
    """The method of this name with SGD, as its file has it, initialized from data."""

    def make() -> Method:
        kind = methods.find(name)
        lr = 0.001 if name == "vat" else 0.01  # a direction from a small difference is uncertain by its rounding
        optimizers, networks = {"classifier_optimizer": sgd(lr)}, [make_classifier(0.0)]
        if issubclass(kind, ImprovedGAN):
            networks.append(MLPGenerator((1, 8, 8), latent=20, hidden=[24, 24], output="sigmoid"))
            optimizers["generator_optimizer"] = sgd(0.01)
        config = kind.Config(**SHARED, **optimizers)
        label = config.terms.pseudo_label
        label.threshold, label.adaptive, label.align, label.neighbors = 0.2, True, True, 0.9
        config.ramp_up_epochs = 2
        if issubclass(kind, MixMatch):  # mixtures are of the images of a process
            config.mixup_alpha = 0.0
        if issubclass(kind, ManifoldGAN):  # whose step is nothing without noise
            config.manifold_step = 0.3
        return kind(*networks, config)

    return make


def leaving_out_ood() -> Method:
    """By a quantile of the whole batch's labeled images."""
    config = FixMatch.Config(**SHARED, classifier_optimizer=sgd(0.01))
    config.terms.pseudo_label.threshold, config.terms.pseudo_label.ood_quantile = 0.2, 0.3
    return FixMatch(make_classifier(0.0), config)


METHODS = {
    "ood": leaving_out_ood,
    "feature_matching": without_noise(),
    "l1_and_pull_away": without_noise(feature_norm="l1", terms=weights(pull_away=0.5)),
    "preference": without_noise(generator_loss="preference"),
    "consistency_and_balance": without_noise(terms=weights(consistency=1.0, class_balance=1.0)),
    "minibatch_discrimination": discriminating,
    "supervised": supervised,
    **{  # ct_gan wants noise, which each process draws for itself
        f"{name}_from_data": initialized(name)
        for name in methods.names()
        if methods.find(name).uses_labels and name != "ct_gan"
    },
}


PROCESSES = int(os.environ.get("SSGAN_PROCESSES", "2"))


@pytest.mark.parametrize("method", METHODS)
def test_several_processes_are_one(digits: ImageData, method: str) -> None:
    """Kills local statistics, gradients that are not averaged or averaged twice, ranks that see the same images or z,
    and weights that drift apart. ``SSGAN_PROCESSES=4`` tries four.
    """
    one, several = (train(digits, processes, METHODS[method]) for processes in (1, PROCESSES))
    compared = 0
    for (name, p), q in zip(one.named_parameters(), several.parameters(), strict=True):
        torch.testing.assert_close(q, p, rtol=1e-6, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
        compared += p.numel()
    assert compared > 1000
    start: nn.Module = METHODS[method]()
    assert not torch.equal(next(one.parameters()), next(start.parameters()))


DDP = ("trainer=ddp", "devices=2")
FOLDER = "digits@50/improved_gan/split0-seed0"
LONG = ("method.epochs=4", "validation=100", "trainer.checkpoint_minutes=0")


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of the processes of a run; and of this one, whose forks would wait for threads that were not forked with it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a sweep of two jobs in two processes each says, and its folder of runs."""
    path = tmp_path_factory.mktemp("sweep")
    said, _ = ended(start("-m", "ssgan.fit", "-m", *DDP, *TINY, *LONG, "labels=20,50", f"runs_dir={path}"))
    return said, path


@pytest.fixture(scope="module")
def straight(sweep: tuple[str, Path]) -> Path:
    """The folder of a run in two processes that nothing stopped."""
    return sweep[1] / FOLDER


def start(*arguments: str, on: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
    """python with these arguments, by a command that takes others."""
    return subprocess.Popen(
        [*on, sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def ended(process: subprocess.Popen[str], code: int = 0, seconds: float = 300) -> tuple[str, str]:
    """What ``process`` says and complains of until it ends with ``code``."""
    try:
        said, told = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        said, told = process.communicate()
        pytest.fail(f"after {seconds:.0f} s not ended: {said}\n{told}")
    assert process.returncode == code, told
    assert "Traceback" not in told
    return said, told


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 120, newer_than: int = 0) -> None:
    """Until there is such a file, which ``process`` is to write, and which is not that of a time before."""
    end = time.monotonic() + seconds
    while not path.exists() or path.stat().st_mtime_ns <= newer_than:
        if process.poll() is not None or time.monotonic() > end:
            ended(process, seconds=0)
        time.sleep(0.05)


def test_the_command_ends_as_in_one_process(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    """Kills validation images that are counted twice or not at all, a file that each process writes, another split."""
    quiet = (
        "net.classifier.input_noise=0",
        "net.classifier.hidden_noise=0",
        "balanced=false",
        "validation=11",  # an image that is counted twice, or not at all, is a tenth
        "baseline=true",
        "trainer.limit_train_batches=3",
    )
    for name, several in (("one", ()), ("two", DDP)):
        outcome = ssgan("fit", *TINY, *quiet, *several, f"runs_dir={tmp_path / name}")
        assert outcome.code == 0, outcome.err
    one, two = (tmp_path / name / FOLDER for name in ("one", "two"))
    for ours, theirs in zip(rows_of(one), rows_of(two), strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert float(theirs[key]) == pytest.approx(float(value), rel=0.02, abs=0.011), key
        assert 11 * float(theirs["val/error"]) == pytest.approx(round(11 * float(theirs["val/error"])), abs=1e-3)
    for folders in ((one, two), tuple(beside(folder) for folder in (one, two))):
        ours, theirs = (json.loads((folder / "metrics.json").read_text())["test_error"] for folder in folders)
        assert ours == pytest.approx(theirs, abs=0.01)
    assert (one / "split.json").read_bytes() == (two / "split.json").read_bytes()
    assert sorted(path.name for path in one.rglob("*")) == sorted(path.name for path in two.rglob("*"))


def test_a_run_that_is_stopped_and_killed_goes_on(straight: Path, tmp_path: Path) -> None:
    """By a signal to all, by one to a process, by the death of one; torchrun ends it as if nothing had been.

    Kills a handler that talks to the other process in the midst of a step, and a survivor that waits, both for ever; a checkpoint of
    one process that the other does not have; and draws that depend on where a run was stopped.
    """
    command = ("-m", "ssgan.fit", *DDP, *TINY, *LONG, f"runs_dir={tmp_path}")
    checkpoint, last = tmp_path / FOLDER / "last.ckpt", 0
    for number, code, told in (
        (signal.SIGINT, 130, "run the same command to resume"),
        (signal.SIGTERM, 143, "run the same command to resume"),
        (signal.SIGKILL, 1, "was ended by signal 9"),
    ):
        run = start(*command)
        wait_for(checkpoint, run, newer_than=last)
        os.kill(run.pid if number == signal.SIGINT else children(run.pid)[-1], number)
        assert told in ended(run, code=code, seconds=60)[1]
        assert not (tmp_path / FOLDER / "metrics.json").exists()
        last = checkpoint.stat().st_mtime_ns
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    ended(start(*torchrun, *command))
    assert_same_end(straight, tmp_path / FOLDER)


def test_a_collapsed_run_keeps_its_result(tmp_path: Path) -> None:
    """Kills a second process whose exit code ends the first one before it has tested and written."""
    settings = ("method.classifier_optimizer.lr=1e30", "collapse_watch.window=3", f"runs_dir={tmp_path}")
    _, told = ended(start("-m", "ssgan.fit", *DDP, *TINY, *settings), code=3)
    assert "Training collapsed" in told
    assert json.loads((tmp_path / FOLDER / "metrics.json").read_text())["status"] == "collapsed"
    assert (tmp_path / FOLDER / "classifier.safetensors").exists()


def test_every_job_of_a_sweep_is_started_once(sweep: tuple[str, Path]) -> None:
    said, path = sweep
    assert [line.split()[0] for line in said.splitlines() if "labeled images, " in line] == ["20", "50"]
    assert len(list(path.rglob("metrics.json"))) == 2


SLURM_JOB = {
    "SLURM_JOB_ID": "4242",
    "SLURM_JOB_NAME": "ssgan",
    "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "1",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "localhost",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
"""What a batch script's own process sees."""


def slurm_task(task: int, *overrides: str) -> subprocess.Popen[str]:
    """As srun starts it: one process per task, told by the environment which one it is."""
    of_srun = {"SLURM_STEP_ID": "0", "SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}
    return start(*("-m", "ssgan.fit", *DDP, *TINY, *LONG, *overrides), **SLURM_JOB | of_srun)


def test_slurm_starts_it_too(straight: Path, tmp_path: Path) -> None:
    tasks = [slurm_task(task, f"runs_dir={tmp_path}") for task in range(2)]
    for task in tasks:
        ended(task)
    assert_same_end(straight, tmp_path / FOLDER)


@pytest.mark.parametrize(
    ("changed", "overrides", "told"),
    [
        ({}, (), "SLURM_NTASKS=2: this job has that many tasks, but srun did not start this one"),
        ({}, DDP, "SLURM_NTASKS=2: this job has that many tasks, but srun did not start this one"),
        ({"SLURM_NTASKS_PER_NODE": "", "SLURM_STEP_ID": "0"}, DDP, "SLURM: You set `--ntasks=2`"),
        ({"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}, (), None),
    ],
)
def test_slurm_without_srun(
    changed: dict[str, str],
    overrides: tuple[str, ...],
    told: str | None,
    ssgan: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills a traceback, and a process that waits for others that nobody starts."""
    for name, value in {**SLURM_JOB, **changed}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    outcome = ssgan("fit", *TINY, *overrides, f"runs_dir={tmp_path}")
    assert outcome.code == (1 if told else 0), outcome.err
    assert (told or "") in outcome.err
    assert outcome.err.count("error:") == bool(told)


def test_processes_of_different_runs_do_not_train_together(tmp_path: Path) -> None:
    tasks = [slurm_task(task, f"runs_dir={tmp_path}", f"method.ema_decay=0.{task + 1}") for task in range(2)]
    for task in tasks:
        _, told = ended(task, code=1)
        assert "the processes of this run have different configurations" in told
    assert not list(tmp_path.rglob("last.ckpt"))


@pytest.fixture
def hosts() -> Iterator[list[tuple[str, str, str]]]:
    """Two hosts with a cable between them: the network namespace of each, its device and its address."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip")
    tag = f"{os.getpid() % 100000}"
    ends = [(f"ssgan{tag}{side}", f"sg{tag}{side}", f"10.77.0.{number}") for number, side in ((1, "a"), (2, "b"))]

    def ip(*arguments: str, check: bool = True) -> None:
        subprocess.run(["ip", *arguments], check=check, capture_output=True)

    try:
        for namespace, _, _ in ends:
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("link", "add", ends[0][1], "netns", ends[0][0], "type", "veth", "peer", ends[1][1], "netns", ends[1][0])
        for namespace, device, address in ends:
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", namespace, "link", "set", device, "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    else:
        yield ends
    finally:
        for namespace, _, _ in ends:
            ip("netns", "del", namespace, check=False)


@pytest.mark.root
def test_two_hosts_train_and_one_of_them_dies(
    straight: Path, tmp_path: Path, hosts: list[tuple[str, str, str]]
) -> None:
    """Kills addresses that mean another machine elsewhere, a survivor that waits for ever, and an end that differs from
    that on one machine.
    """

    def begin() -> list[subprocess.Popen[str]]:
        meet = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint={hosts[0][2]}:29511")
        command = ("-m", "ssgan.fit", "trainer=ddp", "num_nodes=2", *TINY, *LONG, f"runs_dir={tmp_path}")
        return [
            start(
                *(
                    "-m",
                    "torch.distributed.run",
                    *meet,
                    f"--local-addr={address}",
                    f"--rdzv-conf=is_host={int(first)}",
                    *command,
                ),
                on=("ip", "netns", "exec", namespace),
                GLOO_SOCKET_IFNAME=device,
            )
            for first, (namespace, device, address) in zip((True, False), hosts, strict=True)
        ]

    both = begin()
    wait_for(tmp_path / FOLDER / "last.ckpt", both[0])
    os.kill(children(both[1].pid)[-1], signal.SIGKILL)
    end = time.monotonic() + 60
    told = [run.communicate(timeout=end - time.monotonic())[1] for run in both]
    assert all(run.returncode for run in both)
    assert "error: another process of this run has ended" in told[0]
    assert not (tmp_path / FOLDER / "metrics.json").exists()
    for run in begin():
        ended(run)
    assert_same_end(straight, tmp_path / FOLDER)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["devices=2"], "trainer=ddp"),
        (["devices=0"], "devices=0: use 1 or more"),
        ([*DDP, "validation=1"], "validation=1: 2 processes share them"),
        (["trainer=ddp", "num_nodes=2"], "start this command with torchrun or srun, once on every machine"),
        (["trainer.strategy=fsdp"], "trainer.strategy=fsdp: use auto or ddp"),
    ],
)
def test_what_processes_cannot_share(
    ssgan: Callable[..., Outcome], tmp_path: Path, overrides: list[str], says: str
) -> None:
    outcome = ssgan("fit", *overrides, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert says in outcome.err
    assert not list(tmp_path.rglob("environment.json"))


def test_batches_that_do_not_divide_are_rounded_up() -> None:
    """Catches a preset that several devices refuse: the lean one has 25 labeled images a step."""
    config = compose("method=improved_gan", "trainer=ddp", "devices=4", "method.labeled_batch_size=25")
    assert resolve_batch_sizes(config) == [
        "method.batch_size=50: 4 processes share a batch; trains with 52",
        "method.labeled_batch_size=25: 4 processes share a batch; trains with 28",
    ]
    assert (config.method.batch_size, config.method.labeled_batch_size) == (52, 28)
    assert resolve_batch_sizes(config) == []
    for dataset in ("mnist", "svhn", "cifar10"):
        for devices in (2, 4, 8):
            config = compose(f"dataset={dataset}", "trainer=ddp", f"devices={devices}")
            resolve_batch_sizes(config)
            check_processes(config)


def test_a_process_of_another_number_is_refused(
    ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "3", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    outcome = ssgan("fit", *DDP, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert "started 3 processes" in outcome.err
