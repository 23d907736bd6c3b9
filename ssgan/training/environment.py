"""What a reader needs to run something again: command, versions, commit, machine."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "safetensors", "ssgan")


def environment() -> dict[str, Any]:
    """What a reader needs to run it again: command, versions, commit, machine."""
    return {
        "command": command_line(),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }


def command_line() -> str:
    """What a user may type to run this again; of one job of a sweep in a launcher's own program, that job alone."""
    program = Path(sys.argv[0])
    if program.stem == "ipykernel_launcher":
        return "ssgan.train(...) in a notebook"
    if program.parent.name == "ssgan":
        return shlex.join(["python", "-m", f"ssgan.{program.stem}", *sys.argv[1:]])
    if not program.stem.startswith("ssgan-") and HydraConfig.initialized():
        return shlex.join(["python", "-m", "ssgan.fit", *HydraConfig.get().overrides.task])
    return shlex.join([*(["python", sys.argv[0]] if program.suffix == ".py" else [program.stem]), *sys.argv[1:]])


def machine() -> str:
    """Processor and number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, with + if files differ from it; None outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if status.stdout.strip() else "")
