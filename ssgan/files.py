"""Atomic file writes, and file locks."""

import errno
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssgan.errors import SsganError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]


NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks answers."""


def lock(path: Path, wait: bool) -> int:
    """Lock the empty file ``path``, until the number that is returned is closed or this process ends.

    ``wait`` for another process that holds it, or raise BlockingIOError. Where the file system has no locks, nothing is
    locked.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if fcntl is not None:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(held)
        raise
    except OSError as error:
        if error.errno not in NO_LOCKS:
            os.close(held)
            raise
    return held


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Inside, no other process is; the empty file ``path`` stays. In a folder that is not there or cannot be written nothing is
    locked.
    """
    try:
        held = lock(path, wait=True)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR):
            raise
        held = None
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """``path`` holds either what it held before or all of ``content``. Raises `SsganError` if it cannot be written.

    Text is written as UTF-8; what file names have in it that is none, as the bytes that they are. Through a link the file
    that it names is written, which keeps its mode; a pipe or a device is written to.
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode(errors="surrogateescape")
    try:
        if path.is_dir() or not path.name:
            raise IsADirectoryError(0, "it is a folder")
        if is_stream(path):
            path.write_bytes(content)
            return
        path = Path(os.path.realpath(path))
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                if path.exists():
                    partial.chmod(stat.S_IMODE(path.stat().st_mode))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SsganError(f"{path} cannot be written ({error.strerror}). Name a file in a folder that can.") from error


def write_json(path: str | Path, content: Any, indent: int | None = 2) -> None:
    """``content`` as JSON, whole or not at all; raises `SsganError` if it cannot be written."""
    write_atomically(path, json.dumps(content, indent=indent) + "\n")


def is_stream(path: Path) -> bool:
    """It is there, and neither a folder nor a file that another could take the place of: a pipe, a terminal, /dev/null."""
    return path.exists() and not path.is_dir() and not path.is_file()


def write_figure(path: str | Path, figure: "Figure") -> None:
    """``figure`` as a PNG file, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomically(path, buffer.getvalue())


def require_writable(path: str | Path, *read: str | Path) -> None:
    """Raise `SsganError` now if `write_atomically` could not write ``path`` later, or if it is one of the files that are ``read``.

    What it holds stays as it is.
    """
    path = Path(path)
    for other in read:
        same_file = path.is_file() and os.path.exists(other) and path.samefile(other)
        if same_file or os.path.realpath(path) == os.path.realpath(other):
            raise SsganError(f"output={path}: is also an input file ({other}); name another file")
    if path.is_dir() or not path.name:
        write_atomically(path, b"")
    if is_stream(path):
        return
    path = Path(os.path.realpath(path))
    probe = path.with_name(f".{path.name}.{os.getpid()}.probe")
    try:
        write_atomically(probe, b"")
    except SsganError as error:
        raise SsganError(str(error).replace(str(probe), str(path))) from error
    probe.unlink()
