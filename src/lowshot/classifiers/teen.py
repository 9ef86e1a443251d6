"""TEEN: class means of novel classes drawn towards those of similar base classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from lowshot.checks import check_number
from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.transforms import TransformsFeatures, unit_rows
from lowshot.estimator_files import LearnedState
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch


BIBTEX = """
@inproceedings{wang2023teen,
  author = {Wang, Qi-Wei and Zhou, Da-Wei and Zhang, Yi-Kai and Zhan, De-Chuan and Ye, Han-Jia},
  title = {Few-Shot Class-Incremental Learning via Training-Free Prototype Calibration},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS)},
  year = {2023},
  eprint = {2312.05229},
  archivePrefix = {arXiv},
}
"""


@CLASSIFIERS.register(
    "teen", "nearest mean by cosine; novel means drawn towards similar base means, nothing trained", bibtex=BIBTEX
)
class Teen(TransformsFeatures, LowShotClassifier):
    """Training-free prototype calibration.

    Wang et al. (2023, arXiv 2312.05229, section 4.2). With all means scaled to length one, the mean m of a novel class
    becomes ``alpha m + (1 - alpha) sum_b s_b m_b``, where s is the softmax over the base classes of ``sharpness`` times
    the cosines of m and the base means m_b. Few shots place a mean badly, mostly near base classes that look alike;
    the mixture of these has less noise than the shots. The weight ``alpha`` is the same for any number of shots, unlike
    in ``gaussian``, which shrinks towards one point and less the more shots there are. With ``alpha=1``, and without
    base classes, this is ``nearest_mean`` by cosine.

    It is no model of probabilities: those of ``predict_proba`` are the softmax of cosines times 10.

    Args:
        alpha (float): The weight of a novel class's own mean, in [0, 1].
        sharpness (float): The factor of the cosines, above 0; the larger it is, the fewer base classes contribute.
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.

    Attributes:
        means_ (array, (C, D) float64): The class means: of length one for base classes, else mixtures of such.
    """

    per_class_arrays = ("means_",)
    novel_parameters = frozenset({"alpha", "sharpness"})
    tuning_grid = {"alpha": (0.3, 0.5, 0.7), "sharpness": (8.0, 16.0, 32.0)}

    def __init__(self, alpha: float = 0.5, sharpness: float = 16.0, feature_transform: str = "centred_l2") -> None:
        self.alpha = alpha
        self.sharpness = sharpness
        self.feature_transform = feature_transform

    def _check_parameters(self) -> None:
        check_number("alpha", self.alpha, least=0, most=1)
        check_number("sharpness", self.sharpness, above=0)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._fit_centre(X, codes, self._example_weights(codes, base=True))
        self._base_means_ = self.means_ = self._unit_means(X, codes)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        if not self.n_base_classes_:
            self._fit_centre(X, codes, self._example_weights(codes))
            self.means_ = self._unit_means(X, codes)
            return
        means = self._unit_means(X, codes)
        similar = softmax(self.sharpness * (means @ self._base_means_.T), axis=1)
        calibrated = self.alpha * means + (1 - self.alpha) * similar @ self._base_means_
        self.means_ = np.vstack([self._base_means_, calibrated])

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        learned.array("means_", "C", "D")
        if self.n_base_classes_:
            learned.array("_base_means_", "B", "D")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return unit_rows(self._transformed(X)) @ unit_rows(self.means_).T.astype(X.dtype)

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import Sequential

        from lowshot.classifiers.torch_modules import FeatureTransform, UnitRows, linear_layer

        transform = FeatureTransform(self.feature_transform, self._centre_)
        return Sequential(transform, UnitRows(), linear_layer(unit_rows(self.means_)))

    def _temperature(self) -> float:
        return 0.1
