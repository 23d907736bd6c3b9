"""python -m ssgan.score: how good a generator's images are to a judge, as one JSON object."""

import json
import time
from functools import partial

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from ssgan import cli
from ssgan.data.registry import load_dataset, named_dataset, require_known, require_own_data
from ssgan.errors import SsganError
from ssgan.evaluation.generation import NEIGHBORS, generation_metrics, require_enough
from ssgan.evaluation.judges import ClassifierJudge, load_judge
from ssgan.inference.classifier_file import load_generator
from ssgan.inference.sampling import BATCH, draw_images
from ssgan.pixels import at_once, in_parts


def score(config: DictConfig) -> int:
    """Print score, FID, KID, precision and recall of ``samples`` images against the test images of the data set."""
    require_enough(config.samples, config.splits)
    started = time.perf_counter()
    generator = load_generator(config.checkpoint)
    judge = load_judge(config.judge, generator.image_shape)
    if config.dataset:
        data = load_dataset(config.dataset)
    elif isinstance(judge, ClassifierJudge):
        data = named_dataset(judge.classifier.header.get("dataset"), config.data_dir, config.download)
    else:
        raise SsganError("dataset=...: inception does not tell what the real images are; name their data set")
    require_own_data(config.checkpoint, generator, data)
    if len(data.test_images) <= NEIGHBORS:
        raise SsganError(
            f"dataset={data.name}: has {len(data.test_images)} test images; precision and recall need more than {NEIGHBORS}"
        )
    if isinstance(judge, ClassifierJudge):
        require_known(data, judge.classifier, f"judge={config.judge}")
    show = partial(track, transient=True, console=Console(stderr=True))  # standard output is JSON alone
    batches = -(-config.samples // at_once(generator.image_shape, BATCH))
    generated = show(draw_images(generator, config.samples, config.seed), "generated images", total=batches)
    real = show(in_parts(data.test_images, BATCH), "real images")
    result = generation_metrics(real, generated, judge, config.splits, config.seed)
    about = {"judge": config.judge, "dataset": data.name, "seconds": round(time.perf_counter() - started, 1)}
    print(json.dumps(result | about))
    return 0


def main() -> None:
    cli.run("score", score)


if __name__ == "__main__":
    main()
