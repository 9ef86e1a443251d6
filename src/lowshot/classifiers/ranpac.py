"""RanPAC: ridge regression on many random non-linear features, with calibrated second moments for novel classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg
from scipy.special import softmax

from lowshot.checks import check_count, check_number
from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.moments import blocks, class_means
from lowshot.classifiers.shrinkage import eigh
from lowshot.classifiers.transforms import TransformsFeatures
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch

ALPHAS = tuple(10.0**power for power in range(-6, 3))
# Of so many examples of a class, four fifths fit and the others tell the strength of the penalty.
EXAMPLES_TO_CHOOSE = 250
# The strength where no class has two examples.
UNCHOSEN_ALPHA = 0.1

# The algebra. With h = relu(x R) and every class weighing the same, minimise over W (M, C)
#
#     sum_c mean_{i in c} |W'h_i - y_i|^2  +  alpha s |W|^2,       y_i one-hot.
#
# The normal equations need first and second moments of h alone, with mu_c and S_c those of class c about its mean:
#
#     (G + alpha s I) W = (mu_1 ... mu_C),      G = sum_c (S_c + mu_c mu_c'),      s = trace(G) / M.
#
# The few shots of a novel class know little of its S_c. It is replaced by (1 - k) S_c + k sum_b s_cb S_b, with the
# similarities s_cb of its mean to those of base classes. Summed over the novel classes, that is one weighted sum of the
# base classes' S_b, so these are what fit_base stores: the upper triangles, in float32.


BIBTEX = r"""
@inproceedings{mcdonnell2023ranpac,
  author = {McDonnell, Mark D. and Gong, Dong and Parvaneh, Amin and Abbasnejad, Ehsan and van den Hengel, Anton},
  title = {{RanPAC}: Random Projections and Pre-trained Models for Continual Learning},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year = {2023},
  eprint = {2307.02251},
  archivePrefix = {arXiv},
}

@inproceedings{goswami2024calibrating,
  author = {Goswami, Dipam and Twardowski, Bart{\l}omiej and van de Weijer, Joost},
  title = {Calibrating Higher-Order Statistics for Few-Shot Class-Incremental Learning with Pre-trained Vision
    Transformers},
  booktitle = {CVPR Workshops},
  year = {2024},
  eprint = {2404.06622},
  archivePrefix = {arXiv},
}
"""


@CLASSIFIERS.register(
    "ranpac", "ridge on random ReLU features; novel covariances borrowed from similar base classes", bibtex=BIBTEX
)
class RanPAC(TransformsFeatures, LowShotClassifier):
    """Ridge regression to one-hot labels on random ReLU features, from sums of first and second moments.

    The random projection is RanPAC's (McDonnell et al. 2023, arXiv 2307.02251, section 4); that a novel class borrows
    the covariance of similar base classes is the calibration of Goswami et al. (2024, arXiv 2404.06622, section 3), who
    take similarities from TEEN: the softmax of ``sharpness`` times the cosines of class means of the features before
    the projection. Unlike ``ridge`` it is not linear in the features. Without base classes nothing is borrowed.

    It differs from the papers in that every class weighs the same, whatever its number of examples, where they sum over
    examples. The strength of the penalty is chosen as in RanPAC: by the squared error on a fifth of the base examples.

    It stores the covariance of every base class: 2 M (M + 1) bytes each, 400 MB for 200 classes and M = 1000.

    It is no model of probabilities: those of ``predict_proba`` are the softmax of ten times the scores, which are
    regressions to 0 and 1.

    Args:
        n_projected (int): M, the number of random features. The papers have 10 000.
        calibration (float): The share k of a novel class's covariance that comes from base classes, in [0, 1].
        sharpness (float): The factor of the cosines, above 0.
        alpha (float, optional): The strength of the penalty, above 0, in units of the mean square of a random feature
            summed over classes; None chooses it on base examples.
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``, before the projection.
        random_state (int): The seed of the projection and of the choice of ``alpha``.

    Attributes:
        projection_ (array, (D, M) float32): R.
        coef_ (array, (C, M) float64): The weights of the random features.
        alpha_ (float): The strength that was chosen.
    """

    novel_parameters = frozenset({"calibration", "sharpness", "alpha"})
    tuning_grid = {"calibration": (0.0, 0.5, 0.9), "sharpness": (8.0, 16.0, 32.0)}

    def __init__(
        self,
        n_projected: int = 1000,
        calibration: float = 0.5,
        sharpness: float = 16.0,
        alpha: float | None = None,
        feature_transform: str = "centred_l2",
        random_state: int = 0,
    ) -> None:
        self.n_projected = n_projected
        self.calibration = calibration
        self.sharpness = sharpness
        self.alpha = alpha
        self.feature_transform = feature_transform
        self.random_state = random_state

    def _check_parameters(self) -> None:
        check_count("n_projected", self.n_projected, most=20_000)
        check_number("calibration", self.calibration, least=0, most=1)
        check_number("sharpness", self.sharpness, above=0)
        if self.alpha is not None:
            check_number("alpha", self.alpha, above=0)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._start(X, codes, self._example_weights(codes, base=True))
        self._base_means_ = self._unit_means(X, codes)
        self._base_centres_ = class_means(X, codes, self.n_base_classes_, self._random_features)
        upper = np.triu_indices(self.n_projected)
        self._base_covariances_ = np.empty((self.n_base_classes_, len(upper[0])), np.float32)
        for code, centre in enumerate(self._base_centres_):
            self._base_covariances_[code] = self._covariance(X, np.flatnonzero(codes == code), centre)[upper]
        self._forget_novel()

    def _forget_novel(self) -> None:
        self.coef_ = self._solved(self._unpacked(np.ones(self.n_base_classes_)), self._base_centres_)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._start(X, codes, self._example_weights(codes))
        counts = np.bincount(codes)
        centres = class_means(X, codes, len(counts), self._random_features)
        share = self.calibration if self.n_base_classes_ else 0.0
        covariance = np.zeros((self.n_projected, self.n_projected))
        for rows in blocks(len(X)):
            own = codes[rows]
            offsets = (self._random_features(X[rows]) - centres[own]) * np.sqrt((1 - share) / counts[own])[:, None]
            covariance += offsets.T @ offsets
        if self.n_base_classes_:
            means = self._unit_means(X, codes)
            similar = softmax(self.sharpness * (means @ self._base_means_.T), axis=1)
            covariance += self._unpacked(1 + share * similar.sum(axis=0))
            centres = np.vstack([self._base_centres_, centres])
        self.coef_ = self._solved(covariance, centres)

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        size = self.n_projected
        learned.array("projection_", "D", size)
        learned.array("coef_", "C", size)
        if learned.number("alpha_") <= 0:
            raise InputError(f"{learned.source}: alpha_ must be above 0")
        if self.n_base_classes_:
            learned.array("_base_means_", "B", "D")
            learned.array("_base_centres_", "B", size)
            learned.array("_base_covariances_", "B", size * (size + 1) // 2)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        coef = self.coef_.T.astype(X.dtype)
        return np.concatenate([self._random_features(X[rows]) @ coef for rows in blocks(len(X))])

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import ReLU, Sequential

        from lowshot.classifiers.torch_modules import FeatureTransform, linear_layer

        transform = FeatureTransform(self.feature_transform, self._centre_)
        return Sequential(transform, linear_layer(self.projection_.T), ReLU(), linear_layer(self.coef_))

    def _temperature(self) -> float:
        return 0.1

    def _start(self, X: np.ndarray, codes: np.ndarray, weights: np.ndarray | None) -> None:
        """Draw the projection and choose the strength of the penalty."""
        self._fit_centre(X, codes, weights)
        rng = np.random.default_rng(self.random_state)
        self.projection_ = rng.standard_normal((X.shape[1], self.n_projected), dtype=np.float32)
        self.alpha_ = self._chosen_alpha(X, codes, rng)

    def _random_features(self, X: np.ndarray) -> np.ndarray:
        """(N, M) random features in the dtype of ``X``."""
        return np.maximum(self._transformed(X) @ self.projection_.astype(X.dtype), 0)

    def _covariance(self, X: np.ndarray, rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """(M, M) second moments of the random features of some rows about ``centre``."""
        covariance = np.zeros((self.n_projected, self.n_projected))
        for part in blocks(len(rows)):
            offsets = self._random_features(X[rows[part]]) - centre
            covariance += offsets.T @ offsets
        return covariance / len(rows)

    def _unpacked(self, weights: np.ndarray) -> np.ndarray:
        """The weighted sum of the base classes' covariances as an (M, M) matrix."""
        total = np.empty((self.n_projected, self.n_projected))
        upper = np.triu_indices(self.n_projected)
        total[upper] = weights.astype(np.float32) @ self._base_covariances_
        return np.asarray(np.triu(total) + np.triu(total, 1).T)

    def _solved(self, covariance: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """(C, M) weights for the summed covariances and the (C, M) means."""
        gram = covariance + centres.T @ centres
        unit = np.trace(gram) / len(gram) or 1.0  # features without any variance have no unit
        gram[np.diag_indices_from(gram)] += (self.alpha_ if self.alpha is None else self.alpha) * unit
        # In the order of a loaded file: equal memory layouts give equal products.
        return np.ascontiguousarray(linalg.solve(gram, centres.T, assume_a="pos").T)

    def _chosen_alpha(self, X: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> float:
        """The strength with the least squared error on a fifth of the examples of each class."""
        fitting, held_out = [], []
        for code in range(codes.max() + 1):
            rows = rng.permutation(np.flatnonzero(codes == code))[:EXAMPLES_TO_CHOOSE]
            if len(rows) > 1:
                n_fitting = min(len(rows) - 1, round(0.8 * len(rows)))
                fitting.append(self._random_features(X[rows[:n_fitting]]).astype(np.float64))
                held_out.append(self._random_features(X[rows[n_fitting:]]).astype(np.float64))
        if not fitting:
            return UNCHOSEN_ALPHA
        centres = np.stack([features.mean(axis=0) for features in fitting])
        gram = np.zeros((self.n_projected, self.n_projected))
        for features in fitting:
            gram += features.T @ features / len(features)
        values, axes = eigh(gram)
        unit = values.mean() or 1.0
        right = axes.T @ centres.T
        errors = np.zeros(len(ALPHAS))
        for code, features in enumerate(held_out):
            rotated, target = features @ axes, np.arange(len(held_out)) == code
            for i, alpha in enumerate(ALPHAS):
                scores = rotated @ (right / (values.clip(0) + alpha * unit)[:, None])
                errors[i] += ((scores - target) ** 2).sum(axis=1).mean()
        return ALPHAS[int(errors.argmin())]
