"""Bad GAN: which terms it has."""

import pytest
import torch
from conftest import make_classifier
from test_improved_gan import SHARED, OneStep, fit, sgd

from ssgan.data.image_data import ImageData
from ssgan.methods.bad_gan import BadGAN
from ssgan.nets import MLPGenerator


def test_terms_equal_the_formulas(digits: ImageData) -> None:
    """The first step's entropy and distance of mean features, and the weights; catches a term of the other player."""
    before = OneStep()
    torch.manual_seed(0)
    config = BadGAN.Config(**SHARED, classifier_optimizer=sgd(0.0), generator_optimizer=sgd(0.01))
    module = BadGAN(make_classifier(0.0), MLPGenerator((1, 8, 8), 20, [24], "sigmoid"), config)
    fit(module, digits, steps=1, callbacks=[before])
    c, batch, means = before.classifier, before.batch, module.means.all_reduced()
    p = c(batch["unlabeled"]).softmax(1)
    assert means["entropy"] == pytest.approx(-(p * p.log()).sum(1).mean().item(), rel=1e-4)
    generated = before.generator.train()(module.z)
    distance = (c.features(batch["generator_unlabeled"]).mean(0) - c.features(generated).mean(0)).abs().mean()
    assert means["feature_matching"] == pytest.approx(distance.item(), rel=1e-3)
    assert 0 < means["pull_away"] <= 1
    assert [(name, term.weight) for name, term in module.terms] == [("entropy", 0.1)]
    assert [(name, term.weight) for name, term in module.generator_terms] == [("pull_away", 0.8)]
