"""CT-GAN: its distance of two passes."""

import pytest
import torch
from conftest import make_classifier
from test_improved_gan import SHARED, fit, sgd

from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError
from ssgan.methods.base import Output
from ssgan.methods.ct_gan import CTGAN
from ssgan.methods.terms import Entropy, Terms
from ssgan.nets import MLPGenerator
from ssgan.nets.layers.noise import is_noisy


def method(noise: float, **settings: float) -> CTGAN:
    torch.manual_seed(0)
    optimizers = {"classifier_optimizer": sgd(0.01), "generator_optimizer": sgd(0.01)}
    config = CTGAN.Config(**SHARED, **optimizers, **settings)
    return CTGAN(make_classifier(noise), MLPGenerator((1, 8, 8), 20, [24], "sigmoid"), config)


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_distance_equals_the_formula(margin: float) -> None:
    """Authors' CIFAR-10 code: max(0, mean_k (p_k - p'_k)^2 + 0.1 mean_j (f_j - f'_j)^2 - M), mean over images."""
    first, second = (Output(torch.randn(12, 7), torch.randn(12, 5)) for _ in range(2))
    each = []
    for n in range(12):
        p, q = (out.logits[n].exp() / out.logits[n].exp().sum() for out in (first, second))
        d = ((p - q) ** 2).sum() / 5 + 0.1 * ((first.features[n] - second.features[n]) ** 2).sum() / 7
        each.append(max(0.0, float(d) - margin))
    assert method(0.3, ct_margin=margin).distance(first, second).item() == pytest.approx(sum(each) / 12, rel=1e-5)


def test_two_passes_differ_by_their_noise_alone(digits: ImageData) -> None:
    """Catches a second pass with the noise of the first, for which the term is 0, and one of other images."""
    for noise, least, most in ((0.3, 1e-4, 1.0), (1e-3, 0.0, 1e-3)):
        noisy = method(noise)
        fit(noisy, digits, steps=2)
        assert least < noisy.means.all_reduced()["ct"] < most


def test_the_term_moves_the_classifier(digits: ImageData) -> None:
    """Kills a term that is logged and not descended: with twice the weight it moves it twice as far, from the same noise."""
    ends = []
    for weight in (0.0, 0.5, 1.0):
        module = method(0.3, ct_weight=weight)
        fit(module, digits, steps=1)
        ends.append(torch.cat([p.detach().flatten() for p in module.classifier.parameters()]))
    none, half, whole = ends
    torch.testing.assert_close(whole - none, 2 * (half - none), rtol=1e-2, atol=1e-6)
    assert (half - none).abs().max() > 1e-5


def test_a_network_without_noise_is_refused() -> None:
    with pytest.raises(SsganError, match="two passes of MLPClassifier are the same"):
        method(0.0)


def test_dropout_of_any_package_is_noise() -> None:
    assert is_noisy(torch.nn.Sequential(torch.nn.Dropout2d(0.2)))
    assert not is_noisy(torch.nn.Sequential(torch.nn.Dropout(0.0)))


def test_the_second_pass_has_the_batch_of_the_first(monkeypatch: pytest.MonkeyPatch, digits: ImageData) -> None:
    """Where a term wants all unlabeled images, the first pass of "real" ones is a part of theirs."""
    module = method(0.3, terms=Terms(entropy=Entropy(weight=0.1)), generated_batch_size=20)
    passes: list[int] = []
    features = module.classifier.features
    monkeypatch.setattr(module.classifier, "features", lambda x: passes.append(len(x)) or features(x))
    fit(module, digits, steps=1)
    assert passes[2] > 20, passes
