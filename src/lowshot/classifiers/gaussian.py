"""Gaussian classes of one covariance, whose means have a Gaussian prior learned from the base classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.class_weight import example_weights
from lowshot.classifiers.left_out import gaussian_scores
from lowshot.classifiers.moments import ClassMoments, class_means, class_moments
from lowshot.classifiers.shrinkage import Shrinkage, eigh, shrunk_covariance
from lowshot.classifiers.transforms import TransformsFeatures
from lowshot.estimator_files import LearnedState
from lowshot.papers import TWO_COVARIANCES
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch

# The model. A feature of class c is x ~ N(mu_c, S) and a class mean is itself a draw, mu_c ~ N(m, T). The base classes
# give all three: S is the covariance within them, m and T are those of their means, whose covariance is
# T + S * mean(1/n_c): the second term, due to the finite number of examples, is subtracted again. In the basis where
# S = I and T = diag(t), D separate problems remain: with n shots of mean xbar, a class mean has the posterior
#
#     mean      m + (xbar - m) n / (n + 1/t),
#     variance  1 / (n + 1/t).
#
# Along a direction in which base classes differ much (t large) the posterior follows a single shot; where they hardly
# differ a shot is mostly noise, and the posterior stays near m. A base class of a thousand examples gets its sample
# mean. Without base classes there is no prior: 1/t = 0, and the posterior mean is the sample mean.


@CLASSIFIERS.register(
    "gaussian", "LDA with a Gaussian prior on class means, learned from the base classes", bibtex=TWO_COVARIANCES
)
class Gaussian(TransformsFeatures, LowShotClassifier):
    """Linear discriminant analysis with a prior on class means, so that few shots move a class mean less than many.

    The two-covariance model (PLDA: Ioffe 2006; Prince and Elder 2007), fitted by moments. Like ``nearest_mean`` a class
    is its mean, but distances are Mahalanobis distances under the covariance within base classes, and the mean of few
    shots is shrunk towards the prior mean of the classes. Where classes differ in size, each contributes equally to the
    covariance.

    Args:
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.
        shrinkage (str or float): The shrinkage of the covariance within classes, "oas" or the weight of the isotropic
            part, in [0, 1]. OAS hardly shrinks a covariance of thousands of base examples; novel classes, whose
            covariance may differ, benefit from more. The covariance of the class means is always shrunk by OAS.
        predictive (bool): Score by the predictive density, which is wider for a class of few shots and so favours
            novel classes; else by the density at the posterior mean, whose boundaries are linear.

    Attributes:
        means_ (array, (C, D)): The posterior class means, in the basis of the model.
        variances_ (array, (C, D)): The posterior variances in that basis, in which the variance within a class is one.
    """

    per_class_arrays: ClassVar[tuple[str, ...]] = ("means_", "variances_")
    novel_parameters = frozenset({"predictive"})
    tuning_grid = {"shrinkage": (0.03, 0.1, 0.3, 0.6), "predictive": (False, True)}

    _moments_: ClassMoments

    def __init__(
        self, feature_transform: str = "centred_l2", shrinkage: Shrinkage = 0.1, predictive: bool = False
    ) -> None:
        self.feature_transform = feature_transform
        self.shrinkage = shrinkage
        self.predictive = predictive

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._base_posterior_ = self._fit_model(X, codes, self._example_weights(codes, base=True))
        self.means_, self.variances_ = self._base_posterior_

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self.means_, self.variances_ = self._fit_model(X, codes, self._example_weights(codes), prior=False)
            return
        counts = np.bincount(codes)
        novel = self._posterior(class_means(X, codes, len(counts), self._projected), counts)
        self.means_, self.variances_ = (np.vstack(pair) for pair in zip(self._base_posterior_, novel))

    def _classes_are_independent(self) -> bool:
        return self.n_base_classes_ > 0

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        if self.n_base_classes_:
            return super()._join_classes(X, codes, labels, order)
        if not hasattr(self, "_moments_"):
            return False
        weights = example_weights(self.class_weight, codes, labels)
        parts = [self._moments_, class_moments(X, codes, len(labels), self._transformed, weights)]
        counts, means = (np.concatenate(pair)[order] for pair in zip(*(part[:2] for part in parts)))
        # Every class weighs the same: a scatter is N/C times the sum of the covariances of its C classes.
        covariances = sum(scatter * len(count) / count.sum() for count, _, scatter in parts)
        self._moments_ = ClassMoments(counts, means, covariances * counts.sum() / len(counts))
        self.means_, self.variances_ = self._set_model(self._moments_, prior=False)
        return True

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        for name, shape in (("_origin_", "D"), ("_axes_", "DD"), ("_precision_", "D")):
            learned.array(name, *shape)
        learned.array("means_", "C", "D")
        learned.array("variances_", "C", "D")
        if self.n_base_classes_:
            for part in learned.parts("_base_posterior_", 2):
                learned.check("_base_posterior_", part, "B", "D")
        if learned.has("_moments_"):
            counts, means, scatter = learned.parts("_moments_", 3)
            learned.check_counts("_moments_", counts, "C")
            learned.check("_moments_", means, "C", "D")
            learned.check("_moments_", scatter, "D", "D")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._log_densities(self._projected(X))

    def _log_densities(self, X: np.ndarray) -> np.ndarray:
        """(N, C) log densities at (N, D) points in the basis of the model, up to a number per point."""
        if not self.predictive:
            means = self.means_.astype(X.dtype)
            return X @ means.T - ((means**2).sum(axis=1) + (X**2).sum(axis=1, keepdims=True)) / 2
        # -1/2 sum_d (x_d - mu_d)^2 / (1 + v_d) + log(1 + v_d), the square expanded into two matrix products.
        precision = 1 / (1 + self.variances_)
        constant = (self.means_**2 * precision + np.log1p(self.variances_)).sum(axis=1)
        linear, precision, constant = (a.astype(X.dtype) for a in (self.means_ * precision, precision, constant))
        return X @ linear.T - (X**2 @ precision.T + constant) / 2

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import Sequential

        from lowshot.classifiers.torch_modules import FeatureTransform

        return Sequential(FeatureTransform(self.feature_transform, self._centre_), *self._density_layers())

    def _density_layers(self) -> Sequence[torch.nn.Module]:
        """The torch modules from transformed features to :meth:`_log_densities`."""
        from lowshot.classifiers.torch_modules import Quadratic, Shifted, linear_layer

        projection = Shifted(self._origin_), linear_layer(self._axes_.T)
        if not self.predictive:
            return *projection, linear_layer(self.means_, -(self.means_**2).sum(axis=1) / 2)
        precision = 1 / (1 + self.variances_)
        constant = (self.means_**2 * precision + np.log1p(self.variances_)).sum(axis=1)
        return *projection, Quadratic(self.means_ * precision, -precision / 2, -constant / 2)

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        n_classes = codes.max() + 1
        if not self.n_base_classes_:
            if isinstance(self.shrinkage, str) or self.shrinkage <= 0:
                return None
            shots = self._transformed(X).astype(np.float64)
            means = class_means(shots, codes, n_classes)
            return gaussian_scores(shots, codes, means, rows, self.shrinkage, self.predictive)
        # Basis and prior are those of the base classes: nothing changes but the mean of the own class.
        columns, counts = self.n_base_classes_ + codes[rows], np.bincount(codes)[codes[rows]]
        projected = self._projected(X[rows])
        queries = projected.astype(np.float64)
        means = class_means(X, codes, n_classes, self._projected)[codes[rows]]
        others = (counts[:, None] * means - queries) / np.maximum(counts - 1, 1)[:, None]
        means, variances = self._posterior(others, np.maximum(counts - 1, 1))
        squares = (queries - means) ** 2
        scores = self._log_densities(projected)
        spread = 1 + variances if self.predictive else 1.0
        scores[np.arange(len(rows)), columns] = -(squares / spread + np.log(spread)).sum(axis=1) / 2
        return scores

    def _fit_model(
        self, X: np.ndarray, codes: np.ndarray, weights: np.ndarray | None, prior: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learn the basis, its origin and the prior precisions 1/t; returns the posterior of these classes."""
        self._fit_centre(X, codes, weights)
        moments = class_moments(X, codes, codes.max() + 1, self._transformed, weights)
        if not prior and self.feature_transform != "centred_l2":
            self._moments_ = moments
        return self._set_model(moments, prior)

    def _set_model(self, moments: ClassMoments, prior: bool) -> tuple[np.ndarray, np.ndarray]:
        """The model of :meth:`_fit_model` from the moments of transformed features."""
        counts, means, scatter = moments
        self._origin_ = means.mean(axis=0)
        variances, axes = eigh(self._within_covariance(scatter, counts.sum() - len(means), means))
        # Features without any variance carry no information: with the floor they are finite and near zero.
        self._axes_ = axes / np.sqrt(np.maximum(variances, variances.max() * 1e-12 or 1.0))
        self._precision_ = np.zeros(len(scatter))
        if prior and len(means) > 1:
            offsets = (means - self._origin_) @ self._axes_
            between, rotation = eigh(shrunk_covariance(offsets.T @ offsets, len(means) - 1))
            self._axes_ = self._axes_ @ rotation
            self._precision_ = 1 / np.maximum(between - (1 / counts).mean(), np.finfo(float).tiny)
        return self._posterior((means - self._origin_) @ self._axes_, counts)

    def _within_covariance(self, scatter: np.ndarray, dof: int, means: np.ndarray) -> np.ndarray:
        if dof > 0:
            return shrunk_covariance(scatter, dof, self.shrinkage)
        # One shot of each class shows no variance within classes: all directions alike, at the scale of the means.
        return np.eye(len(scatter)) * (means.var(axis=0).mean() or 1.0)

    def _posterior(self, means: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        variances = 1 / (counts[:, None] + self._precision_)
        return means * counts[:, None] * variances, variances

    def _projected(self, X: np.ndarray) -> np.ndarray:
        """(N, D) features in the basis of the model, in their dtype."""
        return self._in_basis(self._transformed(X))

    def _in_basis(self, transformed: np.ndarray) -> np.ndarray:
        dtype = transformed.dtype
        return np.asarray((transformed - self._origin_.astype(dtype)) @ self._axes_.astype(dtype))
