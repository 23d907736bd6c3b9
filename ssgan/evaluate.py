"""python -m ssgan.evaluate: the error of a classifier file, or of an ensemble, on a data set's test images, as JSON."""

import json

from omegaconf import DictConfig

from ssgan import cli
from ssgan.data.registry import load_dataset, require_same_reading
from ssgan.errors import SsganError
from ssgan.evaluation.classification import evaluate
from ssgan.inference.classifier_file import load_named
from ssgan.inference.devices import find_device


def evaluate_files(config: DictConfig) -> int:
    device = find_device(config.device)
    classifier = load_named(config.classifier, config.views).to(device)
    data = load_dataset(config.dataset)
    if (classifier.image_shape, len(classifier.class_names)) != (data.image_shape, len(data.class_names)):
        raise SsganError(
            f"dataset={data.name}: {len(data.class_names)} classes of {data.image_shape} images, but {config.classifier} "
            f"was trained on {len(classifier.class_names)} classes of {classifier.image_shape}; name its own data set"
            f" ({classifier.header.get('dataset')})"
        )
    if classifier.class_names != data.class_names:
        raise SsganError(
            f"dataset={data.name}: has the classes {', '.join(data.class_names)}, but {config.classifier} knows "
            f"{', '.join(classifier.class_names)}, in this order; name its own data set ({classifier.header.get('dataset')})"
        )
    require_same_reading(data, classifier)
    if not len(data.test_images):
        raise SsganError(f"dataset={data.name}: has no test images")
    measured = evaluate(classifier.predict_log_proba(data.test_images), data.test_targets)
    print(json.dumps(measured | {"classifiers": len(classifier.members), "views": config.views}))
    return 0


def main() -> None:
    cli.run("evaluate", evaluate_files)


if __name__ == "__main__":
    main()
