"""Several processes for one run: started here on one machine, or by torchrun or SLURM on any number of them."""

import logging
import os
import signal
import sys
from functools import cache
from uuid import uuid4

import torch
import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from omegaconf import DictConfig
from pytorch_lightning.strategies import DDPStrategy
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ssgan.configuration import process_count
from ssgan.errors import SsganError, first_line
from ssgan.training.callbacks.checkpoints import Stopped


class ManualDDPStrategy(DDPStrategy):
    """Lightning's processes, devices and process group, without its wrapper around the module.

    The wrapper reduces the gradients of both players in the turn of each, and looks for those that are not there;
    `average_gradients` reduces those of the player whose turn it is, once.
    """

    def configure_ddp(self) -> None:
        """Broadcast rank 0's weights: processors of another kind may round initial values differently."""
        assert self.lightning_module is not None
        for tensor in self.lightning_module.state_dict().values():
            dist.broadcast(tensor, src=0)


def launched_world_size() -> int:
    """How many processes `launch`, torchrun or srun has started as one run, this one among them; else 1."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment().world_size()
    return sum(environment.world_size() for environment in cluster() if isinstance(environment, SLURMEnvironment)) or 1


def cluster() -> list[ClusterEnvironment]:
    """What Lightning is to take for the starter of this process, where it would take SLURM.

    Without Lightning's checkpoints and requeueing at SLURM's signals: these lie in the working directory, and whatever run
    starts there next would go on from them. In a job of SLURM's that srun did not start, Lightning would wait for the others.
    Raises `SsganError` for tasks that it cannot place.
    """
    if not SLURMEnvironment.detect() or TorchElasticEnvironment.detect():
        return []
    if not by_srun():
        return [LightningEnvironment()]
    try:
        return [SLURMEnvironment(auto_requeue=False)]
    except RuntimeError as error:
        raise SsganError(f"SLURM: {first_line(error)}") from error


def by_srun() -> bool:
    """Whether srun started this process: a batch script's own process has no step."""
    return "SLURM_STEP_ID" in os.environ


def check_processes(config: DictConfig) -> None:
    """Raise `SsganError` for a number of processes that cannot share the batches, or is not the one there is."""
    wanted, started = process_count(config), launched_world_size()
    tasks = os.environ.get("SLURM_NTASKS", "1")
    if tasks != "1" and SLURMEnvironment.detect() and not (by_srun() or TorchElasticEnvironment.detect()):
        raise SsganError(
            f"SLURM_NTASKS={tasks}: this job has that many tasks, but srun did not start this one; put srun before the "
            f"command, or ask SLURM for --ntasks=1"
        )
    given = f"devices={config.devices}, num_nodes={config.num_nodes}"
    if wanted > 1 and config.trainer.strategy == "auto":
        raise SsganError(f"{given}: one process trains without trainer=ddp; add it, or use devices=1 num_nodes=1")
    if started == 1 and config.num_nodes > 1:
        raise SsganError(f"{given}: start this command with torchrun or srun, once on every machine")
    if started not in (1, wanted) and (wanted > 1 or TorchElasticEnvironment.detect()):
        raise SsganError(
            f"{given}: torchrun or SLURM started {started} processes; use trainer=ddp and as many devices x num_nodes"
        )
    if 0 < config.validation < wanted:
        raise SsganError(f"validation={config.validation}: {wanted} processes share them; use {wanted} or more, or 0")


def resolve_batch_sizes(config: DictConfig) -> list[str]:
    """Write out ``labeled_batch_size=null``, and round batches up to a multiple of the processes that share them, in place.

    Returns a line for each that was rounded.
    """
    processes, rounded = process_count(config), []
    method = config.method
    if method.labeled_batch_size is None:
        method.labeled_batch_size = method.batch_size
    for name in ("batch_size", "labeled_batch_size"):
        given = method[name]
        method[name] = -(-given // processes) * processes if processes > 1 else given
        if method[name] != given:
            rounded.append(f"method.{name}={given}: {processes} processes share a batch; trains with {method[name]}")
    return rounded


@cache
def limit_threads() -> None:
    """Give this process its part of the machine's cores, unless OMP_NUM_THREADS says how many threads it may have.

    Once, however many runs it has.
    """
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if beside > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // beside))


def launch(processes: int) -> int:
    """Run this job in so many processes on this machine, which share its folder; returns its exit code.

    Raises `Stopped` when a signal ended it, and `SsganError` when one of them was killed.
    """
    for name in ("torch.distributed.elastic.agent.server.api", "torch.distributed.elastic.multiprocessing.api"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they tell of every exit code that is not 0
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "600")  # a last checkpoint may wait for a validation
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    try:
        elastic_launch(settings, sys.executable)(*own_command())
    except SignalException as stop:
        raise Stopped(stop.sigval) from stop
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        killed = {rank: -code for rank, code in codes.items() if code < 0 and -code != signal.SIGTERM}  # that is ours
        if killed:
            raise SsganError(
                f"{', '.join(f'process {rank} was ended by signal {number}' for rank, number in killed.items())}. "
                f"If memory ran out, use smaller batches or fewer devices; the same command goes on from the last "
                f"checkpoint."
            ) from error
        return max(code if code > 0 else 1 for code in codes.values())
    return 0


def own_command() -> list[str]:
    """Arguments that run this job again; in a sweep, the job's own overrides."""
    job = HydraConfig.get()
    command = ["-m", "ssgan.fit"]  # a launcher of Hydra's may run jobs in a program of its own
    if job.mode == RunMode.RUN:
        return [*command, *sys.argv[1:]]
    folder = job.runtime.output_dir.replace("\\", "\\\\").replace("'", "\\'")
    return [*command, *job.overrides.task, f"hydra.run.dir='{folder}'", "hydra.mode=RUN"]
