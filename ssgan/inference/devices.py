"""Where a command computes."""

import torch

from ssgan.errors import SsganError, first_line

KINDS = "cpu", "cuda", "mps", "xpu"


def find_device(name: str) -> torch.device:
    """That of a command's ``device=``; auto is the first CUDA device, or else the CPU. Raises `SsganError` for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in KINDS:
            raise ValueError("it computes nothing")
        torch.zeros(1, device=device)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise SsganError(f"device={name}: not available ({first_line(error)}); use auto or cpu") from error
    return device
