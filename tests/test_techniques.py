"""Each technique of the paper is what its formula says."""

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_classifier
from test_improved_gan import fit, make_method
from torch import Tensor, nn

from ssgan import losses
from ssgan.data.image_data import ImageData
from ssgan.errors import SsganError
from ssgan.methods.base import Output
from ssgan.methods.historical_averaging import HistoricalAveraging
from ssgan.nets import DCGANClassifier, DCGANGenerator, MLPClassifier, MLPGenerator
from ssgan.nets.initialization import initialize_from_data, recalibrate
from ssgan.nets.layers import minibatch_discrimination
from ssgan.nets.layers.batch_norm import BatchNormNoGain, VirtualBatchNorm, _Normalize, global_moments
from ssgan.nets.layers.minibatch_discrimination import MinibatchDiscrimination


def mixing_classifier() -> MLPClassifier:
    torch.manual_seed(0)
    return MLPClassifier((1, 8, 8), 10, [24, 16], 0.0, 0.0, init_std=0.1, minibatch_kernels=6, minibatch_dims=3)


def test_minibatch_discrimination_formula() -> None:
    """o_b(i) = sum over the others of exp(-|M_ib - M_jb|_1), written out: kills the own pair, and a mean for a sum."""
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(5, kernels=4, dims=3, others=6)
    nn.init.normal_(layer.log_scale, std=0.5)
    f = torch.randn(7, 5)
    t = layer.v / layer.v.norm(dim=0) * layer.log_scale.exp()
    m = torch.einsum("na,abc->nbc", f, t)
    expected = torch.zeros(7, 4)
    for i in range(7):
        for j in set(range(7)) - {i}:
            expected[i] += torch.exp(-(m[i] - m[j]).abs().sum(1))
    torch.testing.assert_close(layer(f), torch.cat([f, expected + layer.b], 1))
    order = torch.randperm(7)
    torch.testing.assert_close(layer(f[order]), layer(f)[order])


def test_minibatch_discrimination_means_the_same_in_a_batch_of_another_size() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(5, kernels=4, dims=3, others=9)
    large = layer(torch.randn(2000, 5))[:, 5:].mean(0)
    small = torch.stack([layer(torch.randn(10, 5))[:, 5:].mean(0) for _ in range(200)]).mean(0)
    torch.testing.assert_close(large, small, rtol=0.1, atol=0.1)


def test_minibatch_discrimination_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients do not depend on how many distances are held at a time, and no more are."""
    layer, held, kernel = MinibatchDiscrimination(5, kernels=4, dims=3), [], minibatch_discrimination.kernel

    def recorded(a: Tensor, b: Tensor) -> Tensor:
        held.append(a.shape[0] * a.shape[2] * b.shape[2])
        return kernel(a, b)

    monkeypatch.setattr(minibatch_discrimination, "kernel", recorded)
    results = []
    for bound in (1 << 17, 3 * 30 * 30, 7 * 30):
        monkeypatch.setattr(minibatch_discrimination, "DISTANCES_AT_ONCE", bound)
        torch.manual_seed(0)
        f = torch.randn(30, 5, requires_grad=True)
        output = layer(f)
        held.clear()
        results.append([output, *torch.autograd.grad(output.square().sum(), [f, layer.v, layer.log_scale, layer.b])])
        assert sum(held) == 4 * 30 * 30
        assert max(held) <= bound
    for others in results[1:]:
        for whole, in_parts in zip(results[0], others, strict=True):
            torch.testing.assert_close(whole, in_parts, rtol=1e-4, atol=1e-5)


def test_minibatch_discrimination_gradient() -> None:
    """The hand-written gradient is that of the formula, towards both sides."""
    torch.manual_seed(0)
    a, b = (torch.randn(3, 2, n, dtype=torch.float64, requires_grad=True) for n in (5, 4))
    assert torch.autograd.gradcheck(minibatch_discrimination._KernelSums.apply, (a, b))


def test_minibatch_discrimination_starts_from_data() -> None:
    """The mean distance to the nearest is 2 and o has mean 0 (authors' code)."""
    torch.manual_seed(0)
    network = mixing_classifier()
    images = torch.rand(300, 1, 8, 8)
    initialize_from_data(network, images)
    features = network.features(images)
    layer = network.head[0]
    points = layer.project(features).transpose(0, 1)
    distances = torch.cdist(points, points, p=1) + 1e6 * torch.eye(300)
    torch.testing.assert_close(distances.amin(2).mean(1), torch.full((6,), 2.0))
    torch.testing.assert_close(layer(features)[:, 16:].mean(0), torch.zeros(6), atol=1e-4, rtol=0)


def test_predictions_do_not_depend_on_their_neighbors() -> None:
    """Kills a classifier whose answer for an image changes with what else is asked."""
    network = mixing_classifier()
    images = torch.rand(120, 1, 8, 8)
    assert not torch.allclose(network.train()(images[:50])[:5], network(images[:5]))
    initialize_from_data(network, images)
    network.eval()
    before = network(images[:5])
    recalibrate(network, images)
    assert not network.training
    assert not torch.allclose(network(images[:5]), before)
    torch.testing.assert_close(network(images[:50])[:5], network(images[:5]))
    torch.testing.assert_close(copy.deepcopy(network)(images[:5]), network(images[:5]))


def test_real_and_generated_batches_are_apart(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills sums over a mix of real and generated images."""
    sizes: list[int] = []
    forward = MinibatchDiscrimination.forward

    def recorded(self: MinibatchDiscrimination, features: Tensor) -> Tensor:
        sizes.append(len(features))
        return forward(self, features)

    monkeypatch.setattr(MinibatchDiscrimination, "forward", recorded)
    module = make_method(generator_loss="non_saturating", classifier=mixing_classifier())
    fit(module, digits, steps=1)
    assert sizes == [50, 50, 50, 50]  # labeled, unlabeled and generated; then generated again


def test_too_few_images_to_compare_with() -> None:
    with pytest.raises(SsganError, match="use batches of 2 or more"):
        mixing_classifier().train()(torch.rand(1, 1, 8, 8))
    with pytest.raises(SsganError, match="evaluates against 99 images, but has 98"):
        recalibrate(mixing_classifier(), torch.rand(98, 1, 8, 8))


def test_large_images_are_enough_to_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches layers that are initialized by the few images that a network would see at once."""
    monkeypatch.setattr("ssgan.pixels.AT_ONCE", 4 * 64)  # as if four filled the memory
    network, images = mixing_classifier(), torch.rand(120, 1, 8, 8)
    initialize_from_data(network, images)
    recalibrate(network, images)
    logits = network.train()(images)
    assert 0.02 < logits.std() < 2


def test_virtual_batch_norm_formula() -> None:
    torch.manual_seed(0)
    layer = VirtualBatchNorm(3, reference=4, eps=0.0)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(9, 3, 5, 5) * 3 + 1
    output, reference = layer(x), x[:4].transpose(0, 1).flatten(1)
    mean_r, square_r = reference.mean(1), reference.square().mean(1)
    for i, image in enumerate(x):
        share = 0.0 if i < 4 else 1 / 5
        mean = (1 - share) * mean_r + share * image.mean((1, 2))
        variance = (1 - share) * square_r + share * image.square().mean((1, 2)) - mean**2
        expected = (image - mean[:, None, None]) / variance.sqrt()[:, None, None]
        expected = expected * layer.weight[:, None, None] + layer.bias[:, None, None]
        torch.testing.assert_close(output[i], expected, rtol=1e-4, atol=1e-4)
    plain = F.batch_norm(x[:4], None, None, layer.weight, layer.bias, training=True, eps=1e-9)
    torch.testing.assert_close(output[:4], plain, rtol=1e-4, atol=1e-4)


def test_virtual_batch_norm_of_values_far_from_0() -> None:
    """Their mean square, less the square of their mean, is below 0 by rounding."""
    torch.manual_seed(0)
    values = torch.full((20, 4), 300.0) + 0.001 * torch.randn(20, 4)
    assert VirtualBatchNorm(4, reference=10)(values).isfinite().all()


def make_generator(kind: str, norm: str) -> MLPGenerator | DCGANGenerator:
    torch.manual_seed(0)
    if kind == "mlp":
        return MLPGenerator((1, 8, 8), 20, [24, 24], "sigmoid", norm, 10)
    return DCGANGenerator((1, 28, 28), latent=20, width=4, norm=norm, reference=10, init_std=0.05)


@pytest.mark.parametrize("shape", [(40, 3), (8, 3, 5, 4)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_batch_norm_of_a_shared_batch_is_torchs(shape: tuple[int, ...], memory_format: torch.memory_format) -> None:
    """Its forms for several processes, of which one has all: values and all three gradients, and x is left as it was."""
    x = torch.randn(shape) * 3 + 5
    if len(shape) == 4:
        x = x.contiguous(memory_format=memory_format)
    weight, bias, weights = torch.rand(3) + 0.5, torch.randn(3), torch.randn(shape)
    results = []
    for ours in (True, False):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
        if ours:
            mean, variance = global_moments(x)
            y = _Normalize.apply(*leaves, mean, variance, 1e-5, x.numel() // 3)
        else:
            y = F.batch_norm(leaves[0], None, None, *leaves[1:], training=True, eps=1e-5)
        results.append([y, *torch.autograd.grad((y * weights).sum(), leaves)])
        assert torch.equal(leaves[0], x)
    for of_ours, of_torchs in zip(*results, strict=True):
        torch.testing.assert_close(of_ours, of_torchs, rtol=1e-4, atol=1e-4)


def test_batch_norm_without_gain() -> None:
    """Kills a gain that is trained or saved, and one that is not there: on a GPU torch then has no gradient."""
    norm = BatchNormNoGain(3)
    assert [name for name, _ in norm.named_parameters()] == ["bias"]
    assert set(norm.state_dict()) == {"bias", "running_mean", "running_var", "num_batches_tracked"}
    assert norm.weight.tolist() == [1, 1, 1]
    with torch.device("meta"):
        loaded = BatchNormNoGain(3)
    loaded.load_state_dict(norm.state_dict(), assign=True)
    assert loaded.weight.tolist() == [1, 1, 1]
    x = torch.randn(50, 3, 4, 4) * 7 + 2
    expected = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["mlp", "dcgan"])
def test_an_image_from_a_virtual_batch_norm_depends_on_its_own_z_alone(kind: str) -> None:
    """Kills statistics of the batch at hand; and the reference batch is fixed, and travels with the weights."""
    generator = make_generator(kind, "virtual").train()
    z = generator.draw_latent(6)
    torch.testing.assert_close(generator(z)[:2], generator(z[:2]))
    batch = make_generator(kind, "batch").train()
    assert not torch.allclose(batch(z)[:2], batch(z[:2]))
    twin = make_generator(kind, "virtual")
    twin.reference_z.zero_()
    twin.load_state_dict(generator.state_dict())
    torch.testing.assert_close(twin(z), generator(z))


@pytest.mark.parametrize("kind", ["mlp", "dcgan"])
@pytest.mark.parametrize("norm", ["batch", "weight", "virtual"])
def test_norms_of_one_generator(kind: str, norm: str) -> None:
    generator = make_generator(kind, norm).train()
    images = torch.rand(200, *generator.image_shape) * 0.3
    generator.initialize(len(images))
    generator.start_from_mean(images)
    generated = generator(generator.draw_latent(200))
    assert generated.shape == images.shape
    assert abs(generated.mean() - images.mean()) < 0.05
    assert 0.001 < generated.std() < 0.5
    generated.square().mean().backward()
    assert all(p.grad is not None for p in generator.parameters())


@pytest.mark.parametrize("side", [28, 32, 64])
def test_dcgan_sizes(side: int) -> None:
    shape = (3, side, side)
    classifier = DCGANClassifier(shape, 10, 4, 0.1, 0.1, 0.05, minibatch_kernels=0, minibatch_dims=5)
    generator = DCGANGenerator(shape, latent=20, width=4, norm="batch", reference=0, init_std=0.05)
    images = generator(generator.draw_latent(3))
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    initialize_from_data(classifier, images)
    assert classifier(images).shape == (3, 10)
    assert classifier.features(images).ndim == 2


@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 30, 45), (1, 200, 200)])
def test_dcgan_refuses_sides_that_do_not_halve(shape: tuple[int, int, int]) -> None:
    with pytest.raises(SsganError, match=f"network dcgan: images of {shape[1]}x{shape[2]}"):
        DCGANGenerator(shape, latent=20, width=4, norm="batch", reference=0, init_std=0.05)


def test_generators_that_cannot_be() -> None:
    with pytest.raises(SsganError, match=r"net.generator.norm=group: use batch, weight or virtual"):
        make_generator("mlp", "group")
    with pytest.raises(SsganError, match=r"net.generator.reference=1: a reference batch needs 2 or more"):
        MLPGenerator((1, 8, 8), 20, [24], "sigmoid", "virtual", 1)


def test_one_sided_label_smoothing() -> None:
    """The cross-entropy with target 0.9 for real images, least at D = 0.9; generated ones stay at target 0."""
    logits = torch.randn(50, 10) * 5
    log_z = logits.logsumexp(1)
    smooth = 0.5 * (F.softplus(log_z) - 0.9 * log_z).mean()
    torch.testing.assert_close(losses.real_loss(logits, 0.9), smooth)
    as_cross_entropy = 0.5 * F.binary_cross_entropy_with_logits(log_z, torch.full((50,), 0.9))
    torch.testing.assert_close(losses.real_loss(logits, 0.9), as_cross_entropy)
    best = torch.tensor([[math.log(9.0)]], requires_grad=True)
    losses.real_loss(best, 0.9).backward()
    assert best.grad is not None
    assert best.grad.abs() < 1e-6


def test_losses_of_the_generator() -> None:
    """By their definitions in D = Z / (Z + 1); finite with a useful gradient where the classifier is sure."""
    logits = torch.randn(40, 3)
    d = logits.exp().sum(1) / (logits.exp().sum(1) + 1)
    torch.testing.assert_close(losses.minimax(logits), (1 - d).log().mean())
    torch.testing.assert_close(losses.non_saturating(logits), -d.log().mean())
    torch.testing.assert_close(losses.blended(logits), -(d / (1 - d)).log().mean())
    torch.testing.assert_close(losses.blended(logits), losses.minimax(logits) + losses.non_saturating(logits))
    for name, slope in (("minimax", 0.0), ("non_saturating", -1.0), ("blended", -1.0)):
        sure = torch.tensor([[-300.0]], requires_grad=True)
        getattr(losses, name)(sure).backward()
        assert sure.grad == pytest.approx(slope)


def test_preference_is_the_logistic_loss_in_either_order() -> None:
    """With r = log Z the pair's log-odds are r(a) - r(b): a drawn order changes nothing."""
    real, fake = torch.randn(20, 4), torch.randn(20, 4)
    odds = real.logsumexp(1) - fake.logsumexp(1)
    flip = torch.rand(20) < 0.5
    drawn = F.binary_cross_entropy_with_logits(torch.where(flip, -odds, odds), (~flip).float())
    torch.testing.assert_close(losses.preference(real, fake), drawn)
    assert losses.preference(real - 300, fake + 300).isfinite()


def test_historical_averaging_equals_the_definition(digits: ImageData) -> None:
    """Penalty and gradient against a stored history: kills a mean that misses the present, or a gradient through it."""
    module = make_method(historical_averaging=HistoricalAveraging(classifier=0.5))
    history: list[list[Tensor]] = []
    for _ in range(5):
        with torch.no_grad():
            for p in module.classifier.parameters():
                p.add_(torch.randn_like(p))
        history.append([p.detach().clone() for p in module.classifier.parameters()])
        module.zero_grad()
        weight, distance = module.historical("classifier")["historical_classifier"]
        term = weight * distance
        term.backward()
        means = [torch.stack(past).mean(0) for past in zip(*history, strict=True)]
        expected = 0.5 * sum((a - b).square().sum() for a, b in zip(history[-1], means, strict=True))
        torch.testing.assert_close(term, expected)
        for p, mean in zip(module.classifier.parameters(), means, strict=True):
            torch.testing.assert_close(p.grad, p.detach() - mean, rtol=1e-4, atol=1e-6)
    assert module.historical("generator") == {}
    assert len(history) == int(module.histories["classifier"].n_averaged)
    twin = make_method(historical_averaging=HistoricalAveraging(classifier=0.5))
    twin.load_state_dict(module.state_dict())
    terms = (one.historical("classifier")["historical_classifier"] for one in (twin, module))
    torch.testing.assert_close(*terms)


def test_historical_averaging_is_in_both_objectives(digits: ImageData) -> None:
    module = make_method(historical_averaging=HistoricalAveraging(classifier=0.5, generator=0.5))
    fit(module, digits, steps=2)
    means = module.means.all_reduced()
    assert means["historical_classifier"] > 0
    assert means["historical_generator"] > 0


@pytest.mark.parametrize("changes", [{"generator_loss": name} for name in ("minimax", "non_saturating", "blended")])
def test_each_objective_moves_both_players(digits: ImageData, changes: dict[str, Any]) -> None:
    module = make_method(**changes)
    before = copy.deepcopy(module.generator.state_dict())
    fit(module, digits, steps=2)
    assert changes["generator_loss"] in module.means.all_reduced()
    assert any(not torch.equal(value, before[name]) for name, value in module.generator.state_dict().items())


def test_preference_has_no_class_of_generated_images() -> None:
    """Nothing changes in its game when all logits are moved: D has no zero, and what is watched is which image is preferred."""
    with pytest.raises(SsganError, match=r"method\.fake_logit=log_classes: .* has no class K\+1"):
        make_method(generator_loss="preference", fake_logit="log_classes")
    module = make_method(generator_loss="preference")
    assert module.fake_logit is None
    out = {
        name: Output(torch.zeros(1), torch.full((5, 10), value))
        for name, value in (("real", -50.0), ("generated", -53.0))
    }
    found = module.probabilities(out)
    assert found["d_real"].item() == pytest.approx(torch.tensor(3.0).sigmoid().item())
    assert found["d_real"] + found["d_generated"] == 1


def test_preference_has_no_target() -> None:
    with pytest.raises(
        SsganError, match=r"method\.real_target=0\.9: the game of generator_loss=preference has no target"
    ):
        make_method(generator_loss="preference", real_target=0.9)


def test_preference_plays_on_both_sides(digits: ImageData) -> None:
    module = make_method(generator_loss="preference", noise=0.0, classifier=make_classifier(noise=0.0))
    real, fake = torch.randn(9, 10), torch.randn(9, 10)
    out = {name: Output(logits, logits) for name, logits in (("real", real), ("generated", fake))}
    assert module.unsupervised(out) == losses.preference(real, fake)
    fit(module, digits, steps=2)
    assert module.means.all_reduced()["preference"] > 0
