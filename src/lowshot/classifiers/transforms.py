"""Feature transforms of SimpleShot (Wang et al. 2019, arXiv 1911.04623, section 3).

"none" leaves the features as they are, "l2" scales each to length one, "centred_l2" first subtracts a centre: the mean
of the base features, or of the given ones where there are no base classes. Features that end in a ReLU all lie in one
corner of the space, where every cosine is near one; centring widens the angles between classes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lowshot.checks import check_choice

TRANSFORMS = ("none", "l2", "centred_l2")


class TransformsFeatures:
    """Mixin of classifiers that transform every feature by their parameter ``feature_transform``.

    Attributes:
        feature_transforms (tuple of str): The values that the parameter may have.
    """

    feature_transforms: ClassVar[tuple[str, ...]] = TRANSFORMS
    feature_transform: str
    _centre_: np.ndarray

    def _fit_centre(self, X: np.ndarray) -> None:
        """Learn the (D,) float64 centre from (N, D) features; it is zero where the transform subtracts nothing."""
        check_choice("feature_transform", self.feature_transform, self.feature_transforms)
        centred = self.feature_transform == "centred_l2"
        self._centre_ = X.mean(axis=0, dtype=np.float64) if centred else np.zeros(X.shape[1])

    def _transformed(self, X: np.ndarray) -> np.ndarray:
        """(N, D) transformed features in the dtype of ``X``."""
        if self.feature_transform == "none":
            return X
        return unit_rows(X - self._centre_.astype(X.dtype) if self.feature_transform == "centred_l2" else X)


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Rows scaled to length one, in the dtype of ``X``; a row of zeros remains zero."""
    # The squares are summed in float64, where those of float32 can neither overflow nor vanish.
    lengths = np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))[:, None]
    return (X / np.where(lengths > 0, lengths, 1)).astype(X.dtype, copy=False)
