"""Manifold-regularized GAN: its term and that it learns."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Outcome, learned, make_classifier
from test_improved_gan import SHARED, OneStep, fit, sgd

from ssgan.data.image_data import ImageData
from ssgan.methods.manifold_gan import ManifoldGAN
from ssgan.nets import MLPGenerator
from ssgan.seeds import derive_seed


def test_term_equals_the_formula(digits: ImageData) -> None:
    """mean_n |l(G(z_n)) - l(G(z_n + 0.3 d_n))|^2; catches directions that are not of length 1, and other z."""
    before = OneStep()
    torch.manual_seed(0)
    config = ManifoldGAN.Config(
        **SHARED, classifier_optimizer=sgd(0.01), generator_optimizer=sgd(0.01), manifold_step=0.3, manifold_weight=2.0
    )
    module = ManifoldGAN(make_classifier(0.0), MLPGenerator((1, 8, 8), 20, [24], "sigmoid"), config)
    fit(module, digits, steps=1, callbacks=[before])
    c, g = before.classifier, before.generator.eval()
    z = g.draw_latent(50, torch.Generator().manual_seed(derive_seed("latent", 0, 0)))
    torch.manual_seed(derive_seed("noise", 0, 0, 0))
    directions = torch.randn_like(z)
    total = 0.0
    g.train()
    moved = z + 0.3 * directions / (directions**2).sum(1, keepdim=True).sqrt()
    for first, second in zip(c(g(z)), c(g(moved)), strict=True):
        total += ((first - second) ** 2).sum().item()
    assert total > 0
    assert module.means.all_reduced()["manifold"] == pytest.approx(total / 50, rel=1e-3)


@pytest.mark.slow
def test_it_learns(ssgan: Callable[..., Outcome], tmp_path: Path) -> None:
    assert learned(ssgan, tmp_path, "manifold_gan") < 0.14
