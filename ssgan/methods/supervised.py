"""The baseline: the same classifier, trained on the labeled images alone."""

from ssgan.methods.base import Method


class Supervised(Method):
    """Cross-entropy of labeled images; noise, EMA and schedule as in the semi-supervised methods."""
