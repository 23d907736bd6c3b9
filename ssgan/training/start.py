"""The weights that a run starts from, if not its own."""

from collections.abc import Sequence

from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier
from ssgan.nets.base import ImageClassifier


def trained(path: str, classifier: ImageClassifier, class_names: Sequence[str]) -> ImageClassifier:
    """The network in the classifier file ``path``; raises `SsganError` if it is not like ``classifier`` or knows other classes."""
    start = load_classifier(path, "start_from")
    if start.class_names != tuple(class_names):
        raise SsganError(
            f"start_from={path}: a classifier of {', '.join(start.class_names)}, and the data set has "
            f"{', '.join(class_names)}; leave it out, or use the data that it was trained on"
        )
    shapes, wanted = ({k: v.shape for k, v in net.state_dict().items()} for net in (start.network, classifier))
    if type(start.network) is not type(classifier) or shapes != wanted:
        raise SsganError(
            f"start_from={path}: a {described(start.network)}, and this run trains a {described(classifier)}; use its "
            f"net/classifier= and keys of it"
        )
    return start.network


def described(network: ImageClassifier) -> str:
    return f"{type(network).__name__}({', '.join(f'{name}={value}' for name, value in network.arguments.items())})"
