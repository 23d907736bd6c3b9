"""The model card of a section's first run."""

from ssgan.errors import SsganError
from ssgan.inference.classifier_file import load_classifier
from ssgan.reporting.content import Section
from ssgan.training.model_card import card_parts


def add_card(section: Section) -> None:
    run = section.group.runs[0]
    path = run.folder / "classifier.safetensors"
    if not path.exists():
        return  # a method without classes, or a folder without its file, of which `add_predictions` tells
    try:
        section.card = card_parts(load_classifier(path).header, run.metrics | {"command": run.command})
    except SsganError as error:
        section.missing.append(f"No model card: {error}")
    except KeyError as error:
        section.missing.append(f"No model card: the run is of an older version, which recorded no {error.args[0]}.")
