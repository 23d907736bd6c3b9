"""How the C library keeps memory, for training on a CPU."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt` (malloc.h)."""


def keep_freed_memory() -> bool:
    """Let this process use freed memory again, in place of giving it back; True if the C library can.

    glibc maps large blocks anew and unmaps them when they are freed, so each activation of each step costs page faults:
    a tenth of the time of a step of the net `air`, a fifth of `small` (benchmarks/memory.py). Only glibc is known to have these
    parameters.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
