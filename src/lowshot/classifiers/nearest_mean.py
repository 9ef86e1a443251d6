"""Nearest class mean: all that is learned is the mean of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from lowshot.checks import check_choice
from lowshot.classifiers.base import Examples, LowShotClassifier
from lowshot.classifiers.left_out import MOST_SHOTS_THAT_MOVE_A_CENTRE, moved_centre_products
from lowshot.classifiers.moments import class_means
from lowshot.classifiers.transforms import TRANSFORMS, TransformsFeatures, unit_rows
from lowshot.estimator_files import LearnedState
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch

METRICS = ("cosine", "euclidean")


BIBTEX = """
@misc{wang2019simpleshot,
  author = {Wang, Yan and Chao, Wei-Lun and Weinberger, Kilian Q. and van der Maaten, Laurens},
  title = {{SimpleShot}: Revisiting Nearest-Neighbor Classification for Few-Shot Learning},
  year = {2019},
  eprint = {1911.04623},
  archivePrefix = {arXiv},
}

@article{mensink2013distance,
  author = {Mensink, Thomas and Verbeek, Jakob and Perronnin, Florent and Csurka, Gabriela},
  title = {Distance-Based Image Classification: Generalizing to New Classes at Near-Zero Cost},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year = {2013},
}
"""


@CLASSIFIERS.register(
    "nearest_mean", "the class whose mean is nearest, after SimpleShot's feature transforms", bibtex=BIBTEX
)
class NearestMean(TransformsFeatures, LowShotClassifier):
    """The class whose mean is nearest to the query.

    SimpleShot (Wang et al. 2019, arXiv 1911.04623) is ``metric="euclidean"`` with ``feature_transform="centred_l2"``;
    nearest class mean goes back to Mensink et al. (2013). Unlike ``prototypical`` it learns no embedding, and unlike
    ``gaussian`` it treats all directions alike and trusts the mean of one shot as much as that of a thousand.

    The default metric is the cosine because of that last point: the mean of many unit vectors is shorter than one of
    them, so Euclidean distances favour the base classes over a novel class with a single shot.

    It is no model of probabilities: those of ``predict_proba`` are the softmax of cosines times 10, the initial scale
    of ``cosine``, or of negative squared distances divided by a tenth of the mean one between two class means.

    Args:
        metric (str): "cosine" of query and mean, or "euclidean", the negative squared distance.
        feature_transform (str): The transform of every feature before the means are taken: "none", "l2" or
            "centred_l2", whose centre is the mean of the base features if there are any, else of the given ones.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.0], [0.9, 0.2], [0.0, 1.0]])
        >>> NearestMean().fit(features, ["cat", "cat", "dog"]).predict([[0.1, 0.8]]).tolist()
        ['dog']
    """

    per_class_arrays = ("means_",)
    novel_parameters = frozenset({"metric"})
    tuning_grid = {"metric": METRICS, "feature_transform": TRANSFORMS}

    def __init__(self, metric: str = "cosine", feature_transform: str = "centred_l2") -> None:
        self.metric = metric
        self.feature_transform = feature_transform

    def _check_parameters(self) -> None:
        check_choice("metric", self.metric, METRICS)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_centre(X, codes, self._example_weights(codes, base=True))
        self._base_means_ = self.means_ = self._class_means(X, codes)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._fit_centre(X, codes, self._example_weights(codes))
        novel_means = self._class_means(X, codes)
        self.means_ = np.vstack([self._base_means_, novel_means]) if self.n_base_classes_ else novel_means

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        learned.array("means_", "C", "D")
        if self.n_base_classes_:
            learned.array("_base_means_", "B", "D")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._compared(X, self.means_)

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import Sequential

        from lowshot.classifiers.torch_modules import FeatureTransform, UnitRows, linear_layer, nearest_layers

        transform = FeatureTransform(self.feature_transform, self._centre_)
        if self.metric == "cosine":
            return Sequential(transform, UnitRows(), linear_layer(unit_rows(self.means_)))
        return Sequential(transform, *nearest_layers(self.means_))

    def _scores_of_episodes(
        self, runs: Sequence[Self], shots: Sequence[Examples], queries: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        return [self._compared(X, self._class_means(*own)) for own, X in zip(shots, queries)]

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        if not self._classes_are_independent() and len(X) <= MOST_SHOTS_THAT_MOVE_A_CENTRE:
            products, squares = moved_centre_products(X - self._centre_, codes, rows)
            if self.metric == "cosine":
                return products / np.sqrt(np.where(squares > 0, squares, 1))
            return 2 * products - squares - 1
        columns, counts = self.n_base_classes_ + codes[rows], np.bincount(codes)[codes[rows], None]
        queries = self._transformed(X[rows])
        # The mean of the others of n shots is (n mean - x) / (n - 1); everything else stays.
        others = (counts * self.means_[columns] - queries) / np.maximum(counts - 1, 1)
        scores = self._compared(X[rows], self.means_)
        if self.metric == "cosine":
            own = np.einsum("nd,nd->n", unit_rows(queries), unit_rows(others))
        else:
            own = -((queries - others) ** 2).sum(axis=1)
        scores[np.arange(len(rows)), columns] = own
        return scores

    def _temperature(self) -> float:
        if self.metric == "cosine" or len(self.means_) == 1:
            return 0.1
        squared = ((self.means_ - self.means_.mean(axis=0)) ** 2).sum() * 2 / (len(self.means_) - 1)
        return 0.1 * float(squared) or 0.1  # class means may all be equal

    def _compared(self, X: np.ndarray, means: np.ndarray) -> np.ndarray:
        """(N, C) similarities of (N, D) features and (C, D) means of transformed features."""
        X = self._transformed(X)
        if self.metric == "cosine":
            return unit_rows(X) @ unit_rows(means).T.astype(X.dtype)
        # Distances do not change when everything is shifted; near the origin the expanded square loses fewest digits.
        origin = means.mean(axis=0)
        means = (means - origin).astype(X.dtype)
        X = X - origin.astype(X.dtype)
        return 2 * X @ means.T - (means**2).sum(axis=1) - (X**2).sum(axis=1, keepdims=True)

    def _class_means(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return class_means(X, codes, codes.max() + 1, self._transformed)
