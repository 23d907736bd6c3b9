"""The layers are what they are named, and can be copied, pickled and exported."""

import copy
import io
import pickle

import pytest
import torch
from conftest import make_classifier
from torch import nn

from ssgan.nets import MLPClassifier, MLPGenerator
from ssgan.nets.initialization import initialize_from_data
from ssgan.nets.layers.noise import GaussianNoise, NoisePool, set_noise_pool
from ssgan.nets.layers.weight_norm import WeightCache, WeightNormLinear, cache_weights


def weight_norm_layers(network: nn.Module) -> list[WeightNormLinear]:
    return [m for m in network.modules() if isinstance(m, WeightNormLinear)]


def test_weight_norm_formula() -> None:
    layer = WeightNormLinear(5, 3, train_scale=True)
    nn.init.uniform_(layer.g)
    x = torch.randn(4, 5)
    weight = layer.g[:, None] * layer.v / layer.v.norm(dim=1, keepdim=True)
    torch.testing.assert_close(layer(x), x @ weight.T + layer.b)
    scaled = copy.deepcopy(layer)
    scaled.v.data *= 7.0
    torch.testing.assert_close(layer(x), scaled(x))


def test_weight_norm_gradients() -> None:
    """The hand-written gradient is that of the formula, for x, v, g and b, and in bfloat16 within its rounding."""
    torch.manual_seed(0)
    layer = WeightNormLinear(5, 3, train_scale=True).double()
    nn.init.uniform_(layer.g, 0.5, 2.0)
    nn.init.normal_(layer.b)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    inputs = [x, layer.v, layer.g, layer.b]
    weight = layer.g[:, None] * layer.v / layer.v.norm(dim=1, keepdim=True)
    direction = torch.randn(4, 3, dtype=torch.float64)
    expected = torch.autograd.grad(((x @ weight.T + layer.b).tanh() * direction).sum(), inputs)
    for ours, theirs in zip(torch.autograd.grad((layer(x).tanh() * direction).sum(), inputs), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    layer = layer.float()
    x = x.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    low = torch.autograd.grad((y.float().tanh() * direction.float()).sum(), [x, layer.v, layer.g, layer.b])
    for ours, theirs in zip(low, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs.float(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("trained", ["v", "g", "b", None])
def test_a_frozen_weight_norm_lets_the_gradient_through(trained: str | None) -> None:
    """Kills a short cut for the other player's turn that is taken while a parameter still learns."""
    layer = WeightNormLinear(5, 3, train_scale=True)
    x = torch.randn(4, 5, requires_grad=True)
    layer(x).square().sum().backward()
    expected, x.grad = x.grad, None
    gradients = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    for name, p in layer.named_parameters():
        p.requires_grad_(name == trained)
    layer(x).square().sum().backward()
    torch.testing.assert_close(x.grad, expected)
    for name, p in layer.named_parameters():
        assert (p.grad is None) == (name != trained)
        if name == trained:
            torch.testing.assert_close(p.grad, gradients[name])


@pytest.mark.parametrize("fused", [False, True])
def test_weights_are_kept_only_on_request(fused: bool) -> None:
    """Kills a weight that outlives an optimizer step, a copy, or a loaded state."""
    layer = WeightNormLinear(5, 3, train_scale=True)
    x = torch.randn(4, 5)

    def exact(layer: WeightNormLinear) -> torch.Tensor:
        with torch.no_grad():
            return layer(x)

    def step() -> torch.Tensor:
        before = layer(x)
        before.sum().backward()
        torch.optim.Adam([layer.v, layer.g], lr=0.1, fused=fused).step()
        return before.detach()

    step()
    torch.testing.assert_close(layer(x), exact(layer))
    kept: WeightCache = {}
    cache_weights(layer, kept)
    before = step()
    torch.testing.assert_close(layer(x).detach(), before)
    kept.clear()
    torch.testing.assert_close(layer(x), exact(layer))
    assert not torch.allclose(exact(layer), before)
    twin = copy.deepcopy(layer)
    assert twin.kept is None
    twin.load_state_dict({name: value + 1 for name, value in layer.state_dict().items()})
    torch.testing.assert_close(twin(x), exact(twin))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer(x).dtype == torch.float32
    assert {dtype for _, dtype in kept} == {torch.float32, torch.bfloat16}
    cache_weights(layer, None)
    step()
    torch.testing.assert_close(layer(x), exact(layer))


def test_only_the_output_layer_trains_its_scale(classifier: MLPClassifier, generator: MLPGenerator) -> None:
    """Kills the port's bug of training every g, or none."""
    trained = [isinstance(layer.g, nn.Parameter) for layer in weight_norm_layers(classifier)]
    assert trained == [False, False, True]
    assert [isinstance(layer.g, nn.Parameter) for layer in weight_norm_layers(generator)] == [True]
    assert all(m.weight is None for m in generator.modules() if isinstance(m, nn.BatchNorm1d))


def test_data_dependent_initialization_standardizes_every_layer() -> None:
    """Kills a g frozen at 1."""
    torch.manual_seed(0)
    network, images = make_classifier(noise=0.0), torch.rand(500, 1, 8, 8)
    initialize_from_data(network, images)
    for layer in weight_norm_layers(network):
        layer.register_forward_hook(
            lambda _, __, y: (
                torch.testing.assert_close(y.mean(0), torch.zeros(y.shape[1]), atol=1e-4, rtol=0),
                torch.testing.assert_close(y.std(0, correction=0), torch.ones(y.shape[1]), atol=1e-4, rtol=0),
                None,
            )[-1]
        )
    network.train()(images)
    assert network.training


def test_noise_is_on_in_training_and_off_in_evaluation(classifier: MLPClassifier) -> None:
    images = torch.rand(3, 1, 8, 8)
    assert not torch.equal(classifier.train()(images), classifier(images))
    assert torch.equal(classifier.eval()(images), classifier(images))


@pytest.mark.parametrize("pool", [None, NoisePool(1 << 20)])
def test_noise_is_normal_with_the_given_sd(pool: NoisePool | None) -> None:
    torch.manual_seed(0)
    layer = GaussianNoise(0.5)
    set_noise_pool(layer, pool)
    if pool is not None:
        pool.refill("epoch", 0)
        pool.seek("step", 0)
    noise = layer(torch.zeros(500, 1000)).float()
    assert noise.mean().abs() < 0.005
    assert noise.std() == pytest.approx(0.5, abs=0.005)
    assert (noise.abs() < 0.5).float().mean() == pytest.approx(0.6827, abs=0.005)
    assert not torch.equal(layer(torch.zeros(5, 10)), layer(torch.zeros(5, 10)))


def test_pooled_noise_is_a_function_of_its_keys() -> None:
    """Kills noise that depends on how many draws came before, which no resumed run could repeat."""

    def draws(pool: NoisePool) -> torch.Tensor:
        pool.refill("pool", 3, 1)
        pool.seek("step", 3, 17)
        return torch.cat([pool.draw(torch.empty(100)), pool.draw_mask(torch.empty(50), 0.3)])

    first, second = NoisePool(10_000), NoisePool(10_000)
    second.refill("pool", 9, 9)
    second.seek("step", 1)
    second.draw(torch.empty(5))
    assert torch.equal(draws(first), draws(second))
    assert first.draw(torch.empty(100, 200)).shape == (100, 200)
    first.seek("step", 3, 18)
    assert not torch.equal(first.draw(torch.empty(100)), draws(second)[:100])


def test_copies_share_the_pool_and_not_the_weights(classifier: MLPClassifier) -> None:
    pool = NoisePool(100_000)
    set_noise_pool(classifier, pool)
    twin = copy.deepcopy(classifier)
    assert all(m.pool is pool for m in twin.modules() if isinstance(m, GaussianNoise))
    twin.trunk[2].v.data.zero_()
    assert classifier.trunk[2].v.abs().sum() > 0


def test_pickle(classifier: MLPClassifier, generator: MLPGenerator) -> None:
    classifier.eval()
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(pickle.loads(pickle.dumps(classifier))(images), classifier(images))
    z = generator.eval().draw_latent(3)
    assert torch.equal(pickle.loads(pickle.dumps(generator))(z), generator(z))


def test_export(classifier: MLPClassifier) -> None:
    classifier.eval()
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(classifier, (torch.rand(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    images = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(torch.export.load(file).module()(images), classifier(images))


@pytest.mark.parametrize("output", ["sigmoid", "softplus"])
def test_generator_starts_from_the_mean_image(output: str) -> None:
    torch.manual_seed(0)
    generator = MLPGenerator((1, 8, 8), latent=20, hidden=[24, 24], output=output)
    images = torch.rand(200, 1, 8, 8) * torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    before = (generator(generator.draw_latent(200)).mean(0) - images.mean(0)).abs().mean()
    generator.start_from_mean(images)
    generated = generator(generator.draw_latent(200))
    assert generated.shape == (200, 1, 8, 8)
    assert generated.min() >= 0
    assert (generated.mean(0) - images.mean(0)).abs().mean() < 0.5 * before


def test_latent_is_uniform_and_seeded(generator: MLPGenerator) -> None:
    """Kills a generator trained on uniform z and sampled with normal z."""
    z = generator.draw_latent(1000, torch.Generator().manual_seed(5))
    assert z.min() >= 0
    assert z.max() < 1
    assert z.mean() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(z, generator.draw_latent(1000, torch.Generator().manual_seed(5)))
