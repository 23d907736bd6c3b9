"""python -m ssgan.fit: train a classifier on a few labeled and many unlabeled images, and export it."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ssgan import cli


def fit(config: DictConfig) -> int:
    """Run, resume or report the run of ``config`` in the folder that Hydra has made; returns the exit code."""
    from ssgan.training.run import run
    from ssgan.training.run_dir import RunFolder

    folder = RunFolder(HydraConfig.get().runtime.output_dir)
    try:
        result = run(config, folder)
    finally:
        folder.discard(config.runs_dir)
    if result.metrics is not None:
        folder.print_table(result.metrics)
    return result.code


def main() -> None:
    cli.run("config", fit)


if __name__ == "__main__":
    main()
