"""The tutorials' commands and scripts run as they stand, one after the other, but for fewer steps of training."""

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, shorten_baseline
from test_configs import compose

from ssgan import methods
from ssgan.data.image_data import ImageData

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
SHORT = ("method.epochs=1", "trainer.limit_train_batches=4")
BLOCK = re.compile(r"^```(bash|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> Iterator[tuple[str, str, str]]:
    """(language, content, the last `file.py` that is named before it) of the code in a tutorial."""
    text = (TUTORIALS / f"{name}.md").read_text()
    for found in BLOCK.finditer(text):
        scripts = re.findall(r"`(\w+\.py)`", text[: found.start()])
        yield found[1], found[2], scripts[-1] if scripts else ""


def commands(block: str) -> list[str]:
    """One for each line, with the lines that \\ continues, without what installs packages."""
    lines = [line.split(" && ")[-1] for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if not line.startswith("pip install")]


@pytest.mark.slow
@pytest.mark.parametrize("names", [("first_classifier", "use_it"), ("own_pictures",), ("next_labels",)], ids=" ".join)
def test_tutorials(
    names: tuple[str, ...], ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shorten_baseline(monkeypatch, 1)
    variables: dict[str, str] = {}
    listed = ""
    for name in names:
        for language, content, script in blocks(name):
            if language == "python":
                shorter = content.replace('"budget=quick"', ", ".join(f'"{setting}"' for setting in SHORT))
                Path(script).write_text(shorter)
            elif language == "text":
                assert not listed or listed == content, "what ls prints"
                listed = ""
            else:
                for line in commands(content):
                    for variable, value in variables.items():
                        line = line.replace(f"${variable}", value)  # noqa: PLW2901
                    listed = run(line, ssgan, variables)


def test_add_a_method(digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial's method is found by its file, and passes the tutorial's test."""
    method, test = (content for language, content, _ in blocks("add_a_method") if language == "python")
    (tmp_path / "pi_model.py").write_text(method)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    try:
        assert methods.find("pi_model").__name__ == "PiModel"
        written: dict[str, Any] = {}
        exec(test, written)
        written["test_one_step_equals_the_formula_written_out"](digits)
    finally:
        sys.modules.pop("ssgan.methods.pi_model", None)


def run(line: str, ssgan: Callable[..., Outcome], variables: dict[str, str]) -> str:
    """Runs a command in this process where it is ours; returns what it prints if it lists files."""
    words = shlex.split(line)
    if assigned := re.fullmatch(r"([A-Z]+)=(.*)", line):
        variables[assigned[1]] = assigned[2]
    elif words[:2] == ["python", "-m"]:
        name = words[2].removeprefix("ssgan.")
        if name == "demo":  # serves until it is stopped: tests/test_demo.py
            compose(*words[3:], name="demo")
        elif name != "export" or find_spec("onnxscript"):
            outcome = ssgan(name, *words[3:], *(SHORT if name == "fit" else ()))
            assert outcome.code == 0, f"{line}\n{outcome.err}"
    elif words[0] == "python":
        if words[1] == "without_ssgan.py" and not find_spec("onnxscript"):
            return ""
        runpy.run_path(words[1], run_name="__main__")
    else:
        output = subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout
        return output if words[0] == "ls" else ""
    return ""
