"""python benchmarks/latency.py: how long classifiers take for one image and for 1,000, as they are and exported.

Each network that a preset trains, with its initial weights: time does not depend on them. `torch` is what `ssgan.load_classifier` gives,
the others are what `ssgan.export` writes, with one thread and with two. Prints the median of `TIMES` calls and writes
benchmarks/results/latency.json and benchmarks/latency.md. Needs the packages of the extras `export` and `pretrained`, and an idle machine.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime
import torch
from hydra.utils import instantiate
from torch import Tensor

from ssgan.configuration import compose
from ssgan.inference.classifier import Classifier
from ssgan.inference.classifier_file import header_of
from ssgan.inference.graphs import export_graph, random_inputs
from ssgan.training.environment import environment

HERE = Path(__file__).parent
NETWORKS: dict[str, tuple[list[str], tuple[int, int, int]]] = {
    "digits, small": (["dataset=digits"], (1, 8, 8)),
    "MNIST, fully connected": (["dataset=mnist", "method=improved_gan"], (1, 28, 28)),
    "MNIST, small": (["dataset=mnist", "method=fixmatch"], (1, 28, 28)),
    "SVHN, lean": (["dataset=svhn", "method=improved_gan"], (3, 32, 32)),
    "CIFAR-10, lean": (["dataset=cifar10", "method=improved_gan"], (3, 32, 32)),
    "CIFAR-10, air": (["dataset=cifar10", "method=mixmatch"], (3, 32, 32)),
    "EfficientNet-Lite0, 112 pixels": (
        [
            "dataset=cifar10",
            "net/classifier=pretrained",
            "net.classifier.name=efficientnet_lite0",
            "net.classifier.size=112",
        ],
        (3, 32, 32),
    ),
    "vectors of 1,280": (["dataset=vectors", "dataset.path=x"], (1280, 1, 1)),
}
COUNTS, THREADS, TIMES = (1, 1000), (1, 2), 15
FORMATS = {"onnx": "graph.onnx", "torchscript": "graph.pt"}


def milliseconds(call: Callable[[], Any]) -> float:
    """Median of `TIMES` calls after two that do not count."""
    seconds = []
    for number in range(TIMES + 2):
        start = time.perf_counter()
        call()
        if number >= 2:
            seconds.append(time.perf_counter() - start)
    return 1000 * median(seconds)


def answers_of(kind: str, path: Path, threads: int) -> Callable[[Tensor], Any]:
    if kind == "torchscript":
        module = torch.jit.load(str(path))
        return module
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images.numpy()})


@torch.inference_mode()
def measure(keys: list[str], shape: tuple[int, int, int]) -> dict[str, float]:
    config, _ = compose(keys)
    network = instantiate(config.net.classifier, shape, 10).eval()
    classifier = Classifier(network, header_of(network, [str(k) for k in range(10)]))
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder, name) for kind, name in FORMATS.items()}
        for kind, path in paths.items():
            out[f"{kind}: greatest difference"] = export_graph(classifier, kind, path)
        for threads in THREADS:
            torch.set_num_threads(threads)
            for count in COUNTS:
                images = random_inputs(classifier, count)
                calls = {"torch": classifier.predict_proba}
                calls |= {kind: answers_of(kind, path, threads) for kind, path in paths.items()}
                for kind, call in calls.items():
                    out[f"{kind}, {count}, {threads}"] = round(milliseconds(lambda c=call, x=images: c(x)), 3)
    return out


def table(result: dict[str, dict[str, float]]) -> str:
    kinds = ["torch", *FORMATS]
    columns = [(kind, count, threads) for count in COUNTS for threads in THREADS for kind in kinds]
    lines = [
        "Milliseconds for 1 and for 1,000 images, with 1 and 2 threads: median of "
        f"{TIMES} calls. `python benchmarks/latency.py`; machine: results/latency.json.\n",
        "| |"
        + "".join(f" {count:,}, {threads} thread{'s' * (threads > 1)}, {kind} |" for kind, count, threads in columns),
        "|---|" + "---:|" * len(columns),
    ]
    for name, row in result.items():
        lines.append(f"| {name} |" + "".join(f" {row[f'{k}, {c}, {t}']:.3g} |" for k, c, t in columns))
    return "\n".join(lines) + "\n"


def main() -> None:
    result = {}
    for name, (keys, shape) in NETWORKS.items():
        result[name] = measure(keys, shape)
        print(name, result[name], flush=True)
    content = {"milliseconds": result, "environment": environment()}
    (HERE / "results" / "latency.json").write_text(json.dumps(content, indent=2) + "\n")
    (HERE / "latency.md").write_text(table(result))


if __name__ == "__main__":
    main()
