"""The two-player step moves each player by its own loss and nothing else."""

import copy
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from conftest import make_classifier
from torch import Tensor, nn

from ssgan import losses
from ssgan.data.augmentation import Augmentation
from ssgan.data.datamodule import SemiSupervisedData
from ssgan.data.image_data import ImageData
from ssgan.data.splits import draw_split
from ssgan.errors import SsganError
from ssgan.methods.base import Output
from ssgan.methods.improved_gan import ImprovedGAN
from ssgan.methods.supervised import Supervised
from ssgan.methods.terms import Terms
from ssgan.nets import MLPClassifier, MLPGenerator, SmallClassifier
from ssgan.nets.base import forward_concatenated
from ssgan.nets.ema import ema_of
from ssgan.nets.initialization import discriminations
from ssgan.nets.layers.batch_norm import batch_norms
from ssgan.seeds import derive_seed

LINEAR = {"_target_": "ssgan.methods.schedule.linear", "constant_fraction": 0.5}
SHARED = {"ema_decay": 0.9, "ema_every": 1, "schedule": LINEAR, "noise_pool": 1 << 16}


def sgd(lr: float) -> dict[str, Any]:
    return {"_target_": "torch.optim.SGD", "lr": lr}


def weights(**of_terms: float) -> Terms:
    """weights(consistency=1.0): these terms, and no other."""
    terms = Terms()
    for name, weight in of_terms.items():
        getattr(terms, name).weight = weight
    return terms


def make_method(noise: float = 0.3, lr: float = 0.1, classifier: Any = None, **settings: Any) -> ImprovedGAN:
    torch.manual_seed(0)
    networks = (
        make_classifier(noise) if classifier is None else classifier,
        MLPGenerator((1, 8, 8), latent=20, hidden=[24, 24], output="sigmoid"),
    )
    optimizers = {"classifier_optimizer": sgd(lr), "generator_optimizer": sgd(lr)}
    return uninitialized(ImprovedGAN(*networks, ImprovedGAN.Config(**(SHARED | optimizers | settings))))


def uninitialized(module: Any) -> Any:
    """With the weights that it has: a test may change them before the first step."""
    module.needs_initialization = False
    return module


def step_with_another_teacher(module: Any, digits: ImageData) -> tuple[Any, Any, dict[str, Tensor]]:
    """One step with a teacher that is not the student: the student before it, the teacher of it, and the batch."""
    before, teacher = OneStep(), uninitialized(module).ema_classifier.module
    with torch.no_grad():
        for p in teacher.parameters():
            p.mul_(1.5)
    state = {name: value.clone() for name, value in teacher.state_dict().items()}
    fit(module, digits, steps=1, callbacks=[before])
    teacher.load_state_dict(state)
    return before.classifier.train(), teacher, before.batch


def assert_sgd_step(new: nn.Module, old: nn.Module, loss: Tensor, lr: float = 0.1) -> None:
    """``new`` is ``old`` after a step of plain SGD on ``loss``."""
    gradients = torch.autograd.grad(loss, list(old.parameters()))
    for after, before, gradient in zip(new.parameters(), old.parameters(), gradients, strict=True):
        torch.testing.assert_close(after, before - lr * gradient, rtol=1e-4, atol=1e-6)


def fit(
    module: pl.LightningModule, digits: ImageData, steps: int = 3, epochs: int = 1, batch_size: int = 50, **trainer: Any
) -> pl.Trainer:
    split = draw_split(digits.train_targets.numpy(), 10, 50, 0, 100)
    data = SemiSupervisedData(digits, split, batch_size, strong=Augmentation(digits.image_shape))
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    runner = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, limit_train_batches=steps, limit_val_batches=0, **quiet, **trainer
    )
    runner.fit(module, datamodule=data)
    return runner


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(p, before[name]) for name, p in network.named_parameters())


def changed_players(module: ImprovedGAN, before: list[dict[str, Tensor]]) -> list[bool]:
    return [changed(module.classifier, before[0]), changed(module.generator, before[1])]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_each_turn_moves_its_player_and_leaves_no_gradient_in_the_other(
    digits: ImageData, precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills gradients of the generator's turn left in the classifier, and a classifier loss that reaches through G."""
    module, turns, optimize = make_method(), [], ImprovedGAN.optimize

    def checked(self: ImprovedGAN, player: str, *arguments: Any) -> None:
        before = [snapshot(self.classifier), snapshot(self.generator)]
        self.zero_grad(set_to_none=True)
        optimize(self, player, *arguments)
        assert changed_players(self, before) == [player == "classifier", player == "generator"]
        other = self.generator if player == "classifier" else self.classifier
        assert all(p.grad is None for p in other.parameters())
        assert all(p.requires_grad for p in [*self.classifier.parameters(), *self.generator.parameters()])
        turns.append(player)

    monkeypatch.setattr(ImprovedGAN, "optimize", checked)
    fit(module, digits, precision=precision)
    assert turns == ["classifier", "generator"] * 3


class OneStep(pl.Callback):
    """Keeps what the step is computed from."""

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.batch = {key: value.clone() for key, value in batch.items()}
        self.classifier = copy.deepcopy(module.classifier)
        self.generator = copy.deepcopy(getattr(module, "generator", None))


@pytest.mark.parametrize(("reuse", "generated"), [(False, None), (True, None), (False, 20), (True, 20)])
def test_one_step_equals_the_algorithm_written_out(digits: ImageData, reuse: bool, generated: int | None) -> None:
    """The paper's step with plain SGD, noise layers at 0, three separate passes and its formulas as they stand.

    But for one thing: both players see the same generated images. With features reused, the real ones are those of the
    classifier's own batch before its step. With fewer generated images there are fewer real ones against them.
    """
    settings = {"unlabeled_weight": 1.4, "ramp_up_epochs": 2, "generated_batch_size": generated}
    before, module = OneStep(), make_method(noise=0.0, reuse_features=reuse, **settings)
    fit(module, digits, steps=1, callbacks=[before])
    c, g, batch = before.classifier.train(), before.generator.train(), before.batch
    rng = torch.Generator().manual_seed(derive_seed("latent", 0, 0))

    count = generated or 50
    images = g(g.draw_latent(count, rng))
    real = c.features(batch["unlabeled"][:count])
    lab, unl, fake = c(batch["labeled"]), c(batch["unlabeled"][:count]), c(images.detach())
    lse_unl, lse_fake = unl.logsumexp(1), fake.logsumexp(1)
    supervised = (lab.logsumexp(1) - lab.gather(1, batch["targets"][:, None])[:, 0]).mean()
    unsupervised = (
        -0.5 * lse_unl.mean()
        + 0.5 * nn.functional.softplus(lse_unl).mean()
        + 0.5 * nn.functional.softplus(lse_fake).mean()
    )
    (supervised + 1.4 / 2 * unsupervised).backward()  # half of the way up
    with torch.no_grad():
        for p in c.parameters():
            p.sub_(0.1 * p.grad)
    real = real if reuse else c.features(batch["generator_unlabeled"][:count])
    parameters = list(g.parameters())
    difference = c.features(images).mean(0) - real.detach().mean(0)
    gradients = torch.autograd.grad(difference.square().mean(), parameters)
    with torch.no_grad():
        for p, gradient in zip(parameters, gradients, strict=True):
            p.sub_(0.1 * gradient)

    for ours, written_out in ((module.classifier, c), (module.generator, g)):
        for (name, a), b in zip(ours.named_parameters(), written_out.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("term", ["pseudo_label", "consistency"])
def test_what_is_told_apart_has_a_pass_of_its_own_if_images_act_on_each_other(
    digits: ImageData, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches generated images among real ones in a batch norm or in its running statistics, and a second pass over those
    that another term wants.
    """
    classifier = SmallClassifier((1, 8, 8), 10, [4, 4])
    module = make_method(classifier=classifier, generated_batch_size=20, terms=weights(**{term: 1.0}))
    passes: list[tuple[int, bool]] = []
    features = classifier.features

    def counted(images: Tensor) -> Tensor:
        norms = batch_norms(classifier)
        before = [norm.running_mean.clone() for norm in norms]
        out = features(images)
        passes.append((len(images), not all(map(torch.equal, before, (norm.running_mean for norm in norms)))))
        return out

    monkeypatch.setattr(classifier, "features", counted)
    fit(module, digits, steps=1)
    of_generator = [(20, False), (20, False)]
    if term == "pseudo_label":  # labeled and strong views together, then real images
        assert passes == [(100, True), (20, True), (20, False), *of_generator]
    else:  # labeled images, then all unlabeled ones, the real ones among them
        assert passes == [(50, True), (50, True), (20, False), *of_generator]


def test_generated_images_have_the_classifiers_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a generator of images in [0, 1] that starts from, or is judged as, images in [-1, 1]."""
    module, seen = make_method(classifier=SmallClassifier((1, 8, 8), 10, [4, 4])), []
    monkeypatch.setattr(module.generator, "start_from_mean", seen.append)
    images = 2 * torch.rand(100, 1, 8, 8) - 1
    module.initialize(images)
    torch.testing.assert_close(seen[0], (images + 1) / 2)
    torch.testing.assert_close(module.generate(20), 2 * module.generator(module.z) - 1)


def test_no_more_images_are_generated_than_there_are_real_ones() -> None:
    with pytest.raises(SsganError, match=r"generated_batch_size=101: at most method\.batch_size, 100"):
        make_method(generated_batch_size=101)


def test_ramp_up_reaches_the_full_weight(digits: ImageData) -> None:
    """Kills a ramp that starts anew every epoch, never ends, or overshoots."""
    shares: list[float] = []

    class Shares(pl.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *rest: Any) -> None:
            shares.append(module.ramp_up())

    fit(make_method(ramp_up_epochs=2), digits, steps=2, epochs=3, callbacks=[Shares()])
    fit(make_method(), digits, steps=1, callbacks=[Shares()])
    assert shares == [0.25, 0.5, 0.75, 1, 1, 1, 1]


def assert_moved_further(network: nn.Module, plain: nn.Module, gradients: Sequence[Tensor], rate: float) -> None:
    """``network`` is ``plain`` after one more step along ``gradients``."""
    for p, without, gradient in zip(network.parameters(), plain.parameters(), gradients, strict=True):
        torch.testing.assert_close(p, without - rate * gradient, rtol=1e-4, atol=1e-6)


def one_step_with_and_without(
    digits: ImageData, *callbacks: pl.Callback, ramp_up: int = 0, **term: float
) -> tuple[ImprovedGAN, ImprovedGAN]:
    """The method after a step with ``term``, which ``callbacks`` watch, and after one without it."""
    module, plain = (
        make_method(noise=0.0, terms=terms, ramp_up_epochs=ramp_up) for terms in (weights(**term), Terms())
    )
    fit(module, digits, steps=1, callbacks=list(callbacks))
    fit(plain, digits, steps=1)
    return module, plain


def test_pull_away_moves_the_generator_by_its_own_features(digits: ImageData) -> None:
    """Kills a term that is logged and not descended, one of real images, and one that rises as those of unlabeled images do."""
    before = OneStep()
    module, plain = one_step_with_and_without(digits, before, ramp_up=2, pull_away=0.7)
    g = before.generator.train()
    images = g(g.draw_latent(50, torch.Generator().manual_seed(derive_seed("latent", 0, 0))))
    term = losses.pull_away(module.classifier.features(images))
    torch.testing.assert_close(module.means.all_reduced()["pull_away"], term.item())
    gradients = torch.autograd.grad(term, list(g.parameters()))
    assert_moved_further(module.generator, plain.generator, gradients, 0.1 * 0.7)


def test_consistency_moves_the_classifier_towards_its_average(digits: ImageData) -> None:
    """Kills a term that is logged and not descended, one that teaches the average, and one of the same view."""

    class OtherView(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            batch["second_view"].copy_(batch["second_view"].flip(3))

    before = OneStep()
    module, plain = one_step_with_and_without(digits, OtherView(), before, consistency=0.7)
    c, batch = before.classifier.train(), before.batch
    term = losses.consistency(c(batch["unlabeled"]), c(batch["unlabeled"].flip(3)))  # the average is still c itself
    torch.testing.assert_close(module.means.all_reduced()["consistency"], term.item())
    gradients = torch.autograd.grad(term, list(c.parameters()))
    assert_moved_further(module.classifier, plain.classifier, gradients, 0.1 * 0.7)


def test_balance_moves_the_classifier_towards_equal_shares(digits: ImageData) -> None:
    """Kills a term that is logged and not descended, and the shares of labeled or generated images."""
    before = OneStep()
    module, plain = one_step_with_and_without(digits, before, class_balance=0.7)
    c = before.classifier.train()
    term = losses.class_balance(c(before.batch["unlabeled"]))
    torch.testing.assert_close(module.means.all_reduced()["class_balance"], term.item())
    gradients = torch.autograd.grad(term, list(c.parameters()))
    assert_moved_further(module.classifier, plain.classifier, gradients, 0.1 * 0.7)


def test_what_is_logged_does_not_depend_on_its_weight(digits: ImageData) -> None:
    """Kills a collapse watch that takes a small weight, or the start of a ramp-up, for an unsupervised loss near 0."""
    first = []
    for weight in (1.0, 0.01):
        module = make_method(unlabeled_weight=weight)
        fit(module, digits, steps=1)
        first.append(module.means.all_reduced()["unsupervised"])
    assert first[0] == first[1] > 0.1


@pytest.mark.parametrize("multiple", [1, 32])
def test_one_pass_equals_separate_passes(multiple: int) -> None:
    network = make_classifier(noise=0.0)
    batches = [torch.rand(n, 1, 8, 8) for n in (5, 30, 7)]
    for joined, batch in zip(forward_concatenated(network, batches, multiple), batches, strict=True):
        torch.testing.assert_close(joined, network(batch))


def test_supervised_draws_labeled_images_only(digits: ImageData) -> None:
    """Catches a baseline that is helped by unlabeled images, and views that are drawn and not used."""

    class Seen(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            assert set(batch) == {"labeled", "targets"}

    module = Supervised(make_classifier(), Supervised.Config(**SHARED, classifier_optimizer=sgd(0.1)))
    before = snapshot(module.classifier)
    fit(module, digits, callbacks=[Seen()])
    assert changed(module.classifier, before)


def test_average_is_corrected_for_its_start() -> None:
    """sum_i (1-r)^(t-i) r p_i / (1 - (1-r)^t): kills an average that starts near zero, or at the first weights."""
    network, rate = nn.Linear(3, 2), 0.25
    average = ema_of(network, rate)
    history = []
    for _ in range(6):
        nn.init.normal_(network.weight)
        history.append(network.weight.detach().clone())
        average.update_parameters(network)
    t = len(history)
    weights = [rate * (1 - rate) ** (t - 1 - i) / (1 - (1 - rate) ** t) for i in range(t)]
    torch.testing.assert_close(average.module.weight, sum(w * p for w, p in zip(weights, history, strict=True)))
    assert not any(p.requires_grad for p in average.parameters())
    assert not average.training


def test_averages_follow_training_and_average_every(digits: ImageData) -> None:
    module = make_method(ema_every=2)
    fit(module, digits, steps=5)
    assert int(module.ema_classifier.n_averaged) == 2
    assert int(module.ema_generator.n_averaged) == 2
    assert module.ema_rate == pytest.approx(1 - 0.9**2)
    for average, network in module.ema_pairs():
        assert changed(average.module, snapshot(network))


def test_averages_of_a_run_shorter_than_their_interval(digits: ImageData) -> None:
    """Catches a run that ends with the weights that it began with."""
    module = make_method(ema_every=5)
    fit(module, digits, steps=2)
    assert int(module.ema_classifier.n_averaged) == 1


def test_learning_rate_is_constant_and_then_falls_to_zero(digits: ImageData) -> None:
    rates = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    fit(make_method(), digits, steps=4, epochs=2, callbacks=[Rates()])
    assert [rate for rate, _ in rates] == pytest.approx([0.1] * 5 + [0.075, 0.05, 0.025])
    assert [a for a, _ in rates] == [b for _, b in rates]


def test_the_averaged_classifier_compares_with_real_images_in_training(digits: ImageData) -> None:
    """The collapse watch asks it: with a batch of zeros to compare with it names other classes for half of the images."""
    network = MLPClassifier((1, 8, 8), 10, [24, 16], 0.1, 0.1, 0.1, minibatch_kernels=4, minibatch_dims=3)
    module = make_method(classifier=network)
    module.needs_initialization = True
    seen: list[float] = []

    class Look(pl.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            seen.extend(layer.others_seen.abs().sum().item() for layer in discriminations(module.ema_classifier))

    fit(module, digits, steps=2, callbacks=[Look()])
    assert len(seen) == 2
    assert min(seen) > 0


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "blended", "preference"])
def test_the_generators_loss_is_the_one_named(name: str) -> None:
    """Kills a game that the generator plays on the other side, and a class K+1 at another logit."""
    fake_logit = "zero" if name == "preference" else "log_classes"
    method = make_method(noise=0.0, generator_loss=name, fake_logit=fake_logit)
    method._trainer = SimpleNamespace(num_training_batches=1)
    images, others = torch.rand(6, 1, 8, 8), torch.rand(6, 1, 8, 8)
    loss = method.generator_loss({"generated": images, "generator_unlabeled": others})[name][1]
    fake, real = method.classifier(images), method.classifier(others)
    if name == "preference":
        torch.testing.assert_close(loss, losses.preference(fake, real))
    else:
        torch.testing.assert_close(loss, getattr(losses, name)(fake - math.log(10)))


def test_targets_are_those_of_the_keys() -> None:
    method, k = make_method(real_target=0.9, fake_logit="log_classes"), math.log(10)
    real, fake, targets = torch.randn(9, 10), torch.randn(9, 10), torch.arange(9)
    out = {"real": Output(real, real), "generated": Output(fake, fake)}
    expected = losses.real_loss(real - k, 0.9) + losses.fake_loss(fake - k)
    torch.testing.assert_close(method.unsupervised(out), expected)
    smoothed = Supervised(make_classifier(), Supervised.Config(label_smoothing=0.2))
    _, loss = smoothed.label_terms({"targets": targets}, {"labeled": Output(real, real)})["supervised"]
    torch.testing.assert_close(loss, F.cross_entropy(real, targets, label_smoothing=0.2))
