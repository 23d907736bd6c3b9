"""Classifier files: safetensors with a JSON header; and the generator of a training checkpoint. Reading executes nothing.

The header (one JSON object under the safetensors metadata key ``ssgan``) has: ``format``, ``package_version``,
``network`` ({``class``, ``arguments``}), ``class_names``, ``image_shape`` (C, H, W), ``pixel_range``, what the writer
adds (data set, method, split digest, errors), and ``sha256`` of all that and of the tensors.
"""

import glob
import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import ssgan.nets
from ssgan.errors import DAMAGED, SsganError, first_line
from ssgan.files import write_atomically
from ssgan.inference.classifier import Classifier, Predictor
from ssgan.inference.ensemble import Ensemble
from ssgan.inference.views import AveragedViews
from ssgan.nets.base import ImageClassifier, ImageGenerator
from ssgan.version import __version__

FORMAT = 2
"""1 had no check sum; it is still read."""
Network = TypeVar("Network", ImageClassifier, ImageGenerator)


def save_classifier(path: str | Path, network: ImageClassifier, class_names: Sequence[str], **record: Any) -> None:
    """Write ``network``, a classifier of `ssgan.nets`, as a classifier file; ``record`` goes into the header.

    Raises `SsganError` for what JSON cannot hold, for class names of another number than the network's classes, and for a ``record``
    that would say something else of the network.
    """
    names = [str(name) for name in class_names]
    if len(names) != network.arguments["classes"]:
        raise SsganError(f"{path}: {len(names)} class names for {network.arguments['classes']} classes")
    own = header_of(network, names)
    if taken := sorted(own.keys() & record.keys()):
        raise SsganError(f"{path}: {', '.join(taken)} of its header is what the network says; leave it out")
    try:
        header = json.loads(json.dumps(own | record))  # as it is read again: keys are words
    except TypeError as error:
        raise SsganError(
            f"{path}: its header takes what JSON has ({error}); use numbers and lists of Python"
        ) from error
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    header["sha256"] = digest(header, tensors)
    write_atomically(path, save(tensors, metadata={"ssgan": json.dumps(header)}))


def header_of(network: ImageClassifier, class_names: Sequence[str]) -> dict[str, Any]:
    """What every classifier file says of its network."""
    return {
        "format": FORMAT,
        "package_version": __version__,
        "network": to_spec(network),
        "class_names": list(class_names),
        "image_shape": network.arguments["image_shape"],
        "pixel_range": list(network.pixel_range),
    }


@overload
def load_classifier(path: str | Path, key: str = ...) -> Classifier: ...  # type: ignore[overload-overlap]  # a str is a sequence


@overload
def load_classifier(path: Sequence[str | Path], key: str = ...) -> Ensemble: ...


def load_classifier(path: str | Path | Sequence[str | Path], key: str = "classifier") -> Classifier | Ensemble:
    """The classifier in a file that `save_classifier` wrote, on the CPU; of several files, the `Ensemble` of theirs.

    Raises `SsganError` for a file that is missing, truncated, of another version, or not one of ours, and for files
    whose classifiers do not take the same images or know the same classes; it calls the file ``key``.
    """
    if not isinstance(path, str | Path):
        return Ensemble([load_classifier(one, key) for one in path])
    if not Path(path).is_file():
        raise SsganError(f"{key}={path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies: the file may be replaced then, where a mapped one could not be (Windows).
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SsganError(f"{key}={path}: not a whole safetensors file ({error}). Copy or export it again.") from error
    if "ssgan" not in metadata:
        raise SsganError(f"{key}={path}: a safetensors file, but not a classifier of ssgan")
    try:
        header = json.loads(metadata["ssgan"])
        version = header["format"]
        if version in (1, FORMAT):
            if version == FORMAT and header.pop("sha256") != digest(header, tensors):
                raise ValueError("the checksum does not match")
            return Classifier(from_spec(header["network"], tensors, ImageClassifier), header)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError, RecursionError) as error:
        raise SsganError(
            f"{key}={path}: its header does not describe its tensors ({error}). Export it again."
        ) from error
    raise SsganError(
        f"{key}={path}: format {version!r}, written by ssgan {header.get('package_version')}; this version reads "
        f"up to format {FORMAT}. Install the version that wrote it, or export it again."
    )


def digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """The check sum of a classifier file: without it, a flipped bit in a weight goes unseen."""
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        sha.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def load_named(pattern: str, views: bool = False) -> Predictor:
    """What a command's ``classifier=`` names: one file, or all files that a pattern with ``*`` or ``**`` matches.

    With ``views`` it answers for `AveragedViews`.
    """
    if views:
        return AveragedViews(load_named(pattern))
    files = named_files(pattern)
    return load_classifier(pattern if files == [pattern] else files)


def named_files(pattern: str) -> list[str]:
    """The file of this name, whether it is there or not, or those that ``pattern`` matches but for those of folds; raises
    `SsganError` if it matches none.
    """
    if Path(pattern).exists() or not glob.has_magic(pattern):
        return [pattern]
    files = sorted(file for file in glob.glob(pattern, recursive=True) if not is_fold(Path(file).parent))
    if not files:
        raise SsganError(f"classifier={pattern}: matches no file")
    return files


def is_fold(folder: Path) -> bool:
    """It holds a training without some of the labels, for the temperature of the run in the folder above."""
    return folder.name.startswith("fold") and (folder.parent / "config.yaml").is_file()


def load_generator(path: str | Path) -> ImageGenerator:
    """The averaged generator of a ``last.ckpt``, read without unpickling objects; raises `SsganError` if it has none."""
    if not Path(path).is_file():
        raise SsganError(f"checkpoint={path}: no such file")
    try:
        checkpoint = read_checkpoint(path)
        outdated = why_outdated(checkpoint)
        if "run" in checkpoint and "generator" not in checkpoint:
            raise SsganError(f"checkpoint={path}: holds no generator; its method trains none")
        if outdated is None:
            prefix = "ema_generator.module."
            weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
            return from_spec(checkpoint["generator"], weights, ImageGenerator)
    except DAMAGED as error:
        raise SsganError(
            f"checkpoint={path}: not a whole checkpoint with a generator ({first_line(error)}). Name the last.ckpt of a run."
        ) from error
    raise SsganError(f"checkpoint={path}: {outdated}; train it again")


def why_outdated(checkpoint: dict[str, Any]) -> str | None:
    """Why this version cannot use the generator of a checkpoint that another one wrote; None if it can."""
    described = checkpoint.get("generator", {})
    convolutional = described.get("class") in ("ConvGenerator", "DCGANGenerator")
    if convolutional and "generator.layers.2.bias" in checkpoint["state_dict"]:  # that of a norm after the reshape
        return "its generator's first norm is per channel, as an earlier version had it, and now is per unit"
    if any(name.startswith("averaged_generator.") for name in checkpoint["state_dict"]):
        return "version 0.1 wrote it, which named its weights otherwise"
    return None


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """What torch.save wrote to ``path``, a dict, on the CPU; raises one of `DAMAGED` for anything else.

    Nothing is unpickled but plain values and tensors. torch.load looks at no check sum, and would unpack what torch.save
    never packs: a small file can hold zeros for any amount of memory.
    """
    with zipfile.ZipFile(path) as file:
        packed = [entry.filename for entry in file.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"compressed: {packed[0]}")
        damaged = file.testzip()
        if damaged:
            raise ValueError(f"damaged: {damaged}")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise TypeError("not a checkpoint")
    return content


def to_spec(network: ImageClassifier | ImageGenerator) -> dict[str, Any]:
    """Class and arguments of ``network``, in plain values: what `from_spec` needs besides the weights."""
    return {"class": type(network).__name__, "arguments": network.arguments}


def from_spec(described: dict[str, Any], tensors: dict[str, Tensor], kind: type[Network]) -> Network:
    """The network that a file describes, frozen, around the file's own tensors, if it is one of ours of that ``kind``.

    On the meta device nothing is allocated: sizes that the file's tensors do not have are refused at no cost.
    """
    name = described["class"]
    if name not in ssgan.nets.__all__ or not issubclass(getattr(ssgan.nets, name), kind):
        raise ValueError(f"{name!r} is no {kind.__name__.removeprefix('Image').lower()} of ssgan.nets")
    with torch.device("meta"):
        built: Network = getattr(ssgan.nets, name)(**described["arguments"])
    built.load_state_dict(tensors, strict=True, assign=True)
    return built.requires_grad_(False).eval()
