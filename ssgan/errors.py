"""Errors caused by user input."""

import lzma
import pickle
import struct
import sys
import tokenize
import zipfile
import zlib

DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    SyntaxError,
    OverflowError,
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    pickle.UnpicklingError,
    tokenize.TokenError,
)
"""What torch, NumPy, Pillow and zipfile raise for a file that is truncated, damaged or another kind of file."""


class SsganError(ValueError):
    """A mistake in what was asked for: the message names the key, the value and the remedy.

    Commands print it and exit with 1, without a traceback.
    """


def print_error(message: str) -> None:
    print(f"error: {message}", file=sys.stderr, flush=True)


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


def first_line(error: BaseException) -> str:
    """The first line of what ``error`` says, or its type if it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
