"""A penalty on the length of the features."""

from __future__ import annotations

from torch import Tensor

from lowshot.papers import HARIHARAN_2017
from lowshot.registry import LOSSES
from lowshot.representation.losses.base import AuxiliaryLoss


@LOSSES.register("feature_l2", "half the mean squared length of the features", bibtex=HARIHARAN_2017)
class FeatureL2Loss(AuxiliaryLoss):
    """Feature regularisation, the simpler relative of SGM (Hariharan & Girshick, arXiv 1606.02819).

    It differs from :class:`SGMLoss` in that all examples have the same weight, however well they are classified.
    """

    takes_distributions = True
    uses_length = True

    def formula(self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None) -> Tensor:
        """Compute Σ ‖φ‖² / (2N)."""
        return features.square().sum() / (2 * len(features))
