"""The squared gradient magnitude of each example."""

from __future__ import annotations

from torch import Tensor

from lowshot.papers import HARIHARAN_2017
from lowshot.registry import LOSSES
from lowshot.representation.losses.base import AuxiliaryLoss, residuals


@LOSSES.register("sgm", "squared gradient magnitude of the classifier, averaged over examples", bibtex=HARIHARAN_2017)
class SGMLoss(AuxiliaryLoss):
    """Squared gradient magnitude (Hariharan & Girshick, arXiv 1606.02819, section on the representation).

    The gradient of an example's cross-entropy with respect to the classifier weight is (p − y) φᵀ, whose squared
    Frobenius norm is ‖y − p‖² · ‖φ‖². If it is small for every example, a classifier learned on few examples is close
    to one learned on many. The norm is also a penalty on the features, with a larger weight for badly classified
    examples; :class:`FeatureL2Loss` weighs all examples alike, and :class:`BatchSGMLoss` lets the gradients of a batch
    cancel.
    """

    takes_distributions = True

    def formula(self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None) -> Tensor:
        """Compute the mean over examples of ‖y − p‖² · ‖φ‖²."""
        error = residuals(scores, labels).square().sum(dim=1)
        return (error * features.square().sum(dim=1)).mean()
