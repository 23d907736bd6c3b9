"""Running means of the teacher's predictions: what aligned pseudo-labels and self-adaptive thresholds are made of."""

import torch
from torch import Tensor, nn

from ssgan.distributed import all_reduce_mean


class RunningMeans(nn.Module):
    """Of class probabilities q (K) and of max q, over steps and processes; both start at 1 / K (FreeMatch, eq. 4 to 6).

    decay: a step's share is 1 - decay
    """

    shares: Tensor
    confidence: Tensor

    def __init__(self, classes: int, decay: float):
        super().__init__()
        self.decay = decay
        self.step: int | None = None
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.register_buffer("confidence", torch.tensor(1 / classes))

    @torch.no_grad()
    def update(self, log_q: Tensor, step: int | None = None) -> None:
        """Take in a batch of log-probabilities (N, K); of a ``step`` the first one alone: a method and a term may both guess."""
        if step is not None and step == self.step:
            return
        self.step = step
        q = log_q.exp()
        now = all_reduce_mean(torch.cat([q.mean(0), q.amax(1).mean(0, keepdim=True)]))
        self.shares.lerp_(now[:-1], 1 - self.decay)
        self.confidence.lerp_(now[-1], 1 - self.decay)

    def aligned(self, log_q: Tensor) -> Tensor:
        """log of q / mean q, normalized, (N, K) (Berthelot et al. 2020, sec. 3.1, for classes that are equally frequent)."""
        return (log_q - self.shares.clamp_min(1e-8).log()).log_softmax(1)

    def thresholds(self, classes: Tensor) -> Tensor:
        """Least probability of a pseudo-label of each of ``classes`` (N,): mean max q times its share over the largest
        one (Wang et al. 2023, FreeMatch, eq. 7), (N,)."""
        return self.confidence * (self.shares / self.shares.amax())[classes]
