"""`gaussian` with a term from the names of classes, for backbones that embed images and texts in one space."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np

from lowshot.checks import check_number
from lowshot.classifiers.gaussian import Gaussian
from lowshot.classifiers.shrinkage import Shrinkage
from lowshot.classifiers.transforms import unit_rows
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.files import Pathlike
from lowshot.papers import TWO_COVARIANCES
from lowshot.registry import CLASSIFIERS

if TYPE_CHECKING:
    import torch


BIBTEX = """
@inproceedings{wang2024baseline,
  author = {Wang, Zhengbo and Liang, Jian and Sheng, Lijun and He, Ran and Wang, Zilei and Tan, Tieniu},
  title = {A Hard-to-Beat Baseline for Training-free {CLIP}-based Adaptation},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year = {2024},
  eprint = {2402.04087},
  archivePrefix = {arXiv},
}

@inproceedings{radford2021clip,
  author = {Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and Goh, Gabriel and
    Agarwal, Sandhini and Sastry, Girish and Askell, Amanda and Mishkin, Pamela and Clark, Jack and Krueger, Gretchen
    and Sutskever, Ilya},
  title = {Learning Transferable Visual Models From Natural Language Supervision},
  booktitle = {International Conference on Machine Learning (ICML)},
  year = {2021},
  eprint = {2103.00020},
  archivePrefix = {arXiv},
}
"""


@CLASSIFIERS.register(
    "gaussian_text",
    "gaussian plus the cosine to an embedding of each class's name, as CLIP has it",
    bibtex=BIBTEX + TWO_COVARIANCES,
)
class GaussianText(Gaussian):
    """A Gaussian classifier and a zero-shot classifier, added.

    Wang et al. (2024, arXiv 2402.04087, section 3): the scores of CLIP, a factor times the cosine of an image's
    embedding and that of its class's name, plus those of Gaussian discriminant analysis on image embeddings. They fit
    the Gaussians to the shots alone; here these are those of ``gaussian``, with the prior and the covariance of base
    classes. The text term takes features as they are, whatever ``feature_transform`` does to them for the Gaussians.

    The embeddings of the names come from a file, for which any text tower will do: the benchmark and recognisers know
    classes by label alone. It is a NumPy archive of two arrays, ``labels`` (C,) of text or whole numbers, and
    ``embeddings`` (C, D) of floats, for at least the classes that are fitted::

        np.savez("names.npz", labels=class_names, embeddings=text_tower(class_names))

    In a recipe the labels are the numbers of the classes in the data set, and in a recogniser its names.

    Args:
        feature_transform (str): "none", "l2" or "centred_l2", as in ``nearest_mean``.
        shrinkage (str or float): As in ``gaussian``.
        predictive (bool): As in ``gaussian``.
        text_embeddings (path-like, optional): The file. None leaves ``gaussian``.
        text_weight (float): The factor of the cosines, at least 0; CLIP's own is 100.

    Attributes:
        texts_ (array, (C, D) float64): The embeddings of the names, of length one; zeros without a file.
    """

    per_class_arrays = (*Gaussian.per_class_arrays, "texts_")
    novel_parameters = frozenset({"predictive", "text_weight"})
    tuning_grid = {"shrinkage": (0.1, 0.6), "text_weight": (0.0, 30.0, 100.0, 300.0)}

    def __init__(
        self,
        feature_transform: str = "centred_l2",
        shrinkage: Shrinkage = 0.1,
        predictive: bool = False,
        text_embeddings: Pathlike | None = None,
        text_weight: float = 100.0,
    ) -> None:
        super().__init__(feature_transform, shrinkage, predictive)
        self.text_embeddings = text_embeddings
        self.text_weight = text_weight

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_number("text_weight", self.text_weight, least=0)

    def _fit_base(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_base(X, codes)
        self._base_texts_ = self.texts_ = self._texts(self.classes_)

    def _fit_novel(self, X: np.ndarray, codes: np.ndarray) -> None:
        super()._fit_novel(X, codes)
        novel = self._texts(self.classes_[self.n_base_classes_ :])
        self.texts_ = np.vstack([self._base_texts_, novel]) if self.n_base_classes_ else novel

    def _join_classes(self, X: np.ndarray, codes: np.ndarray, labels: np.ndarray, order: np.ndarray) -> bool:
        if self.n_base_classes_:
            return super()._join_classes(X, codes, labels, order)
        if not super()._join_classes(X, codes, labels, order):
            return False
        self.texts_ = self._joined(self.texts_, self._texts(labels), order)
        return True

    def _check_learned(self, learned: LearnedState) -> None:
        super()._check_learned(learned)
        learned.array("texts_", "C", "D")
        if self.n_base_classes_:
            learned.array("_base_texts_", "B", "D")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return super()._scores(X) + unit_rows(X) @ (self.text_weight * self.texts_).T.astype(X.dtype)

    def _left_out_scores(self, X: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        return None

    def _as_torch(self) -> torch.nn.Module:
        from torch.nn import Sequential

        from lowshot.classifiers.torch_modules import Summed, UnitRows, linear_layer

        return Summed(super()._as_torch(), Sequential(UnitRows(), linear_layer(self.text_weight * self.texts_)))

    def _texts(self, labels: np.ndarray) -> np.ndarray:
        """(K, D) unit embeddings of the names of some classes."""
        if self.text_embeddings is None:
            return np.zeros((len(labels), self.n_features_in_))
        known, embeddings = read_text_embeddings(self.text_embeddings)
        if embeddings.shape[1] != self.n_features_in_:
            raise InputError(
                f"{self.text_embeddings} has embeddings of {embeddings.shape[1]} numbers, and the features have "
                f"{self.n_features_in_}: take both from one model"
            )
        rows = {label: row for row, label in enumerate(known.tolist())}
        if lacking := [label for label in labels.tolist() if label not in rows]:
            raise InputError(
                f"{self.text_embeddings} has no embedding of class {lacking[0]!r}: add one for every class"
            )
        return unit_rows(embeddings[[rows[label] for label in labels.tolist()]])


def read_text_embeddings(path: Pathlike) -> tuple[np.ndarray, np.ndarray]:
    """Labels (C,) and float64 embeddings (C, D) of a file of text embeddings.

    Raises:
        InputError: The file is missing, is no such archive, or its arrays do not fit together or are not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            labels, embeddings = archive["labels"], archive["embeddings"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no file of text embeddings ({error}): write it with np.savez(path, labels=..., embeddings=...)"
        ) from None
    if labels.ndim != 1 or labels.dtype.kind not in "iuU" or len(np.unique(labels)) < len(labels):
        raise InputError(f"{path}: labels must be texts or whole numbers in one row, none of them twice")
    if embeddings.ndim != 2 or embeddings.dtype.kind != "f" or len(embeddings) != len(labels):
        raise InputError(
            f"{path}: embeddings must be floats with a row for each of the {len(labels)} labels, not "
            f"{embeddings.dtype} of shape {embeddings.shape}"
        )
    embeddings = embeddings.astype(np.float64)
    if not np.isfinite(embeddings).all():
        raise InputError(f"{path}: embeddings hold NaN or infinity")
    return labels, embeddings
