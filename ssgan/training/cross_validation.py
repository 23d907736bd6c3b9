"""The temperature of a classifier by cross-validation, where there are no validation images.

Of MixMatch with 4,000 labels of CIFAR-10, a quarter of the epochs without an eighth of the labels takes the calibration error from
0.166 to 0.011; the best temperature for the test images has 0.007 (benchmarks/README.md).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ssgan.data.file_predictions import predict_files
from ssgan.data.image_data import ImageData
from ssgan.evaluation.calibration import evaluate_scaled, fit_temperature, with_temperature
from ssgan.inference.classifier_file import header_of, load_classifier, save_classifier
from ssgan.training.model_card import write_model_card
from ssgan.training.run_dir import RunFolder


def calibrate(folder: RunFolder, folds: Sequence[RunFolder], images: ImageData) -> dict[str, Any]:
    """Give the classifier of a finished run the temperature that fits its ``folds``; returns its new metrics.

    Each fold trains without one part of the labels and predicts that part; together they predict every labeled image.
    Its error on the test images stays; their probabilities are scaled as the file will scale them.
    """
    metrics = folder.finished()
    assert metrics is not None
    path = folder / "classifier.safetensors"
    classifier = load_classifier(path)
    before = classifier.temperature
    record = {key: value for key, value in classifier.header.items() if key not in header_of(classifier.network, ())}
    log_p, targets = zip(*(left_out(fold, images) for fold in folds), strict=True)
    temperature = fit_temperature(torch.cat(log_p), torch.cat(targets))
    record["temperature"] = round(temperature, 4)
    if len(images.test_images):
        plain = with_temperature(classifier.predict_log_proba(images.test_images), 1 / before)
        asked = {"images": sum(map(len, targets)), "folds": len(folds)}
        test = evaluate_scaled(plain, images.test_targets, record["temperature"], **asked)
        record["test"] |= test
        metrics |= {key: test[key] for key in ("ece", "nll", "aurc", "selective", "calibration")}
    save_classifier(path, classifier.network, classifier.class_names, **record)
    calibrated = load_classifier(path)
    write_model_card(folder / "classifier.md", calibrated.header, metrics)
    if images.origin.to_predict:
        predict_files(calibrated, images.origin.to_predict, folder / "predictions.csv")
    folder.finish(metrics)
    return metrics


def left_out(fold: RunFolder, images: ImageData) -> tuple[Tensor, Tensor]:
    """What a fold's classifier, without its temperature, says of the images that were left out: log p (N, K), and their targets."""
    split = fold.split(images.digest)
    assert split is not None
    classifier = load_classifier(fold / "classifier.safetensors")
    places = list(split.validation)
    log_p = classifier.predict_log_proba(images.train_images[places])
    return with_temperature(log_p, 1 / classifier.temperature), images.train_targets[places]
