"""Precision names, and the default for this hardware."""

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig

PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Lightning's names, and the type of the products in each."""
AUTO = "auto"


def has_bfloat16(accelerator: str) -> bool:
    """Whether what ``trainer.accelerator`` chooses on this machine has instructions for bfloat16.

    Of CPUs those with AVX512-BF16 do, all with AMX among them. ARM's CPUs and Apple's GPUs were not tried, and count as
    without.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def resolve_precision(config: DictConfig, previous_config: Mapping[str, Any]) -> None:
    """Replace ``method.precision=auto``, in place.

    By that of ``previous_config``, {dotted key: value} of the run's earlier start, here or on another machine; of a new run
    by the one that this machine is faster in.
    """
    faster = "bf16-mixed" if has_bfloat16(config.trainer.accelerator) else "32-true"
    if config.method.precision == AUTO:
        config.method.precision = previous_config.get("method.precision", faster)


def emulated(config: DictConfig) -> bool:
    """Whether the run trains in bfloat16 on a machine without instructions for it."""
    return bool(config.method.precision == "bf16-mixed") and not has_bfloat16(config.trainer.accelerator)
