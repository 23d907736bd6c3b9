"""VAT: its loss and that it learns."""

import pytest
import torch
from conftest import make_classifier
from test_improved_gan import SHARED, fit, sgd
from torch import nn

from ssgan import losses
from ssgan.data.image_data import ImageData
from ssgan.methods.vat import VAT


def test_loss_equals_the_formula() -> None:
    """Of two classes and a linear network the worst direction is known: the difference of their weights, or its opposite.

    Catches a divergence the other way round, the norm of a whole batch, and gradients into the first prediction.
    """
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    images = torch.rand(9, 1, 3, 4)
    logits = network(images)
    loss = losses.virtual_adversarial(network, images, logits, torch.randn_like(images), 0.8, 1e-2)
    p = logits.softmax(1)
    each = []
    for sign in (1, -1):
        worst = sign * 0.8 * nn.functional.normalize(network[1].weight[1] - network[1].weight[0], dim=0)
        q = network(images + worst.view(1, 1, 3, 4)).softmax(1)
        each.append((p * (p / q).log()).sum(1))
    low, high = torch.minimum(*each).mean(), torch.maximum(*each).mean()
    assert 0 < low.item() - 1e-4 < loss.item() < high.item() + 1e-4
    [gradient] = torch.autograd.grad(loss, logits, allow_unused=True, retain_graph=True)
    assert gradient is None
    loss.backward()
    assert network[1].weight.grad is not None


def test_a_sure_image_is_moved_as_far() -> None:
    """Kills a gradient of a batch's mean that is too small to be brought to a norm."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    images = torch.rand(100, 1, 3, 4)
    with torch.no_grad():
        network[1].weight.copy_(nn.functional.normalize(network[1].weight, dim=1))
        network[1].bias[0] = 18.0
    seen = []
    network.register_forward_hook(lambda network, inputs, output: seen.append(inputs[0].detach()))
    losses.virtual_adversarial(network, images, network(images), torch.randn_like(images), 0.8, 1e-2)
    lengths = (seen[-1] - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((100,), 0.8), rtol=0.01, atol=0)


@pytest.mark.parametrize("radius", [0.05, 0.1])
def test_the_change_has_its_radius(digits: ImageData, radius: float) -> None:
    """Root mean square, in units of the pixel range; batch norms and the like are not needed for it."""
    seen = []
    config = VAT.Config(**SHARED, classifier_optimizer=sgd(0.1))
    config.terms.virtual_adversarial.radius = radius
    module = VAT(make_classifier(0.0), config)
    module.classifier.register_forward_hook(lambda network, inputs, output: seen.append(inputs[0].detach().clone()))
    images = torch.rand(6, 1, 8, 8)
    term = config.terms.virtual_adversarial
    out = module.outputs({"unlabeled": images}, ("unlabeled",))
    term(module, {"unlabeled": images}, out)
    change = seen[-1] - images
    torch.testing.assert_close(change.square().mean((1, 2, 3)).sqrt(), torch.full((6,), radius), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("pool", [0, 1 << 16])
def test_its_passes_share_their_noise(digits: ImageData, pool: int) -> None:
    """Without a change to speak of there is nothing to lose, however noisy the network."""
    config = VAT.Config(**{**SHARED, "noise_pool": pool}, classifier_optimizer=sgd(0.1))
    config.terms.virtual_adversarial.radius = 1e-6
    module = VAT(make_classifier(0.3), config)
    fit(module, digits, steps=2)
    assert module.means.all_reduced()["virtual_adversarial"] < 1e-5


def test_both_terms_are_on(digits: ImageData) -> None:
    module = VAT(make_classifier(0.3), VAT.Config(**SHARED, classifier_optimizer=sgd(0.1)))
    fit(module, digits, steps=2)
    assert set(module.means.all_reduced()) == {"supervised", "entropy", "virtual_adversarial"}
