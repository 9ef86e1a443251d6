"""The classifier on top of a trunk: scores of features, linear in a weight per class."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class LinearHead(nn.Linear):
    """Scores φ Wᵀ without bias, as in Hariharan & Girshick (arXiv 1606.02819): a class is a direction of features.

    Another head is a subclass that overrides :meth:`inputs` and :meth:`class_weight`. Its scores stay the product of
    the two, which auxiliary losses and generators, for instance, rely on.

    Args:
        feature_dim (int): The dimension D of the features.
        num_classes (int): The number C of classes.

    Attributes:
        weight (float, (C, D)): The trained parameter.
        uses_length (bool): True if the scores depend on the length of the features.
    """

    uses_length: ClassVar[bool] = True

    def __init__(self, feature_dim: int, num_classes: int) -> None:
        super().__init__(feature_dim, num_classes, bias=False)

    def inputs(self, features: Tensor) -> Tensor:
        """Return what the weight of a class is multiplied with, (N, D), for features (N, D)."""
        return features

    def class_weight(self) -> Tensor:
        """Return the weight (C, D) in which the scores are linear: scores = inputs(features) @ class_weight().T."""
        return self.weight

    def forward(self, features: Tensor) -> Tensor:
        """Compute the scores (N, C) of features (N, D)."""
        return F.linear(self.inputs(features), self.class_weight())
