"""The keys that every method has."""

from dataclasses import dataclass
from typing import Any

from ssgan.fields import key
from ssgan.methods.terms import Terms
from ssgan.precision import AUTO, PRECISIONS

ADAM = {
    "_target_": "torch.optim.Adam",
    "lr": 0.003,  # authors' MNIST code
    "betas": [0.5, 0.999],  # authors' code
    "eps": 1e-4,  # authors' code: 1e-8 inside the square root
    "fused": True,  # one pass over all weights
}


@dataclass
class MethodConfig:
    """Keys of every method."""

    name: str = key("", "of the method: its file in ssgan/methods")
    epochs: int = key(20, "passes over the unlabeled pool", at_least=1)
    batch_size: int = key(100, "unlabeled images per step, over all ranks; authors' code", at_least=2)
    labeled_batch_size: int | None = key(None, "labeled images per step; null: batch_size", at_least=1)
    least_steps: int = key(0, "of an epoch: a pool that has fewer is passed over several times", at_least=0)
    precision: str = key(
        "32-true",
        "bf16-mixed and 16-mixed compute products in half; auto: bf16-mixed where the hardware has it, else 32-true",
        choices=(AUTO, *PRECISIONS),
    )
    classifier_optimizer: dict[str, Any] = key(ADAM, "any _target_ and its arguments; null leaves one at its default")
    schedule: dict[str, Any] = key(
        {"_target_": "ssgan.methods.schedule.linear", "constant_fraction": 0.667},
        "any _target_ that takes the fraction of training done and returns a factor of the learning rate",
    )
    warm_up_epochs: float = key(0.0, "in which the learning rate rises linearly from 0; not in the paper", at_least=0)
    ramp_up_epochs: int = key(0, "in which the weights of unlabeled images rise from 0; not in the paper", at_least=0)
    strong_labels: bool = key(False, "augment labeled images strongly, too; not in the paper")
    label_smoothing: float = key(0.0, "of the labeled images' targets; not in the paper", at_least=0, below=1)
    ema_decay: float = key(0.999, "of the weights that are tested and exported; authors: 0.9999", at_least=0, below=1)
    ema_every: int = key(5, "steps between two updates of the EMA, with the equivalent decay", at_least=1)
    initialization_images: int = key(500, "for data-dependent initialization; authors' code", at_least=2)
    running_decay: float = key(
        0.99,
        "of the running means that align and adaptive take; FreeMatch, in many times the steps: 0.999",
        at_least=0,
        below=1,
    )
    noise_pool: int = key(4194304, "normal numbers that a CPU's noise is sliced from; 0: drawn afresh", at_least=0)
    terms: Terms = key(Terms(), "optional terms of the objective")
