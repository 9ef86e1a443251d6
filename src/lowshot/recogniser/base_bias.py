"""Base and novel classes in one recogniser, and the bias between them, chosen without validation images.

A pretrained network's own classes become base classes without a single image: the weights of its classifier, centred
and normalised, are their class means (Qi et al. 2018, arXiv 1712.07136, in the other direction). Their cosines and
those of means of shots are on different scales, so a bias on novel scores decides how many photos of base classes
turn into novel ones. It is chosen so that a stated share of them does. Two things are estimated from the shots alone:

- the highest novel score of a photo of a base class, from the scores of shots for *other* novel classes;
- the score of a photo of a base class for its own one, from the highest base scores of the shots, which are of no
  base class. A photo of a base class scores so many times as high as measured once on photographs.

With photos of base classes at hand, their scores replace both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from lowshot.checks import as_classifier_weight, as_features, check_number
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.classifiers.transforms import unit_rows
from lowshot.errors import InputError
from lowshot.recogniser.leave_one_out import LeftOut

# The share of photos of base classes that may turn into novel ones.
COST = 0.03
# The score of a photo of a base class for its own one, over the mean of the highest base scores of photos of no base
# class, and its standard deviation over itself.
_OWN_OVER_HIGHEST = 1.3
_OWN_DEVIATION = 0.25
# A photo of a base class is less like a novel class than photos of other novel classes are.
_LIKENESS = 0.8
# Mean and standard deviation of the score for a novel class, over the highest base score, as measured once; they count
# as so many pairs of novel classes.
_USUAL_MEAN, _USUAL_DEVIATION, _USUAL_PAIRS = 0.25, 0.28, 6


@dataclass(frozen=True)
class BaseBias:
    """A bias on novel scores.

    Attributes:
        bias (float): The bias, in units of the scores.
        cost (float): The share of photos of base classes that are expected to turn into novel ones.
        measured (bool): True where photos of base classes decided.
    """

    bias: float
    cost: float
    measured: bool


def from_head(weight: Any, labels: Any, centre: Any) -> NearestMean:
    """``nearest_mean`` whose base classes are those of a pretrained classifier; ``fit_novel`` adds to them.

    Args:
        weight (array-like, (B, D)): The weights of the classifier.
        labels (array-like, (B,)): The labels of its classes.
        centre (array-like, (D,)): The mean feature over images of all kinds, such as :func:`mean_after_relu` gives.

    Raises:
        InputError: Damaged arrays, or shapes that do not fit each other.
    """
    centre = as_features(np.asarray(centre, np.float64)[None], "centre")[0]
    W = as_classifier_weight(weight, len(centre)).astype(np.float64)
    labels = np.asarray(labels)
    if labels.shape != W.shape[:1] or len(np.unique(labels)) < len(W):
        raise InputError(f"the {len(W)} weights of a classifier need as many different labels")
    # One example a class: fit_base takes their mean as the centre, and the mean of centred weights is zero.
    directions = unit_rows(W - W.mean(axis=0))
    return NearestMean().fit_base(centre + directions - directions.mean(axis=0), labels)


def mean_after_relu(weight: Any, bias: Any, upper: float | None = None) -> np.ndarray:
    """The mean feature over the training images of a network that ends in batch normalisation and a ReLU.

    Batch normalisation gives every channel the mean ``bias`` and the standard deviation ``weight``; the mean of a
    normal variable after a ReLU follows. No image is needed.

    Args:
        weight (array-like, (D,)): The factors of the batch normalisation.
        bias (array-like, (D,)): Its offsets.
        upper (float, optional): The upper bound of the ReLU, 6 of ReLU6.

    Returns:
        (D,) float64.
    """
    deviation, mean = np.abs(np.asarray(weight, np.float64)), np.asarray(bias, np.float64)

    def positive_part(mean: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = mean / deviation
            value = mean * ndtr(z) + deviation * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        return np.where(deviation > 0, value, np.maximum(mean, 0))

    return positive_part(mean) - (0.0 if upper is None else positive_part(mean - upper))


def choose_base_bias(
    left_out: LeftOut, n_base: int, *, cost: float = COST, base_photos: tuple[Any, Any] | None = None
) -> BaseBias:
    """The bias on novel scores that costs base classes a stated share of their photos.

    Args:
        left_out (LeftOut): Leave-one-out scores of the shots of the novel classes, without a bias, higher than zero
            for similar things, such as those of ``nearest_mean`` by cosine.
        n_base (int): B, the number of base classes, whose columns come first.
        cost (float): The share, above 0 and below 1.
        base_photos (tuple of arrays, optional): Scores (K, C) of photos of base classes that the classifier was not
            fitted on, and their columns (K,).

    Raises:
        InputError: No base class, or no novel one.
    """
    cost = check_number("cost", cost, above=0, below=1)
    n_novel = len(left_out.classes) - n_base
    if n_base < 1 or n_novel < 1:
        raise InputError(f"a bias is between base and novel classes; there are {n_base} and {n_novel}")
    if base_photos is not None:
        scores, columns = np.asarray(base_photos[0]), np.asarray(base_photos[1])
        right = scores[:, :n_base].argmax(axis=1) == columns
        if right.any():
            gaps = scores[:, :n_base].max(axis=1) - scores[:, n_base:].max(axis=1)
            share = min(1.0, cost * len(right) / right.sum())
            return BaseBias(float(np.quantile(gaps[right], share, method="lower")), cost, True)
    highest = float(left_out.scores[:, :n_base].max(axis=1).mean(dtype=np.float64))
    own, own_deviation = _OWN_OVER_HIGHEST * highest, _OWN_DEVIATION * _OWN_OVER_HIGHEST * abs(highest)
    novel = left_out.scores[:, n_base:]
    others = np.ones(novel.shape, bool)
    others[np.arange(len(novel)), left_out.columns - n_base] = False
    impostors = novel[others & np.isfinite(novel)]
    mean, deviation = _USUAL_MEAN * highest, _USUAL_DEVIATION * abs(highest)
    if len(impostors) > 1:
        pairs = n_novel * (n_novel - 1)
        share = pairs / (pairs + _USUAL_PAIRS)
        mean += share * (_LIKENESS * float(impostors.mean()) - mean)
        deviation += share * (_LIKENESS * float(impostors.std()) - deviation)
    # The expected highest of N normal variables (Blom 1958).
    highest_novel = mean + deviation * float(ndtri((n_novel - 0.375) / (n_novel + 0.25)))
    margin = float(ndtri(1 - cost)) * np.hypot(own_deviation, deviation)
    return BaseBias(float(own - margin - highest_novel), cost, False)
