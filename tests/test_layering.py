"""Inference needs torch, numpy and safetensors alone, and imports quickly (who may import whom: import-linter, pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

import pytest


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
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
import numpy as np, torch, ssgan, ssgan.losses, ssgan.data.splits, ssgan.nets.ema
from ssgan.inference.classifier_file import save_classifier
network = ssgan.nets.MLPClassifier((1, 8, 8), 10, [16], input_noise=0.1, hidden_noise=0.1, init_std=0.1)
save_classifier({str(tmp_path / "c")!r}, network, list("0123456789"))
assert ssgan.load_classifier({str(tmp_path / "c")!r}).predict(np.zeros((2, 8, 8), np.uint8)).shape == (2,)
""")


@pytest.mark.slow
def test_import_is_quick() -> None:
    """`import ssgan` adds at most 0.3 s to `import torch`: the fastest of 3, against a busy machine."""
    code = "import time, torch; t = time.process_time(); import ssgan; print(time.process_time() - t)"
    assert min(float(run_python(code)) for _ in range(3)) < 0.3
