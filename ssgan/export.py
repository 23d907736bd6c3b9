"""python -m ssgan.export: a classifier file, or several, as one graph from uint8 images to probabilities, which runs without ssgan."""

from pathlib import Path

from omegaconf import DictConfig

from ssgan import cli
from ssgan.files import require_writable
from ssgan.inference.classifier_file import load_named, named_files
from ssgan.inference.graphs import export_graph


def export(config: DictConfig) -> int:
    predictor = load_named(config.classifier)
    require_writable(config.output, *named_files(config.classifier))
    worst = export_graph(predictor, config.format, config.output)
    size = Path(config.output).stat().st_size / 1e6
    print(
        f"{config.output}: {config.format}, {size:.1f} MB; its probabilities differ by {worst:.1e} at most from the classifier's"
    )
    return 0


def main() -> None:
    cli.run("export", export)


if __name__ == "__main__":
    main()
