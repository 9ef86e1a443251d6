"""The classifiers whose scores are a linear function of the features."""

from __future__ import annotations

import numpy as np

from lowshot.classifiers.base import LowShotClassifier


class LinearLowShotClassifier(LowShotClassifier):
    """Scores are ``X @ coef_.T + intercept_``; subclasses fit the two.

    Attributes:
        coef_: (C, D) float64.
        intercept_: (C,) float64.
    """

    coef_: np.ndarray
    intercept_: np.ndarray

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return linear_scores(X, self.coef_, self.intercept_)


def linear_scores(X: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """(N, C) scores in the dtype of the (N, D) features."""
    return X @ coef.T.astype(X.dtype) + intercept.astype(X.dtype)
