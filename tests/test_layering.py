"""Imports run upward only, and the lower levels need no more than they should."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ssgan

PACKAGE = Path(ssgan.__file__).parent
LEVELS = [
    {
        "errors",
        "seeds",
        "pixels",
        "files",
        "losses",
        "splits",
        "nets",
        "checkpoint",
        "classifier",
        "distributed",
        "divergences",
        "sampling",
        "judges",
        "ssgan",
    },
    {
        "metrics",
        "generation_metrics",
        "data.augmentation",
        "data.datasets",
        "data.folder",
        "data.npz",
        "data.pictures",
        "data",
        "curves",
    },
    {"data.datamodule", "methods", "callbacks"},
    {
        "config",
        "command",
        "run_folder",
        "reporting",
        "assembly",
        "precision",
        "dry_run",
        "launch",
    },
    {"fit", "evaluate", "predict", "sample", "score", "ablation", "report", "turing", "divergence_figure"},
]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "ssgan"


def level(module: str) -> int:
    for number, names in enumerate(LEVELS):
        if module in names or module.partition(".")[0] in names - {"data"}:
            return number
    raise AssertionError(f"{module} has no level: give it one in this test")


def imports(path: Path) -> set[str]:
    """What a module imports, but for its ``main``: one may hand over to a command that bears the module's name."""
    found = set()
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "main")]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "ssgan":
            base = node.module.removeprefix("ssgan").lstrip(".")
            for alias in node.names:
                candidate = f"{base}.{alias.name}".lstrip(".")
                is_module = (PACKAGE / candidate.replace(".", "/")).with_suffix(".py").exists()
                found.add(candidate if is_module else base or "ssgan")
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("ssgan.") for a in node.names if a.name.startswith("ssgan.")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_name)
def test_imports_run_upward(path: Path) -> None:
    own = level(module_name(path))
    for imported in imports(path):
        assert level(imported) <= own, f"{module_name(path)} (level {own}) imports {imported}"
        assert level(imported) < 4, f"nothing imports a command, but {module_name(path)} imports {imported}"


def test_config_imports_no_other_file() -> None:
    assert not imports(PACKAGE / "config.py")


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_classifier_file_needs_torch_and_safetensors_alone(tmp_path: Path) -> None:
    """Level 0 imports, and load_classifier works, with everything else blocked."""
    blocked = [
        "pytorch_lightning",
        "lightning",
        "hydra",
        "omegaconf",
        "torchvision",
        "torchmetrics",
        "sklearn",
        "rich",
        "matplotlib",
    ]
    run_python(f"""
import sys
for name in {blocked}:
    sys.modules[name] = None
import numpy as np, torch, ssgan, ssgan.losses, ssgan.splits, ssgan.nets.averaging
from ssgan.checkpoint import save_classifier
network = ssgan.nets.MLPClassifier((1, 8, 8), 10, [16], input_noise=0.1, hidden_noise=0.1, init_std=0.1)
save_classifier({str(tmp_path / "c")!r}, network, list("0123456789"))
assert ssgan.load_classifier({str(tmp_path / "c")!r}).predict(np.zeros((2, 8, 8), np.uint8)).shape == (2,)
""")


def test_import_is_quick() -> None:
    """`import ssgan` adds at most 0.3 s to `import torch`: the fastest of 3, against a busy machine."""
    code = "import time, torch; t = time.perf_counter(); import ssgan; print(time.perf_counter() - t)"
    assert min(float(run_python(code)) for _ in range(3)) < 0.3
