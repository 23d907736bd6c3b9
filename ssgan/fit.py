"""python -m ssgan.fit: train a classifier on a few labeled and many unlabeled images, and export it."""

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ssgan import cli, methods
from ssgan.errors import warn

HELP = """\
ssgan trains an image classifier on a few labeled and many unlabeled images, and writes it to a file.

  python -m ssgan.fit                                         scikit-learn's digits with 50 labels: a minute
  python -m ssgan.fit dataset=mnist labels=100                MNIST, SVHN or CIFAR-10 (dataset=svhn, cifar10)
  python -m ssgan.fit dataset=folder dataset.path=pictures    a folder for each class, and one named unlabeled
  python -m ssgan.fit method=supervised                       other methods, below
  python -m ssgan.fit -m labels=20,50,100 split_seed=0,1,2    every combination
  python -m ssgan.fit trainer=ddp devices=4                   on four GPUs

  dataset=     digits, mnist, svhn, cifar10, folder, table, npz, vectors
  method=      {methods};
               method.epochs=, method.batch_size= and so on
  labels=      images that carry a label, or all
  split_seed=  which images these are; seed= everything else
  validation=  labeled images held out, whose error is shown after every epoch
  baseline=    true: then train on the labeled images alone too, to compare
  max_time=    30m, 1h30m: the learning rate falls to 0 by then
  dry_run=     true: say what it would cost, and stop
  name=        of the run; runs_dir= where it is written

The same command goes on with a run that was stopped. --cfg job prints every key and its value. The other commands:
inspect, embed, evaluate, predict, export, suggest, demo, sample, score, report, turing, ablation, divergences.
More: README.md, docs/, conf/, ssgan/methods.
"""


def fit(config: DictConfig) -> int:
    """Run, resume or report the run of ``config`` in the folder that Hydra has made; returns the exit code."""
    from ssgan.training.launch import launched_world_size
    from ssgan.training.result_table import print_table
    from ssgan.training.run import run_with_baseline

    job = HydraConfig.get()
    runtime = job.runtime
    if runtime.choices.get("sweep") and job.mode == RunMode.RUN and launched_world_size() == 1:
        warn(
            f"sweep={runtime.choices['sweep']}: without -m this is one run of it, with the values that the command gives"
        )
    results = run_with_baseline(config, runtime.choices, runtime.output_dir)
    finished = [(result.folder, result.metrics) for result in results if result.metrics is not None]
    if finished:
        print_table(finished)
    return max(result.code for result in results)


def main() -> None:
    cli.run("config", fit, HELP.format(methods=", ".join(methods.names())))


if __name__ == "__main__":
    main()
