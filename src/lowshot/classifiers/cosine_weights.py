"""What classifiers share that compare a feature with one weight per class by the cosine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowshot.classifiers.transforms import TransformsFeatures
from lowshot.estimator_files import LearnedState

if TYPE_CHECKING:
    import torch


class CosineWeights(TransformsFeatures):
    """Mixin of classifiers that score by ``scale_ * cos(feature, coef_)``, with weights of length one.

    Attributes:
        coef_ (array, (C, D) float64): The weights of the classes, of length one.
        scale_ (float): The scale of the cosines.
    """

    scale: float
    coef_: np.ndarray
    scale_: float
    _base_coef_: np.ndarray
    _base_scale_: float

    def _imprint_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Set the novel weights to the normalised means of normalised shots (Qi et al. 2018, section 3.2)."""
        self.coef_, self.scale_ = self._unit_means(X, codes), float(self.scale)
        if self.n_base_classes_:
            self.coef_, self.scale_ = np.vstack([self._base_coef_, self.coef_]), self._base_scale_

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        learned.array("coef_", "C", "D")
        learned.number("scale_")
        if self.n_base_classes_:
            learned.array("_base_coef_", "B", "D")
            learned.number("_base_scale_")

    def _cosine_scores(self, transformed: np.ndarray) -> np.ndarray:
        """(N, C) scores of (N, D) transformed features, in their dtype."""
        return transformed @ (self.scale_ * self.coef_).T.astype(transformed.dtype)

    def _cosine_layer(self) -> torch.nn.Module:
        """:meth:`_cosine_scores` as a torch module."""
        from lowshot.classifiers.torch_modules import linear_layer

        return linear_layer(self.scale_ * self.coef_)
