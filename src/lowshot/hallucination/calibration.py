"""Free Lunch for Few-Shot Learning: Distribution Calibration (Yang, Liu & Xu, ICLR 2021)."""

from __future__ import annotations

import numpy as np

from lowshot.checks import check_count, check_number
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.hallucination.base import Generator
from lowshot.registry import GENERATORS

BIBTEX = """
@inproceedings{yang2021freelunch,
  author = {Yang, Shuo and Liu, Lu and Xu, Min},
  title = {Free Lunch for Few-shot Learning: Distribution Calibration},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year = {2021},
  eprint = {2101.06395},
  archivePrefix = {arXiv},
}
"""


@GENERATORS.register(
    "calibration", "Gaussian around each shot, statistics of the nearest base classes (ICLR 2021)", bibtex=BIBTEX
)
class CalibrationGenerator(Generator):
    """Draw from a Gaussian whose mean and covariance are borrowed from the base classes nearest to the shot.

    With g(x) = sign(x) |x|^power, the power transform (Tukey's ladder, section 3.2.2), and S the k base classes whose
    means lie nearest to g(x) for a shot x, new features are drawn from a normal distribution with (equations 5 and 6)::

        mean = (sum of S's means + g(x)) / (k + 1)        covariance = mean of S's covariances + alpha in every entry

    Unlike analogies it models no transformation: all features of a class are one cloud, and nothing is trained.

    Three choices differ from the authors' program, which takes base statistics from plain features and gives the drawn,
    transformed ones to a classifier on transformed features. Here base features are transformed too, so that means
    and shots are averaged and compared in one space; results are transformed back, because every classifier of the
    benchmark sees real and generated features together; and the power keeps the sign, so that features of any sign have
    one. Where no base feature is negative, results are clamped at zero, so that they are features of the same kind.

    Generating neither forms nor factorises a covariance. If R'R is the covariance of a class, R from one QR
    decomposition of its centred features at fit time, then R'z has that covariance for standard normal z, and a sum of
    independent such terms has the sum of their covariances.

    Args:
        power (float): Tukey's exponent, above 0; 1 leaves features as they are.
        n_nearest (int): The number k of base classes that lend their statistics.
        alpha (float): The spread added to every entry of the covariance, at least 0.
        random_state (int): The seed that :meth:`generate` uses when it is given none.

    Attributes:
        means_ (array, (C, D) float32): The class means of transformed features.
        roots_ (array, (M, D) float32): The matrices R of all classes, one after the other.
        root_counts_ (array, (C,) int64): The number of rows of each R, at most D.
    """

    min_base_classes = 2
    fitted_arrays = ("means_", "roots_", "root_counts_")

    def __init__(self, power: float = 0.5, n_nearest: int = 2, alpha: float = 0.21, random_state: int = 0) -> None:
        self.power = power
        self.n_nearest = n_nearest
        self.alpha = alpha
        self.random_state = random_state

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        check_number("power", self.power, above=0)
        check_number("alpha", self.alpha, least=0)
        classes = np.unique(labels)
        if check_count("n_nearest", self.n_nearest) > len(classes):
            raise InputError(f"n_nearest={self.n_nearest}, but there are only {len(classes)} base classes")
        means, roots = [], []
        for label in classes:
            transformed = self._transformed(features[labels == label])
            means.append(transformed.mean(axis=0))
            roots.append(_covariance_root(transformed - means[-1]))
        self.means_ = np.stack(means)
        self.roots_ = np.concatenate(roots)
        self.root_counts_ = np.array([len(root) for root in roots], np.int64)

    def _check_learned(self, learned: LearnedState) -> None:
        check_number(f"{learned.source}: power", self.power, above=0)
        check_number(f"{learned.source}: alpha", self.alpha, least=0)
        classes = len(learned.array("means_", "classes", "D"))
        if check_count(f"{learned.source}: n_nearest", self.n_nearest) > classes:
            raise InputError(f"{learned.source}: n_nearest={self.n_nearest}, but there are {classes} base classes")
        roots = learned.array("roots_", "rows", "D")
        counts = learned.check("root_counts_", self.root_counts_, "classes", whole=True)
        if (counts < 0).any() or counts.sum() != len(roots):
            raise InputError(f"{learned.source}: root_counts_ must be counts, and together {len(roots)}")

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not self.signed_ and self.power != 1 and seeds.min() < 0:
            raise InputError(
                "shots have negative values, but the base features had none: take both from one backbone, or fit the "
                "generator on features of this kind"
            )
        seeds = self._transformed(seeds)
        k = self.n_nearest
        distances = (self.means_**2).sum(axis=1) - 2 * seeds @ self.means_.T
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        drawn = (self.means_[nearest].sum(axis=1) + seeds) / (k + 1)
        drawn += np.sqrt(self.alpha) * rng.standard_normal((len(seeds), 1), dtype=np.float32)
        ends = np.cumsum(self.root_counts_)
        for base_class in np.unique(nearest):
            rows = np.flatnonzero((nearest == base_class).any(axis=1))
            root = self.roots_[ends[base_class] - self.root_counts_[base_class] : ends[base_class]]
            drawn[rows] += rng.standard_normal((len(rows), len(root)), dtype=np.float32) @ root / np.sqrt(k)
        return _signed_power(drawn, 1 / self.power) if self.signed_ else np.maximum(drawn, 0) ** (1 / self.power)

    def _transformed(self, features: np.ndarray) -> np.ndarray:
        return _signed_power(features, np.float32(self.power)) if self.signed_ else features ** np.float32(self.power)


def _signed_power(values: np.ndarray, power: float | np.floating) -> np.ndarray:
    """sign(x) |x|^power of each value: increasing, and with an inverse of the same form."""
    return np.copysign(np.abs(values) ** power, values)


def _covariance_root(centred: np.ndarray) -> np.ndarray:
    """(r, D) float32 R with R'R the unbiased covariance of (n, D) centred features; no rows where n is 1."""
    if len(centred) == 1:
        return centred[:0]
    return np.asarray(np.linalg.qr(centred / np.sqrt(np.float32(len(centred) - 1)), mode="r"))
