"""Feature transforms of SimpleShot (Wang et al. 2019, arXiv 1911.04623, section 3).

"none" leaves the features as they are, "l2" scales each to length one, "centred_l2" first subtracts a centre: the mean
of the base features, or of the given ones where there are no base classes, in which classes of unequal size weigh the
same. Features that end in a ReLU all lie in one corner of the space, where every cosine is near one; centring widens
the angles between classes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lowshot.checks import check_choice
from lowshot.classifiers.moments import class_means
from lowshot.estimator_files import LearnedState

TRANSFORMS = ("none", "l2", "centred_l2")


class TransformsFeatures:
    """Mixin of classifiers that transform every feature by their parameter ``feature_transform``.

    Attributes:
        feature_transforms (tuple of str): The values that the parameter may have.
    """

    feature_transforms: ClassVar[tuple[str, ...]] = TRANSFORMS
    feature_transform: str
    n_base_classes_: int
    _centre_: np.ndarray

    def _fit_centre(self, X: np.ndarray, codes: np.ndarray, weights: np.ndarray | None) -> None:
        """Learn the (D,) float64 centre; it is zero where the transform subtracts nothing.

        Args:
            X (array, (N, D)): The features.
            codes (array, (N,) int): Their classes, 0..C-1.
            weights (array, (C,), optional): The weight of an example of each class; None for equal ones.
        """
        check_choice("feature_transform", self.feature_transform, self.feature_transforms)
        if self.feature_transform != "centred_l2":
            self._centre_ = np.zeros(X.shape[1])
        elif weights is None:
            self._centre_ = X.mean(axis=0, dtype=np.float64)
        else:
            self._centre_ = np.bincount(codes) * weights / len(codes) @ class_means(X, codes, len(weights))

    def _classes_are_independent(self) -> bool:
        """True where the transform does not depend on the novel classes."""
        return self.n_base_classes_ > 0 or self.feature_transform != "centred_l2"

    def _check_learned(self, learned: LearnedState) -> None:
        learned.array("_centre_", "D")

    def _transformed(self, X: np.ndarray) -> np.ndarray:
        """(N, D) transformed features in the dtype of ``X``."""
        if self.feature_transform == "none":
            return X
        return unit_rows(X - self._centre_.astype(X.dtype) if self.feature_transform == "centred_l2" else X)

    def _unit_means(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """(C, D) float64 class means of transformed features, scaled to length one."""
        return unit_rows(class_means(X, codes, codes.max() + 1, self._transformed))


def unit_rows(X: np.ndarray) -> np.ndarray:
    """(N, D) rows scaled to length one, in the dtype of ``X``; a row of zeros remains zero."""
    # The squares are summed in float64, where those of float32 can neither overflow nor vanish.
    lengths = np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))[:, None]
    return (X / np.where(lengths > 0, lengths, 1)).astype(X.dtype, copy=False)
