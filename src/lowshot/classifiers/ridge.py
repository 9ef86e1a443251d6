"""Ridge regression to one-hot labels in closed form, with all work on the base classes done once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import numpy as np
from scipy import linalg
from sklearn.utils.validation import check_is_fitted, validate_data

from lowshot.checks import check_number
from lowshot.classifiers.base import Examples
from lowshot.classifiers.class_weight import ClassWeight, class_masses
from lowshot.classifiers.left_out import ridge_scores
from lowshot.classifiers.linear import LinearLowShotClassifier, linear_scores
from lowshot.classifiers.moments import class_means, class_moments
from lowshot.classifiers.shrinkage import eigh
from lowshot.estimator_files import LearnedState
from lowshot.registry import CLASSIFIERS

# The algebra. With weights w_i that sum to one, minimise over W (D, C) and b (C,)
#
#     sum_i w_i |W'x_i + b - y_i|^2  +  alpha s |W|^2,         y_i one-hot,
#
# where, as in the batches of the low-shot phase, w = B/(B+N)/n for a base example and w = N/(B+N)/M for a shot: there
# are B base classes of n examples in all and N novel classes of M shots in all. Where classes of unequal size weigh the
# same, 1/n and 1/M become v/n and v/M, with v the weight of an example, one on average. The unit s is the mean variance
# of a feature, trace(S)/D, so that one alpha suits features of any scale. The intercept is free, so it centres all at
# the weighted mean m. With p_c the weight of class c and mu_c its mean, the normal equations are
#
#     (S + alpha s I) W = R,     column c of R = p_c (mu_c - m),     b_c = p_c - w_c'm,
#
# (the labels enter through the class means alone) and S, the weighted scatter about m, is
#
#     S = beta S_base + V'V,     V = rows of  sqrt(nu/M) (x_j - m_novel)  and  sqrt(beta nu) (m_novel - m_base),
#
# with beta = B/(B+N), nu = N/(B+N). S_base never changes: S_base = U L U' once, and in the basis U, with
# A = beta L + alpha s diagonal, Woodbury's identity leaves a system as small as the number of shots:
#
#     (A + V'V)^-1 = A^-1 - A^-1 V' (I + V A^-1 V')^-1 V A^-1.
#
# More shots than dimensions are first replaced by the (D, D) triangle of V's QR decomposition, which has the same V'V.
# So any alpha, number of shots or draw of shots costs a few small products, and none needs the base features again.


BIBTEX = r"""
@inproceedings{bertinetto2019closedform,
  author = {Bertinetto, Luca and Henriques, Jo{\~a}o F. and Torr, Philip H. S. and Vedaldi, Andrea},
  title = {Meta-learning with Differentiable Closed-Form Solvers},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year = {2019},
  eprint = {1805.08136},
  archivePrefix = {arXiv},
}
"""


@CLASSIFIERS.register(
    "ridge", "one-hot ridge regression in closed form; one eigendecomposition serves all runs", bibtex=BIBTEX
)
class Ridge(LinearLowShotClassifier):
    """Regularised least squares to one-hot labels, base and novel classes weighted as in the low-shot phase.

    A linear classifier like ``logistic``, whose squared loss has a closed form: no steps, no learning rate, and
    one eigendecomposition of the base scatter serves every ``alpha``, shot count and draw of shots. ``gaussian`` also
    rests on one covariance, but of features within classes: it models the features, ridge the labels. Closed-form ridge
    as a few-shot classifier is known from Bertinetto et al. (2019, arXiv 1805.08136).

    It is no model of probabilities: those of ``predict_proba`` are the softmax of ten times the scores, which are
    regressions to 0 and 1.

    Args:
        alpha (float): The strength of the penalty, above 0, in units of the mean variance of a feature.
        class_weight (str, mapping or None): The weights of classes of unequal size among the base classes, and among
            the novel ones: "balanced" for equal weights; None to weigh every example the same; "auto", which is
            "balanced" except for base classes whose sizes differ by less than a factor of two. A mapping gives the
            weight of an example by its label.

    Attributes:
        coef_ (array, (C, D) float64): The weights.
        intercept_ (array, (C,) float64): The intercepts.
    """

    novel_parameters = frozenset({"alpha"})
    tuning_grid = {"alpha": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}

    def __init__(self, alpha: float = 1.0, class_weight: ClassWeight = "auto") -> None:
        self.alpha = alpha
        self.class_weight = class_weight

    def scores_for(self, X: np.ndarray, alphas: Iterable[float]) -> Iterator[np.ndarray]:
        """Scores of several strengths of the penalty, without fitting again.

        Args:
            X (array-like, (N, D)): The queries.
            alphas (iterable of float): The strengths.

        Yields:
            (N, C) scores for each strength in turn.
        """
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        for alpha in alphas:
            yield linear_scores(X, *self._solve(alpha))

    def _check_parameters(self) -> None:
        check_number("alpha", self.alpha, above=0)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        weights = self._example_weights(codes, base=True)
        moments = class_moments(X, codes, self.n_base_classes_, weights=weights)
        shares = (moments.counts if weights is None else moments.counts * weights) / len(X)
        centre = shares @ moments.means
        offsets = moments.means - centre
        covariance = moments.scatter / len(X) + (offsets.T * shares) @ offsets
        variances, axes = eigh(covariance)
        axes = np.ascontiguousarray(axes)  # as in a loaded file: equal memory layouts give equal products
        self._set_base(centre, axes, variances.clip(0), offsets @ axes, shares)
        self._fit_novel(X[:0], codes[:0])

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._set_shots(X, codes)
        self.coef_, self.intercept_ = self._solve(self.alpha)

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        for name in ("_centre_", "_base_variances_", "_mean_", "_weighted_variances_"):
            learned.array(name, "D")
        learned.array("_axes_", "D", "D")
        learned.array("_base_means_", "B", "D")
        learned.array("_base_shares_", "B")
        learned.array("_update_", "rows", "D")
        learned.array("_offsets_", "C", "D")
        learned.array("_class_weights_", "C")
        if learned.has("_shot_counts_"):
            learned.counts("_shot_counts_", "N")

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        scores = self._left_out_scores_for(X, codes, rows, [self.alpha])
        return None if scores is None else scores[0]

    def _left_out_scores_for(
        self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray, alphas: Sequence[float]
    ) -> np.ndarray | None:
        """(A, R, C) left-out scores of several strengths of the penalty; None where they need refits."""
        if self.class_weight not in ("auto", "balanced"):
            return None
        base_weight = self.n_base_classes_ / len(self.classes_)
        # All of it about the weighted mean of everything, where that of the base classes is -_mean_.
        shots = (X.astype(np.float64) - self._centre_) @ self._axes_ - self._mean_
        base_mean = -np.sqrt(base_weight) * self._mean_
        return ridge_scores(
            shots, codes, self._offsets_, self._weighted_variances_, base_mean, self._class_weights_, rows, alphas
        )

    def _temperature(self) -> float:
        return 0.1

    def _scores_of_episodes(
        self, runs: Sequence[Self], shots: Sequence[Examples], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        novel = slice(self.n_base_classes_, None)
        scores = []
        for run, own, X in zip(runs, shots, queries):
            run._set_shots(*own)
            scores.append(linear_scores(X, *run._solve(run.alpha, novel)))
        return scores

    def _set_shots(self, X: np.ndarray, codes: np.ndarray) -> None:
        """Compute everything that the solution needs but the strength of the penalty."""
        D = X.shape[1]
        if not self.n_base_classes_:
            self._set_base(X.mean(axis=0, dtype=np.float64), np.eye(D), np.zeros(D), np.zeros((0, D)), np.zeros(0))
        n_novel = len(self.classes_) - self.n_base_classes_
        shots = (X - self._centre_) @ self._axes_
        total = max(len(X), 1)
        weights = self._row_weights(codes)
        mean = (shots if weights is None else weights[:, None] * shots).sum(axis=0) / total
        offsets = shots - mean
        rows = offsets if weights is None else np.sqrt(weights)[:, None] * offsets
        means = class_means(shots, codes, n_novel) if n_novel else shots
        shares = np.bincount(codes, weights, minlength=n_novel) / total
        self._shot_counts_ = np.bincount(codes, minlength=n_novel)
        self._set_novel_moments(rows, total, mean, means, shares)

    def _set_novel_moments(
        self, rows: np.ndarray, total: float, mean: np.ndarray, means: np.ndarray, shares: np.ndarray
    ) -> None:
        """Set what the solution needs of the novel classes, in the basis of the base classes.

        Args:
            rows (array, (n, D)): Rows whose products, summed and divided by ``total``, are the scatter about ``mean``.
            total (float): The divisor.
            mean (array, (D,)): The mean of the shots.
            means (array, (N, D)): The class means.
            shares (array, (N,)): The weights of the classes, one together.
        """
        base_weight = self.n_base_classes_ / (self.n_base_classes_ + len(means))
        novel_weight = 1 - base_weight
        update = np.vstack(
            [np.sqrt(novel_weight / total) * rows, np.sqrt(base_weight * novel_weight) * mean]  # the base mean is 0
        )
        self._is_reduced_ = update.shape[0] > update.shape[1]
        self._update_ = np.asarray(np.linalg.qr(update, mode="r")) if self._is_reduced_ else update
        self._mean_ = novel_weight * mean
        self._offsets_ = np.vstack([self._base_means_, means]) - self._mean_
        self._class_weights_ = np.concatenate([base_weight * self._base_shares_, novel_weight * shares])
        self._weighted_variances_ = base_weight * self._base_variances_

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        """The scatter of all shots is that of either part about its own mean, and that of the two means."""
        if not hasattr(self, "_shot_counts_"):  # from a file that has no such numbers
            return False
        known = self._novel_classes()
        counts = np.concatenate([self._shot_counts_, np.bincount(codes)])
        masses = class_masses(self.class_weight, counts, np.concatenate([known, labels]))
        masses = counts if masses is None else masses
        shares = masses / masses.sum()
        old_share, new_share = shares[: len(known)].sum(), shares[len(known) :].sum()
        old_rows, old_mean, old_means = self._novel_moments()
        shots = (X - self._centre_) @ self._axes_
        weights = (shares[len(known) :] / counts[len(known) :])[codes]  # together new_share
        new_mean = weights @ shots / new_share
        mean = old_share * old_mean + new_share * new_mean
        rows = [
            np.sqrt(old_share) * old_rows,
            np.sqrt(old_share) * (old_mean - mean)[None],
            np.sqrt(weights)[:, None] * (shots - mean),
        ]
        means = np.vstack([old_means, class_means(shots, codes, len(labels))])
        self._shot_counts_ = counts[order]
        self._set_novel_moments(np.vstack(rows), 1.0, mean, means[order], shares[order])
        self.coef_, self.intercept_ = self._solve(self.alpha)
        return True

    def _novel_moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows whose products sum to the scatter of the shots about their mean, that mean, and the class means."""
        base_weight = self.n_base_classes_ / len(self.classes_)
        novel_weight = 1 - base_weight
        mean = self._mean_ / novel_weight
        means = self._offsets_[self.n_base_classes_ :] + self._mean_
        if not self._is_reduced_:
            return self._update_[:-1] / np.sqrt(novel_weight), mean, means
        scatter = self._update_.T @ self._update_ / novel_weight - base_weight * np.outer(mean, mean)
        variances, axes = eigh(scatter)
        return np.sqrt(variances.clip(0))[:, None] * axes.T, mean, means

    def _forget_novel(self) -> None:
        self._set_novel(self._novel_classes()[:0])
        self._fit_novel(np.empty((0, len(self._centre_))), np.empty(0, np.int64))

    def _set_base(
        self, centre: np.ndarray, axes: np.ndarray, variances: np.ndarray, means: np.ndarray, shares: np.ndarray
    ) -> None:
        self._centre_ = centre
        self._axes_ = axes
        self._base_variances_ = variances
        self._base_means_ = means
        self._base_shares_ = shares

    def _solve(self, alpha: float, columns: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """(C, D) weights and (C,) intercepts of some classes for one strength of the penalty."""
        check_number("alpha", alpha, above=0)
        unit = (self._weighted_variances_.sum() + (self._update_**2).sum()) / len(self._mean_)
        diagonal = self._weighted_variances_ + alpha * (unit or 1.0)  # features without variance have no unit
        class_weights = self._class_weights_[columns]
        right = class_weights[:, None] * self._offsets_[columns] / diagonal
        scaled = self._update_ / diagonal
        core = np.eye(len(scaled)) + scaled @ self._update_.T
        weights = right - linalg.solve(core, self._update_ @ right.T, assume_a="pos").T @ scaled
        coef = weights @ self._axes_.T
        return coef, class_weights - coef @ (self._centre_ + self._axes_ @ self._mean_)
