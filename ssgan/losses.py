"""Every loss of the method as a pure function of tensors (Salimans et al. 2016, arXiv 1606.03498).

Notation: ``logits`` are the K class scores l(x) of shape (N, K). The score of class K+1, "generated", is fixed
at 0 without loss of generality (sec. 5), so that ``log Z(x) = logsumexp l(x)`` and ``D(x) = Z / (Z + 1)``.
All functions compute in float32 whatever comes in, average over the batch, and stay finite for scores of +-300.
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ssgan.distributed import all_gather, all_reduce_mean


def log_partition(logits: Tensor) -> Tensor:
    """log Z(x), the log-odds that an image is real: (N, K) -> (N,), float32."""
    return torch.logsumexp(logits.float(), dim=1)


@torch.no_grad()
def probability_real(logits: Tensor) -> Tensor:
    """Mean D(x) = Z(x) / (Z(x) + 1) over images (sec. 5)."""
    return log_partition(logits).sigmoid().mean()


@torch.no_grad()
def probability_preferred(preferred: Tensor, other: Tensor) -> Tensor:
    """Mean p("the first is real") over pairs of logits (N, K); `preference` is the loss of it."""
    return (log_partition(preferred) - log_partition(other)).sigmoid().mean()


def supervised(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """-log p(y | x, y < K+1) (sec. 5, L_supervised); targets (N,) are classes in 0..K-1, or probabilities (N, K).

    The K-way cross-entropy: the fake class, conditioned away here, does not enter. With ``smoothing`` so much of the
    targets is spread over all K classes (Szegedy et al. 2016).
    """
    return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)


def real_loss(logits: Tensor, target: float = 1.0) -> Tensor:
    """-1/2 mean log D(x) over real images (sec. 5, first half of L_unsupervised).

    With log Z = LSE(l), -log D = softplus(LSE) - LSE = softplus(-LSE): one term that neither cancels nor overflows.
    The authors' code writes the two terms apart and carries the factor 1/2. A ``target`` below 1 is one-sided label
    smoothing (sec. 3.4): the cross-entropy 1/2 mean[softplus(LSE) - target LSE], least at D = target.
    """
    log_z = log_partition(logits)
    return 0.5 * (target * F.softplus(-log_z) + (1 - target) * F.softplus(log_z)).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """-1/2 mean log(1 - D(G(z))) over generated images (sec. 5, second half of L_unsupervised)."""
    return 0.5 * F.softplus(log_partition(logits)).mean()


def feature_matching(features_real: Tensor, features_fake: Tensor, norm: str) -> Tensor:
    """Distance between the batch means of f(x), both (N, F) (sec. 3.1); gradients reach features_fake only.

    ``norm="l2"`` is the mean over features of the squared difference, ``"l1"`` that of the absolute difference.
    The paper writes the squared L2 norm and the authors' MNIST code divides it by F; their CIFAR and SVHN code is L1.
    Not a distance between pairs of images: the batches may be permuted, or of different sizes. Of several processes,
    the means are those of the global batch.
    """
    difference = all_reduce_mean(features_fake.float().mean(0) - features_real.detach().float().mean(0))
    if norm == "l2":
        return difference.square().mean()
    if norm == "l1":
        return difference.abs().mean()
    raise ValueError(f"norm={norm!r}: use 'l1' or 'l2'")


def pull_away(features: Tensor) -> Tensor:
    """Mean squared cosine between f(x) of different images (Zhao et al. 2017, eq. 6): (N, F), N > 1, in [0, 1].

    A generator that also descends it spreads its images over the feature space (Dai et al. 2017, sec. 5.1): batch
    means alone can be matched by a few images drawn again and again. Not in the paper. Of several processes, the pairs
    are those of the global batch.
    """
    unit = F.normalize(all_gather(features.float()), dim=1)
    with torch.autocast(features.device.type, enabled=False):
        cosines = unit @ unit.t()
    n = len(unit)
    return (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over images of sum_k (p_k - q_k)^2, in [0, 2]; p of ``logits`` (N, K), q the probabilities ``targets`` (N, K)."""
    return (logits.float().softmax(1) - targets).square().sum(1).mean()


def consistency(logits: Tensor, teacher: Tensor) -> Tensor:
    """`squared_error` to the class probabilities of ``teacher``, logits (N, K) (Tarvainen and Valpola 2017, sec. 2).

    Gradients reach ``logits`` only. Their code divides by K and weighs it up to 100. Not in the paper.
    """
    return squared_error(logits, teacher.detach().float().softmax(1))


def soft_targets(teacher: Tensor, temperature: float) -> Tensor:
    """q^(1/temperature), normalized (Berthelot et al. 2019, eq. 7), of the class probabilities q of ``teacher`` (N, K).

    At a temperature of 0 all on the most probable class. Without gradients.
    """
    logits = teacher.detach().float()
    if not temperature:
        return F.one_hot(logits.argmax(1), logits.shape[1]).to(logits)
    return (logits / temperature).softmax(1)


def pseudo_label(logits: Tensor, teacher: Tensor, threshold: float | Tensor, temperature: float = 0.0) -> Tensor:
    """mean 1[max q >= threshold] H(q', p) (Sohn et al. 2020, eq. 4), over all images of the batch.

    p are the class probabilities of ``logits`` (N, K), q those of ``teacher`` (N, K), on other views of the same images,
    and q' the `soft_targets`; ``threshold`` may be one for each image, (N,). Gradients reach ``logits`` only. Images
    below the threshold count as 0 in the mean. Not in the paper.
    """
    confidence = teacher.detach().float().softmax(1).amax(1)
    each = F.cross_entropy(logits.float(), soft_targets(teacher, temperature), reduction="none")
    return (each * (confidence >= threshold)).mean()


def kl_divergence(logits: Tensor, other: Tensor) -> Tensor:
    """Mean over images of KL(p || p'), p and p' the class probabilities of ``logits`` and ``other``, (N, K) each."""
    log_p, log_q = logits.float().log_softmax(1), other.float().log_softmax(1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


DIRECTION_SCALE = 1024
"""What each image's divergence is multiplied by where its gradient gives a direction alone: that of a sure image is too small to be
brought to a norm."""


def virtual_adversarial(
    network: Callable[[Tensor], Tensor], images: Tensor, logits: Tensor, start: Tensor, radius: float, step: float
) -> Tensor:
    """KL(p(x) || p(x + r)) with the r of norm ``radius`` for which it is about largest (Miyato et al. 2018, sec. 3).

    ``logits`` (N, K) are those of ``network`` on ``images`` (N, C, H, W), and no gradients reach them. One power iteration
    (alg. 1) turns ``start``, a random direction for each image, into r, from the gradient of the divergence at a distance of ``step``. Not in the
    paper.
    """
    logits = logits.detach()
    direction = step * _unit_norm(start)
    direction.requires_grad_()
    divergence = kl_divergence(logits, network(images + direction))
    [gradient] = torch.autograd.grad(DIRECTION_SCALE * len(images) * divergence, direction)
    return kl_divergence(logits, network(images + radius * _unit_norm(gradient)))


def _unit_norm(images: Tensor) -> Tensor:
    """Each of (N, C, H, W) divided by its norm; nothing stays nothing."""
    return F.normalize(images.flatten(1)).view_as(images)


def entropy(logits: Tensor) -> Tensor:
    """Mean over images of H(p(y | x, y < K+1)), in nats, from logits (N, K) (Grandvalet and Bengio 2005). Not in the paper."""
    log_p = logits.float().log_softmax(1)
    return -(log_p.exp() * log_p).sum(1).mean()


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over values of (a - b)^2 for each image, (N, F) each -> (N,); gradients reach both."""
    return (a.float() - b.float()).square().mean(1)


def class_balance(logits: Tensor) -> Tensor:
    """KL from equal shares of all classes to the mean of p(y | x) over a batch of logits (N, K): L_p of Tanaka et al.
    2018. 0 or more, and 0 when every class has its share.

    For images whose classes are about equally frequent. With few labels a class can take the images of another one
    over; this holds it back. Not in the paper. Of several processes, the mean is that of the global batch.
    """
    shares = all_reduce_mean(logits.float().softmax(1).mean(0))
    return -shares.clamp_min(1e-8).log().mean() - math.log(len(shares))


def minimax(logits: Tensor) -> Tensor:
    """mean log(1 - D(G(z))): the generator's side of the game as Goodfellow et al. 2014 first write it (eq. 1)."""
    return -F.softplus(log_partition(logits)).mean()


def non_saturating(logits: Tensor) -> Tensor:
    """-mean log D(G(z)) (Goodfellow et al. 2014, sec. 3): a gradient where the classifier is sure, too."""
    return F.softplus(-log_partition(logits)).mean()


def blended(logits: Tensor) -> Tensor:
    """-mean logit D(G(z)), the sum of the two above: against an optimal classifier it descends KL[Q || P]."""
    return -log_partition(logits).mean()


ADVERSARIAL = {"minimax": minimax, "non_saturating": non_saturating, "blended": blended}
"""Losses of a generator that need only the logits of generated images, by name."""


def preference(preferred: Tensor, other: Tensor) -> Tensor:
    """-mean log p("the first is real") over pairs of logits (N, K): the adversarial preference loss.

    Shown one real and one generated image in random order, the best answer has the log-odds r(a) - r(b), where r is
    that of real against generated for one image. So a difference of two log Z loses nothing, and it makes both orders
    cost the same: none needs to be drawn.
    """
    return F.softplus(log_partition(other) - log_partition(preferred)).mean()


def historical_averaging(parameters: Iterable[Tensor], means: Iterable[Tensor]) -> Tensor:
    """sum |theta - mean_i theta[i]|^2 over all parameters (sec. 3.3); gradients reach ``parameters`` only."""
    pairs = zip(parameters, means, strict=True)
    return torch.stack([(theta - mean.detach()).square().sum() for theta, mean in pairs]).sum()
