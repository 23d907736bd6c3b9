"""python -m ssgan.predict: classes of a folder of pictures, as a CSV file."""

from omegaconf import DictConfig

from ssgan import cli
from ssgan.data.file_predictions import predict_files
from ssgan.data.images import find_pictures
from ssgan.errors import print_error
from ssgan.files import require_writable
from ssgan.inference.classifier_file import load_named
from ssgan.inference.embedding import taking_images


def predict(config: DictConfig) -> int:
    """Write path, class and probability of every picture; a broken one is named, skipped and counted (exit code 1)."""
    classifier = taking_images(load_named(config.classifier, config.views))
    paths = find_pictures(config.images)
    require_writable(config.output)
    broken = predict_files(classifier, paths, config.output)
    if broken:
        print_error(f"{broken} of {len(paths)} pictures could not be read and were skipped")
    return 1 if broken else 0


def main() -> None:
    cli.run("predict", predict)


if __name__ == "__main__":
    main()
