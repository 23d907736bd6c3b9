"""The game without labels (Goodfellow et al. 2014), to compare the paper's techniques by their pictures alone."""

from torch import Tensor

from ssgan.data.datamodule import Batch
from ssgan.methods.base import Terms
from ssgan.methods.improved_gan import ImprovedGAN


class GAN(ImprovedGAN):
    """`ImprovedGAN` less its supervised term, for a classifier with one logit: log Z is that logit, D its sigmoid."""

    def classifier_loss(self, batch: Batch, generated: Tensor) -> Terms:
        on_real, on_generated = self.logits(batch["unlabeled"], generated)
        return {
            "unsupervised": (self.unlabeled_weight * self.ramp_up(), self.unsupervised(on_real, on_generated)),
            **self.historical("classifier"),
        }
