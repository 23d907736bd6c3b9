"""Muon, and the choice of an optimizer by its name."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Outcome, tiny
from omegaconf import OmegaConf
from test_configs import compose
from torch import nn

from ssgan.methods.optimizers import OPTIMIZERS, Muon, make_optimizer, orthogonal
from ssgan.methods.schedule import make_schedule
from ssgan.nets.layers.minibatch_discrimination import MinibatchDiscrimination
from ssgan.training.check import check


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (6, 6)])
def test_orthogonal_factor(shape: tuple[int, int]) -> None:
    """Of U S V' the singular vectors stay and the singular values come close to 1, for tall and for wide matrices."""
    matrix = torch.randn(shape)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.t() @ orthogonal(matrix, 5) @ v.t()
    diagonal = found.diagonal()
    assert ((diagonal > 0.6) & (diagonal < 1.25)).all()
    torch.testing.assert_close(found, diagonal.diag(), atol=1e-4, rtol=0)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon to compare with")
def test_hidden_weights_follow_torch() -> None:
    """`torch.optim.Muon`, which multiplies in bfloat16. Catches a step without Nesterov's look ahead, and one that is not scaled."""
    ours, theirs = nn.Linear(6, 12, bias=False), nn.Linear(6, 12, bias=False)
    theirs.load_state_dict(ours.state_dict())
    head = nn.Linear(12, 3)
    optimizers = [
        Muon([*ours.parameters(), *head.parameters()], lr=0.1, momentum=0.8, weight_decay=0.5),
        torch.optim.Muon(theirs.parameters(), lr=0.1, momentum=0.8, weight_decay=0.5),
    ]
    for _ in range(3):
        gradient = torch.randn(12, 6)
        ours.weight.grad, theirs.weight.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, atol=0.01, rtol=0)


def test_the_output_layer_and_biases_follow_sgd() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    other.load_state_dict(network.state_dict())
    muon = Muon(network.parameters(), lr=0.0, other_lr=0.1, momentum=0.9, weight_decay=0.5)
    sgd = torch.optim.SGD([p for i, p in enumerate(other.parameters()) if i], lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        for p, q in zip(network.parameters(), other.parameters(), strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        muon.step()
        sgd.step()
    for p, q in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_a_table_of_gains_is_no_weight() -> None:
    """Minibatch discrimination's scales have two dimensions, and Newton-Schulz would make them orthogonal."""
    layer = MinibatchDiscrimination(6, kernels=4, dims=3)
    muon = Muon([*layer.parameters(), nn.Parameter(torch.zeros(2, 2))])
    hidden, others = ([id(p) for p in group["params"]] for group in muon.param_groups)
    assert hidden == [id(layer.v)]
    assert id(layer.log_scale) in others


def test_state_goes_on_in_another_optimizer() -> None:
    def run(steps: list[int], muon: Muon | None, weights: nn.Linear) -> Muon:
        optimizer = Muon([weights.weight, nn.Parameter(torch.zeros(2, 2))])
        if muon is not None:
            optimizer.load_state_dict(muon.state_dict())
        for step in steps:
            weights.weight.grad = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
            optimizer.step()
        return optimizer

    straight, resumed = nn.Linear(3, 4), nn.Linear(3, 4)
    resumed.load_state_dict(straight.state_dict())
    run([1, 2, 3], None, straight)
    run([2, 3], run([1], None, resumed), resumed)
    assert torch.equal(straight.weight, resumed.weight)


@pytest.mark.parametrize(
    ("name", "method", "dataset"),
    [
        *((name, method, "digits") for name in OPTIMIZERS for method in ("improved_gan", "fixmatch")),
        *(
            ("muon", method, dataset)
            for method in ("improved_gan", "fixmatch")
            for dataset in ("mnist", "svhn", "cifar10")
        ),
    ],
)
def test_choices_replace_the_presets(name: str, method: str, dataset: str) -> None:
    """Catches an argument of the preset's optimizer that reaches another one, which refuses it; and what the command line says after it."""
    chosen = compose(
        f"optimizer={name}", f"method={method}", f"dataset={dataset}", "method.classifier_optimizer.lr=0.5"
    )
    optimizer = make_optimizer(dict(chosen.method.classifier_optimizer), nn.Linear(2, 3).parameters())
    assert type(optimizer).__name__.lower() == name
    assert {group["lr"] for group in optimizer.param_groups} <= {0.5, 0.1}


@pytest.mark.parametrize("chosen", ["experiment=mnist_100_authors", "ablation=full"])
def test_choices_replace_an_experiments(chosen: str) -> None:
    """Catches the experiment's learning rate for Adam that stays with another optimizer."""
    assert compose(chosen, "optimizer=sgd").method.classifier_optimizer == OPTIMIZERS["sgd"]


def test_a_run_with_muon(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = ssgan("fit", *tiny("fixmatch"), "optimizer=muon", f"runs_dir={tmp_path}")
    assert outcome.code == 0, outcome.err


def test_another_schedule_replaces_the_arguments_of_the_first() -> None:
    config = compose("method.schedule._target_=ssgan.methods.schedule.cosine", "method.schedule.constant_fraction=null")
    check(config)
    settings = OmegaConf.to_container(config.method.schedule)
    assert make_schedule(settings)(1.0) == pytest.approx(math.cos(7 / 16 * math.pi))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer=mun", "optimizer=mun: there is none of that name; did you mean muon?"),
        (
            "method.classifier_optimizer.dampening=0.1",
            "+method.classifier_optimizer.dampening=... adds it",
        ),
        ("method.classifier_optimizer.momentum=-1", "method.classifier_optimizer: momentum=-1: use 0 or more"),
    ],
)
def test_mistakes(ssgan: Callable[..., Outcome], tmp_path: Path, setting: str, message: str) -> None:
    outcome = ssgan("fit", *tiny("fixmatch"), "optimizer=muon", setting, f"runs_dir={tmp_path}")
    assert outcome.code == 1
    assert message in outcome.err
