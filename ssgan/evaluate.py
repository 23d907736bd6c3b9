"""python -m ssgan.evaluate: the error of a classifier file, or of an ensemble, on a data set's test images, as JSON."""

import json

from omegaconf import DictConfig

from ssgan import cli
from ssgan.data.registry import load_dataset, require_known
from ssgan.errors import SsganError
from ssgan.evaluation.classification import evaluate
from ssgan.inference.classifier_file import load_named
from ssgan.inference.devices import find_device


def evaluate_files(config: DictConfig) -> int:
    device = find_device(config.device)
    classifier = load_named(config.classifier, config.views).to(device)
    data = load_dataset(config.dataset)
    require_known(data, classifier, f"classifier={config.classifier}")
    if not len(data.test_images):
        raise SsganError(f"dataset={data.name}: has no test images")
    measured = evaluate(classifier.predict_log_proba(data.test_images), data.test_targets)
    print(json.dumps(measured | {"classifiers": len(classifier.members), "views": config.views}))
    return 0


def main() -> None:
    cli.run("evaluate", evaluate_files)


if __name__ == "__main__":
    main()
