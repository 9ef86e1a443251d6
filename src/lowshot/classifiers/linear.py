"""Classifiers whose scores are a linear function of the features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowshot.classifiers.base import LowShotClassifier
from lowshot.estimator_files import LearnedState

if TYPE_CHECKING:
    import torch


class LinearLowShotClassifier(LowShotClassifier):
    """Base class of classifiers with the scores ``X @ coef_.T + intercept_``. Subclasses fit the two.

    Attributes:
        coef_ (array, (C, D)): The weights.
        intercept_ (array, (C,)): The intercepts.
    """

    coef_: np.ndarray
    intercept_: np.ndarray

    def _check_learned(self, learned: LearnedState) -> None:
        learned.array("coef_", "C", "D")
        learned.array("intercept_", "C")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return linear_scores(X, self.coef_, self.intercept_)

    def _as_torch(self) -> torch.nn.Module:
        from lowshot.classifiers.torch_modules import linear_layer

        return linear_layer(self.coef_, self.intercept_)


def linear_scores(X: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """(N, C) scores of (N, D) features by (C, D) weights and (C,) intercepts, in the dtype of the features."""
    return X @ coef.T.astype(X.dtype) + intercept.astype(X.dtype)
