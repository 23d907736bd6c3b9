"""python -m ssgan.predict: classes of a folder of pictures, as a CSV file."""

from omegaconf import DictConfig

from ssgan import cli
from ssgan.data.file_predictions import predict_files
from ssgan.data.picture_files import find_pictures
from ssgan.errors import SsganError, print_error
from ssgan.files import require_writable
from ssgan.inference.classifier_file import load_named, named_files
from ssgan.inference.devices import find_device
from ssgan.inference.embedding import taking_images


def predict(config: DictConfig) -> int:
    """Write the classifier's word on every picture; a broken one is named, skipped and counted (exit code 1)."""
    device = find_device(config.device)
    classifier = taking_images(load_named(config.classifier, config.views)).to(device)
    paths = find_pictures(config.images)
    require_writable(config.output, *named_files(config.classifier), *paths)
    broken = predict_files(classifier, paths, config.output, config.min_probability, config.outliers)
    if broken == len(paths):
        raise SsganError(
            f"images={config.images}: none of {broken} files could be read as a picture; {config.output} was not written"
        )
    if broken:
        print_error(f"{broken} of {len(paths)} pictures could not be read and were skipped")
    return 1 if broken else 0


def main() -> None:
    cli.run("predict", predict)


if __name__ == "__main__":
    main()
