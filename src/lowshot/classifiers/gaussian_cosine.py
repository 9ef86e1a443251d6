"""`gaussian` and `cosine` together: the product of their posteriors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lowshot.checks import check_number
from lowshot.classifiers.cosine import Cosine
from lowshot.classifiers.cosine_weights import CosineWeights
from lowshot.classifiers.gaussian import Gaussian
from lowshot.classifiers.shrinkage import Shrinkage
from lowshot.classifiers.transforms import unit_rows
from lowshot.papers import GIDARIS_2018, QI_2018, TWO_COVARIANCES
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch

# The two are good at opposite ends. With one shot, its direction is most of what is known, and base weights that were
# trained to discriminate leave fewer of their queries to novel classes: cosine is ahead. With twenty, the covariance
# within classes says which directions matter: gaussian is ahead. Up to a number per query the logarithm of a posterior
# is the vector of scores, so the product of two posteriors, one raised to a power, is a weighted sum of scores.


BIBTEX = """
@article{genest1986combining,
  author = {Genest, Christian and Zidek, James V.},
  title = {Combining Probability Distributions: A Critique and an Annotated Bibliography},
  journal = {Statistical Science},
  year = {1986},
}

@inproceedings{hinton1999products,
  author = {Hinton, Geoffrey E.},
  title = {Products of Experts},
  booktitle = {International Conference on Artificial Neural Networks (ICANN)},
  year = {1999},
}
"""


@CLASSIFIERS.register(
    "gaussian_cosine",
    "product of the posteriors of gaussian and cosine, for few shots and many",
    bibtex=BIBTEX + TWO_COVARIANCES + GIDARIS_2018 + QI_2018,
)
class GaussianCosine(CosineWeights, Gaussian):
    """Scores are those of ``cosine`` plus ``density_weight`` times those of ``gaussian``.

    A product of experts with a weight (logarithmic opinion pool: Genest and Zidek 1986; Hinton 1999): two models of
    p(class | feature) that make different errors on the same transformed features. Base weights and the scale are
    trained as ``cosine`` trains them, and a novel class has the normalised mean of its normalised shots; means and
    densities are those of ``gaussian``.

    Args:
        feature_transform (str): "l2" or "centred_l2", as in ``cosine``.
        shrinkage (str or float): As in ``gaussian``.
        predictive (bool): As in ``gaussian``.
        density_weight (float): The weight of the log density, at least 0. Gaussian posteriors of many dimensions are
            overconfident, so it is well below 1; 0 is ``cosine`` alone.
        scale (float): The initial scale of the cosines, as in ``cosine``.
        n_steps (int): The number of SGD steps on the base classes, as in ``cosine``; 0 imprints them.
        random_state (int): The seed of the batches.

    Attributes:
        coef_ (array, (C, D)): The weights of the classes, of length one.
        scale_ (float): The learned scale of the cosines.
    """

    per_class_arrays: ClassVar[tuple[str, ...]] = (*Gaussian.per_class_arrays, "coef_")
    feature_transforms = Cosine.feature_transforms
    novel_parameters = frozenset({"predictive", "density_weight"})
    tuning_grid = {"shrinkage": ("oas", 0.3, 0.6), "density_weight": (0.03, 0.1, 0.3)}

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        shrinkage: Shrinkage = "oas",
        predictive: bool = False,
        density_weight: float = 0.1,
        scale: float = 10.0,
        n_steps: int = 500,
        random_state: int = 0,
    ) -> None:
        super().__init__(feature_transform, shrinkage, predictive)
        self.density_weight = density_weight
        self.scale = scale
        self.n_steps = n_steps
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("density_weight", self.density_weight, least=0)
        self._cosine()._check_parameters()

    def _cosine(self) -> Cosine:
        cosine = Cosine(self.feature_transform, self.scale, self.n_steps, random_state=self.random_state)
        cosine.class_weight = self.class_weight
        return cosine

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_base(X, codes)
        cosine = self._cosine().fit_base(X, self.classes_[codes])
        self.coef_, self.scale_ = self._base_coef_, self._base_scale_ = cosine.coef_, cosine.scale_

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_novel(X, codes)
        self._imprint_novel(X, codes)

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        if not super()._join_classes(X, codes, labels, order):
            return False
        if not self.n_base_classes_:  # with base classes all rows of per_class_arrays have been joined
            self.coef_ = self._joined(self.coef_, self._unit_means(X, codes), order)
        return True

    def _scores(self, X: np.ndarray) -> np.ndarray:
        transformed = self._transformed(X)
        densities = self._log_densities(self._in_basis(transformed))
        return self._cosine_scores(transformed) + X.dtype.type(self.density_weight) * densities

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import Sequential

        from lowshot.classifiers.torch_modules import FeatureTransform, Summed

        scores = Summed(self._cosine_layer(), Sequential(*self._density_layers()), self.density_weight)
        return Sequential(FeatureTransform(self.feature_transform, self._centre_), scores)

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        densities = super()._left_out_scores(X, codes, rows)
        if densities is None:
            return None
        shots, own = self._transformed(X).astype(np.float64), codes[rows]
        cosines = shots[rows] @ self.coef_.T
        sums = np.stack([np.bincount(codes, weights=column) for column in shots.T], axis=1)
        others = unit_rows(sums[own] - shots[rows])
        cosines[np.arange(len(rows)), self.n_base_classes_ + own] = (shots[rows] * others).sum(axis=1)
        return self.scale_ * cosines + self.density_weight * densities
