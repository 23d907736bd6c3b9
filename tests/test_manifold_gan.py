"""Manifold-regularized GAN: its term."""

import pytest
import torch
from conftest import make_classifier
from test_improved_gan import SHARED, OneStep, assert_moved_further, fit, sgd

from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError
from ssgan.methods.manifold_gan import ManifoldGAN
from ssgan.nets import MLPGenerator
from ssgan.seeds import derive_seed


def test_term_equals_the_formula(digits: ImageData) -> None:
    """mean_n |l(G(z_n)) - l(G(z_n + 0.3 d_n))|^2; catches directions that are not of length 1, other z, and a term that is logged
    and not descended.
    """

    def after_a_step(weight: float, *callbacks: OneStep) -> ManifoldGAN:
        torch.manual_seed(0)
        optimizers = {"classifier_optimizer": sgd(0.01), "generator_optimizer": sgd(0.01)}
        config = ManifoldGAN.Config(**SHARED, **optimizers, manifold_step=0.3, manifold_weight=weight, ramp_up_epochs=2)
        module = ManifoldGAN(make_classifier(0.0), MLPGenerator((1, 8, 8), 20, [24], "sigmoid"), config)
        fit(module, digits, steps=1, callbacks=list(callbacks))
        return module

    before = OneStep()
    module, plain = after_a_step(2.0, before), after_a_step(0.0)
    c, g = before.classifier, before.generator.eval()
    rng = torch.Generator().manual_seed(derive_seed("latent", 0, 0))
    z, directions = g.draw_latent(50, rng), torch.randn(50, 20, generator=rng)
    g.train()
    moved = z + 0.3 * directions / (directions**2).sum(1, keepdim=True).sqrt()
    term = sum(((first - second) ** 2).sum() for first, second in zip(c(g(z)), c(g(moved)), strict=True)) / 50
    assert term > 0
    assert module.means.all_reduced()["manifold"] == pytest.approx(term.item(), rel=1e-3)
    assert_moved_further(
        module.classifier, plain.classifier, torch.autograd.grad(term, list(c.parameters())), 0.01 * 2.0 / 2
    )


def test_a_step_of_nothing_without_noise_is_refused() -> None:
    generator = MLPGenerator((1, 8, 8), 20, [24], "sigmoid")
    with pytest.raises(SsganError, match=r"method\.manifold_step=1e-05: MLPClassifier has neither noise nor dropout"):
        ManifoldGAN(make_classifier(0.0), generator)
    ManifoldGAN(make_classifier(0.3), generator)
