"""Every command and every number of the README is real, and so are those of the guides in docs/."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from conftest import Outcome
from test_configs import compose

from ssgan import methods
from ssgan.methods.terms import Terms
from ssgan.reporting.content import row
from ssgan.reporting.markdown import fill_readme, results_table
from ssgan.reporting.results_file import read_results
from ssgan.training.launch import check_processes

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
GUIDES = {path.stem: path.read_text() for path in (ROOT / "docs").glob("*.md")}
CODE = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = "\n".join(re.findall(r"^    .+$", README, re.MULTILINE))
LINES = "\n".join([INDENTED, *(code for guide in GUIDES.values() for code in CODE.findall(guide))])
COMMANDS = sorted(set(re.findall(r"^ *(?:.*&& )?(?:python )?-m ssgan\.(.+)$", LINES, re.MULTILINE)))

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*@*.json"))


def test_there_are_commands() -> None:
    assert {command.split()[0] for command in COMMANDS} == {
        "demo",
        "fit",
        "inspect",
        "embed",
        "evaluate",
        "predict",
        "export",
        "sample",
        "score",
        "suggest",
        "turing",
        "divergences",
        "report",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_compose(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *arguments = shlex.split(command, comments=True)
    overrides = [re.split(r",(?![^{]*})", argument)[0] for argument in arguments if "=" in argument]
    assert set(arguments) - {"-m", "--cfg", "job"} <= {argument for argument in arguments if "=" in argument}
    for launcher in re.findall("hydra/launcher=([a-z]+)", command):
        pytest.importorskip(f"hydra_plugins.hydra_{launcher}_launcher", reason=f"needs the launcher {launcher}")
    config = compose(*overrides, name="config" if name == "fit" else name)
    if name == "fit":
        if config.num_nodes > 1:  # as torchrun says it
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
            monkeypatch.setenv("WORLD_SIZE", str(config.devices * config.num_nodes))
            monkeypatch.setenv("RANK", "0")
            monkeypatch.setenv("LOCAL_RANK", "0")
        check_processes(config)


@pytest.mark.slow
def test_every_technique_of_the_table_is_an_override() -> None:
    techniques = re.findall(r"^(\| .+) \| `(ssgan/[^`]+)` \|$", GUIDES["methods"], re.MULTILINE)
    assert len(techniques) >= 8 + len(methods.names()) - 3
    for technique, file in techniques:
        assert (ROOT / file).is_file()
        for code in re.findall(r"`([^`]+=[^`]+)`", technique):
            method = [] if "method=" in code else ["method=improved_gan"]
            compose("dataset=mnist", *method, *code.split(), name="config")


def test_every_method_and_term_is_told() -> None:
    for name in (*methods.names(), *(field.name for field in fields(Terms))):
        assert f"`{name}`" in GUIDES["methods"] or f"method={name}" in GUIDES["methods"], name


def test_the_first_command_and_the_python_lines_run(
    ssgan: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = ssgan("fit", "method.epochs=1", "trainer.limit_train_batches=2")
    assert outcome.code == 0, outcome.err
    code = re.search(r"^    from ssgan import.+?\n\n(?!    )", README, re.MULTILINE | re.DOTALL)
    assert code
    names = {"images": torch.zeros(3, 8, 8, dtype=torch.uint8)}
    exec(re.sub(r"^    ", "", code[0], flags=re.MULTILINE), names)
    assert names["classes"].shape == (3,)
    assert names["probabilities"].shape == (3, 10)


def test_the_two_commands_stand_in_it() -> None:
    assert "    pip install -e . && python -m ssgan.fit\n" in README
    assert "    pip install -e '.[test]' && python -m pytest\n" in README


def test_the_results_table_is_the_one_of_the_results() -> None:
    rows = [row(results) for results in read_results(ROOT / "benchmarks" / "results")]
    assert fill_readme(README, results_table(rows)) == README
    assert len(rows) == len(RESULTS) >= 4


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_consistent(path: Path) -> None:
    result = json.loads(path.read_text())
    errors = torch.tensor([run["test_error"] for run in result["runs"]], dtype=torch.float64)
    assert result["n"] == len(errors)
    assert result["mean"] == pytest.approx(errors.mean().item(), abs=1e-6)
    if len(errors) > 1:
        assert result["sd"] == pytest.approx(errors.std().item(), abs=1e-6)
    assert path.stem == f"{result['condition']}_{result['recipe']}"


@pytest.mark.parametrize("document", ["README.md", "benchmarks/README.md", *(f"docs/{name}.md" for name in GUIDES)])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / link).exists() or link == "reference/keys.md", link  # which building the pages writes
