"""The squared gradient magnitude of a batch."""

from __future__ import annotations

from torch import Tensor

from lowshot.papers import HARIHARAN_2017
from lowshot.registry import LOSSES
from lowshot.representation.losses.base import AuxiliaryLoss, residuals


@LOSSES.register("batch_sgm", "squared magnitude of the batch's mean gradient of the classifier", bibtex=HARIHARAN_2017)
class BatchSGMLoss(AuxiliaryLoss):
    """Squared norm of the mean gradient of a batch (Hariharan & Girshick, arXiv 1606.02819, appendix and code).

    It differs from :class:`SGMLoss` in that the gradients are averaged before the norm is taken, so that those of
    different examples may cancel.
    """

    takes_distributions = True

    def formula(self, features: Tensor, scores: Tensor, labels: Tensor, classifier_weight: Tensor | None) -> Tensor:
        """Compute ‖ (1/N) (y − p)ᵀ φ ‖²_F."""
        gradient = residuals(scores, labels).T @ features / len(labels)
        return gradient.square().sum()
