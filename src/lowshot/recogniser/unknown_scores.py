"""Scores of how well a photo is known, higher for known ones: five from the literature, to compare.

On features of photographs (docs/results/recogniser.md) the highest cosine to a class mean of unit features tells
known from unknown photos best at every number of shots; :mod:`~lowshot.recogniser.unknown` rests on it alone.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from lowshot.classifiers.moments import class_means
from lowshot.classifiers.shrinkage import eigh
from lowshot.classifiers.transforms import unit_rows


def highest_cosine(X: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(N,) highest cosines of (N, D) features to (C, D) class means of unit features, without a centre."""
    return np.asarray((unit_rows(X) @ unit_rows(means).T.astype(X.dtype)).max(axis=1))


def nearest_shot(X: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """(N,) cosines to the most similar shot (Sun et al. 2022, arXiv 2204.06507, with k = 1)."""
    return highest_cosine(X, shots)


def highest_score(scores: np.ndarray) -> np.ndarray:
    """(N,) highest of the (N, C) scores of a classifier (Vaze et al. 2022, arXiv 2110.06207)."""
    return np.asarray(scores.max(axis=1))


def energy(scores: np.ndarray, temperature: float) -> np.ndarray:
    """(N,) negative energies of (N, C) scores (Liu et al. 2020, arXiv 2010.03759, equation 4)."""
    return np.asarray(temperature * logsumexp(scores / temperature, axis=1))


def relative_mahalanobis(
    X: np.ndarray, shots: np.ndarray, codes: np.ndarray, shrinkage: float = 0.6, unit: bool = True
) -> np.ndarray:
    """(N,) negative relative Mahalanobis distances (Ren et al. 2021, arXiv 2106.09022, equation 2).

    Args:
        X (array, (N, D)): The features.
        shots (array, (M, D)): The shots.
        codes (array, (M,) int): Their classes, 0..C-1.
        shrinkage (float): The weight of the isotropic part of both covariances, in [0, 1]; few shots need it.
        unit (bool): Scale features and shots to length one first.
    """
    X, shots = X.astype(np.float64), shots.astype(np.float64)
    if unit:
        X, shots = unit_rows(X), unit_rows(shots)
    means, centre = class_means(shots, codes, codes.max() + 1), shots.mean(axis=0)
    of_class = _whitening(shots - means[codes], shrinkage)
    of_all = _whitening(shots - centre, shrinkage)
    white, white_means = X @ of_class, means @ of_class
    distances = (white**2).sum(axis=1, keepdims=True) - 2 * white @ white_means.T + (white_means**2).sum(axis=1)
    return np.asarray((((X - centre) @ of_all) ** 2).sum(axis=1) - distances.min(axis=1))


def _whitening(offsets: np.ndarray, shrinkage: float) -> np.ndarray:
    """(D, D) map after which the covariance of the offsets, shrunk, is the identity."""
    covariance = offsets.T @ offsets / len(offsets)
    scale = np.trace(covariance) / len(covariance)
    variances, axes = eigh((1 - shrinkage) * covariance + shrinkage * scale * np.eye(len(covariance)))
    return np.asarray(axes / np.sqrt(np.maximum(variances, variances.max() * 1e-12 or 1.0)))
