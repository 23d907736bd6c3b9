"""What is written: whole, where it was named, and never over what it is made from."""

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from ssgan.command_schema import COMMANDS
from ssgan.data.csv_rows import csv_text, read_rows
from ssgan.data.datasets import npz
from ssgan.errors import SsganError
from ssgan.files import exclusive, require_writable, write_atomically


def test_a_link_stays_a_link_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    target.chmod(0o600)
    link.symlink_to(target)
    require_writable(link)
    write_atomically(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """output=/dev/null would take the device away from everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    require_writable(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomically(pipe, "seen")
    reader.join(10)
    assert read == [b"seen"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_atomically(os.devnull, b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("path", [".", "", "/"])
def test_a_folder_is_no_file(path: str) -> None:
    for write in (lambda: require_writable(path), lambda: write_atomically(path, b"")):
        with pytest.raises(SsganError, match=r"cannot be written \(it is a folder"):
            write()


def test_an_input_that_is_not_there_yet_is_one(tmp_path: Path) -> None:
    """Catches vectors in data/mnist.npz, which from then on would stand before torchvision's files of MNIST."""
    with pytest.raises(SsganError, match="is also an input file"):
        require_writable(tmp_path / "mnist.npz", tmp_path / "folder" / ".." / "mnist.npz")


def test_where_nothing_can_be_written_nothing_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ssgan.files.os.open", refused)
    with exclusive(tmp_path / ".lock"):
        pass


@pytest.mark.parametrize("cell", ["a\rb", "a\nb", 'a"b', "a,b", "\udce9"])
def test_a_table_is_read_as_it_was_written(cell: str, tmp_path: Path) -> None:
    """Python 3.11 does not quote a carriage return; file names need not be Unicode."""
    write_atomically(tmp_path / "t.csv", csv_text([("image", "label"), (cell, "x")]))
    assert read_rows("", tmp_path / "t.csv", ("image",), errors="surrogateescape")[1] == [{"image": cell, "label": "x"}]


def test_every_command_runs_as_a_module() -> None:
    """Catches one that does nothing, and says so with exit code 0."""
    package = Path(__file__).parents[1] / "ssgan"
    for command in COMMANDS:
        text = (package / f"{command.replace('-', '_')}.py").read_text()
        assert re.search(r'^if __name__ == "__main__":\n    main\(\)\n\Z', text, re.MULTILINE), command


def test_what_spreadsheets_add_to_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\npath;label\na.png;x\n;\n;\n")
    assert read_rows("", tmp_path / "t.csv", ("path",))[1] == [{"path": "a.png", "label": "x"}]


def test_a_table_is_no_array_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SsganError, match=r"t.csv: a table; use dataset=table for one of pictures.*np.savez"):
        npz("t", str(tmp_path / "t.csv"))
