"""Which files are pictures, and what else lies beside them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

from ssgan.data.images import formats
from ssgan.errors import SsganError

JUNK_FOLDERS = (
    "__macosx",
    "@eadir",
    "__pycache__",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
)
JUNK_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini")
"""What systems leave in folders of pictures, in lower case, beside names that start with a dot."""

OWN = "decoded pictures of ssgan's own"
"""Why its own files are skipped, which nobody wants to hear of."""


@cache
def suffixes() -> tuple[str, ...]:
    """Those of files that are pictures, in lower case: what Pillow decodes, and .npy."""
    known = Image.registered_extensions()
    return (".npy", *sorted(end for end, kind in known.items() if kind in formats()))


@dataclass
class Found:
    """The pictures below a folder, in order of name, and how many other files there are by suffix or reason."""

    pictures: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def find_pictures(images: str) -> list[Path]:
    """The picture files of a folder and its sub-folders in order of name, or the one file that ``images`` names."""
    root = Path(images)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise SsganError(f"images={images}: no such file or folder")
    found = pictures_in(root)
    if not found.pictures:
        raise SsganError(f"images={images}: holds no picture ({listed_suffixes()}){and_skipped(found.skipped)}")
    return found.pictures


def listed_suffixes() -> str:
    return ".png, .jpg, .webp, .npy and others"


def and_skipped(skipped: Mapping[str, int]) -> str:
    """What else is there, for a message about pictures that are not."""
    listed = ", ".join(f"{count} {what}" for what, count in Counter(skipped).most_common(5))
    return f"; skipped in all: {listed}" if skipped else ""


def pictures_in(root: Path, reason: str | None = None) -> Found:
    """The picture files under ``root``, through links too, and what else is there; all is skipped if there is a ``reason``."""
    found = Found()
    for path, why in _walk(root, (), reason):
        if why is None:
            found.pictures.append(path)
        else:
            found.skipped[why] += 1
    found.pictures.sort()
    return found


def _walk(folder: Path, above: tuple[Path, ...], reason: str | None) -> Iterator[tuple[Path, str | None]]:
    """All files below ``folder``, each with why it is skipped; a link to a folder ``above`` is not followed."""
    real = folder.resolve()
    if real in above:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _walk(path, (*above, real), reason or junk(path))
        elif path.is_file():
            yield path, reason or skipped_file(path)
        else:
            yield path, "broken link"


def skipped_file(path: Path) -> str | None:
    """Why a file is skipped: the junk that it is, or its suffix; None for a picture."""
    suffix = path.suffix.lower()
    return junk(path) or (None if suffix in suffixes() else suffix or "no suffix")


def junk(path: Path) -> str | None:
    """The name of a file or folder that a program left there, and no person; None for any other one."""
    name = path.name.lower()
    if name.startswith("._"):
        return "._*"
    if name.startswith(".ssgan"):
        return OWN
    return path.name if name.startswith(".") or name in (JUNK_FOLDERS if path.is_dir() else JUNK_FILES) else None
