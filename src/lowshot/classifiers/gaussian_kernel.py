"""`gaussian`, corrected by kernel ridge regression on what it gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg
from scipy.special import softmax

from lowshot.checks import check_count, check_number
from lowshot.classifiers.gaussian import Gaussian
from lowshot.classifiers.moments import blocks
from lowshot.classifiers.shrinkage import Shrinkage
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.papers import TWO_COVARIANCES
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch

# The queries of a block times the points of the kernel: one such matrix of float64 takes 32 MiB.
KERNEL_CELLS = 2**22


BIBTEX = """
@article{friedman2001greedy,
  author = {Friedman, Jerome H.},
  title = {Greedy Function Approximation: A Gradient Boosting Machine},
  journal = {The Annals of Statistics},
  year = {2001},
}
"""


@CLASSIFIERS.register(
    "gaussian_kernel", "gaussian plus kernel ridge regression on its residuals", bibtex=BIBTEX + TWO_COVARIANCES
)
class GaussianKernel(Gaussian):
    """One step of boosting on top of ``gaussian``, in closed form.

    The residuals r = one-hot label - probability of ``gaussian`` are the direction in which the log-likelihood grows
    fastest (gradient boosting: Friedman 2001, section 4); a kernel ridge regression f fits them, and the scores are
    those of ``gaussian`` plus ``strength`` f. So base classes of one covariance, which ``gaussian`` assumes, need not
    have one. The points are the shots and up to ``n_base_examples`` of each base class; every class weighs the same. A
    shot of several is scored without itself, since a class mean that contains it always finds it. The kernel is
    exp(-gamma d2 / mean), with d2 the squared distance of transformed features and the mean that of two points.

    The time of a fit grows with the third power of the number of points, so this is for thousands of them at most.

    Args:
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.
        shrinkage (str or float): As in ``gaussian``.
        predictive (bool): As in ``gaussian``.
        gamma (float): The sharpness of the kernel, above 0.
        alpha (float): The strength of the penalty, above 0; 1 weighs it like one example of a class of one.
        strength (float): The factor of the correction, at least 0.
        n_base_examples (int, optional): The most examples of a base class among the points, drawn once; None takes all.
        random_state (int): The seed of that draw.

    Attributes:
        points_ (array, (P, D)): The transformed points; none after :meth:`fit_base` alone.
        dual_ (array, (P, C) float64): Their weights in f.
    """

    per_class_arrays = ()
    novel_parameters = frozenset({"predictive", "gamma", "alpha", "strength"})
    tuning_grid = {"gamma": (0.5, 1.0, 2.0), "strength": (10.0, 30.0, 100.0)}

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        shrinkage: Shrinkage = 0.1,
        predictive: bool = False,
        gamma: float = 1.0,
        alpha: float = 0.1,
        strength: float = 30.0,
        n_base_examples: int | None = 20,
        random_state: int = 0,
    ) -> None:
        super().__init__(feature_transform, shrinkage, predictive)
        self.gamma = gamma
        self.alpha = alpha
        self.strength = strength
        self.n_base_examples = n_base_examples
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("gamma", self.gamma, above=0)
        check_number("alpha", self.alpha, above=0)
        check_number("strength", self.strength, least=0)
        if self.n_base_examples is not None:
            check_count("n_base_examples", self.n_base_examples)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_base(X, codes)
        rng = np.random.default_rng(self.random_state)
        rows = [
            np.sort(rng.permutation(np.flatnonzero(codes == code))[: self.n_base_examples])
            for code in range(self.n_base_classes_)
        ]
        chosen = np.concatenate(rows)
        self._base_points_ = (np.ascontiguousarray(X[chosen]), codes[chosen])
        self._forget_novel()

    def _forget_novel(self) -> None:
        self.means_, self.variances_ = self._base_posterior_
        points, _ = self._base_points_
        self._set_correction(points[:0], np.zeros((0, self.n_base_classes_)), 1.0)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_novel(X, codes)
        self._set_correction(X[:0], np.zeros((0, len(self.classes_))), 1.0)
        scores = super()._scores(X)
        several = np.flatnonzero(np.bincount(codes)[codes] > 1)
        if len(several) and (left_out := super()._left_out_scores(X, codes, several)) is not None:
            scores[several] = left_out - left_out.mean(axis=1, keepdims=True)
        labels, points = codes + self.n_base_classes_, X
        if self.n_base_classes_:
            base, base_codes = self._base_points_
            points, labels = np.concatenate([base, X]), np.concatenate([base_codes, labels])
            scores = np.concatenate([super()._scores(base), scores])
        residuals = np.eye(len(self.classes_))[labels] - softmax(scores.astype(np.float64), axis=1)
        points = self._transformed(points)
        spread = 2 * points.var(axis=0, dtype=np.float64).sum() or 1.0  # the mean squared distance of two points
        kernel = _kernel(points, points, self.gamma / spread)
        kernel[np.diag_indices_from(kernel)] += self.alpha * np.bincount(labels)[labels]
        self._set_correction(points, linalg.solve(kernel, residuals, assume_a="pos"), spread)

    def _set_correction(self, points: np.ndarray, dual: np.ndarray, spread: float) -> None:
        self.points_, self.dual_, self._spread_ = points, dual, float(spread)

    def _classes_are_independent(self) -> bool:
        return False

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        return False

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        return None

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        learned.array("points_", "points", "D")
        learned.array("dual_", "points", "C")
        if learned.number("_spread_") <= 0:
            raise InputError(f"{learned.source}: _spread_ must be above 0")
        if self.n_base_classes_:
            base, codes = learned.parts("_base_points_", 2)
            learned.check("_base_points_", base, "base points", "D")
            learned.check_codes("_base_points_", codes, "base points", self.n_base_classes_)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        transformed = self._transformed(X)
        scores = self._log_densities(self._in_basis(transformed))
        if len(self.points_) and self.strength:
            for rows in blocks(len(X), max(1, KERNEL_CELLS // len(self.points_))):
                kernel = _kernel(transformed[rows], self.points_, self.gamma / self._spread_)
                scores[rows] += (self.strength * kernel @ self.dual_).astype(X.dtype)
        return scores

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import Sequential

        from lowshot.classifiers.torch_modules import FeatureTransform, RadialBasis, Summed, linear_layer

        if not len(self.points_):
            return super()._as_torch()
        correction = (RadialBasis(self.points_, self.gamma / self._spread_), linear_layer(self.strength * self.dual_.T))
        scores = Summed(Sequential(*self._density_layers()), Sequential(*correction))
        return Sequential(FeatureTransform(self.feature_transform, self._centre_), scores)


def _kernel(X: np.ndarray, points: np.ndarray, factor: float) -> np.ndarray:
    """(N, P) float64 values exp(-factor d2) for the squared distances of (N, D) rows and (P, D) points."""
    X, points = X.astype(np.float64), points.astype(np.float64)
    distances = (X**2).sum(axis=1)[:, None] + (points**2).sum(axis=1) - 2 * X @ points.T
    return np.asarray(np.exp(-factor * distances.clip(0)))
