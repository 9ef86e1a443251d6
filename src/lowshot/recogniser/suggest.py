"""Unlabelled photos worth labelling next: those that stand for many others whose answer is uncertain.

Facility location (Wei, Iyer and Bilmes 2015, "Submodularity in data subset selection and active learning"): photos
are chosen one by one so that the similarity of all photos to their nearest chosen or labelled one grows most, which
covers the pool and avoids repeats. Photos count more the less certain the classifier is of them, so a pool of known
things yields hard ones; without any label all count the same, which is a good first batch
(docs/results/recogniser.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowshot.checks import as_features, check_count, check_number
from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.transforms import unit_rows
from lowshot.recogniser.check import SAME_PICTURE
from lowshot.recogniser.leave_one_out import evenly_chosen

# All similarities of so many photos fit in 64 MB; a larger pool is represented by so many of it.
MOST_PHOTOS = 4000
_BLOCK = 4096
# What a photo counts whose answer is certain, where one of even odds counts 1.
_LEAST_WEIGHT = 0.05


def suggest(
    X: Any,
    n: int,
    *,
    classifier: LowShotClassifier | None = None,
    shots: Any = None,
    same_picture: float = SAME_PICTURE,
) -> np.ndarray:
    """Choose photos to label next.

    Args:
        X (array-like, (N, D)): The features of the unlabelled photos.
        n (int): The number of photos.
        classifier (LowShotClassifier, optional): The classifier so far, with a temperature; None without any label.
        shots (array-like, (M, D), optional): The features of the labelled photos.
        same_picture (float): The cosine from which two photos are one picture, of which one at most is suggested and
            none if it is labelled; above 0 and at most 1.

    Returns:
        (k,) row numbers, the most useful first; fewer than n where all others are duplicates.

    Raises:
        InputError: Damaged features, or a number out of its range.
    """
    X = as_features(X, "unlabelled photos")
    check_count("n", n)
    limit = check_number("same_picture", same_picture, above=0, most=1) - 1e-6
    known = X[:0] if shots is None else as_features(shots, "shots", X.shape[1])
    rows = evenly_chosen(X, max(MOST_PHOTOS, n))
    # Both kinds count alike in the centre, however many there are of each.
    centre = X[rows].mean(axis=0, dtype=np.float64)
    if len(known):
        centre = (centre + known.mean(axis=0, dtype=np.float64)) / 2
    pool, labelled = ((unit_rows(part - centre)).astype(np.float32) for part in (X[rows], known))
    weights = np.ones(len(rows), np.float32)
    if classifier is not None and len(classifier.classes_) > 1:
        top = np.partition(classifier.predict_proba(X[rows]), -2, axis=1)[:, -2:]
        weights = np.maximum(1 - np.abs(top[:, 1] - top[:, 0]), _LEAST_WEIGHT).astype(np.float32)
    covered = np.zeros(len(rows), np.float32)
    for first in range(0, len(labelled), _BLOCK):
        np.maximum(covered, (pool @ labelled[first : first + _BLOCK].T).max(axis=1), out=covered)
    available = covered < limit
    similar = np.maximum(pool @ pool.T, 0)
    np.minimum(covered, 1, out=covered)
    chosen: list[int] = []
    gains = np.full(len(rows), np.inf)
    while len(chosen) < n and available.any():
        # Gains only shrink, so an old gain is a bound: photos are looked at anew until the best one is up to date.
        fresh = np.zeros(len(rows), bool)
        gains[~available] = -np.inf
        while not fresh[best := int(gains.argmax())]:
            batch = np.argsort(-gains, kind="stable")[:64] if np.isfinite(gains[best]) else np.flatnonzero(available)
            batch = batch[available[batch] & ~fresh[batch]]
            gains[batch] = _gains(similar, batch, covered, weights)
            fresh[batch] = True
        chosen.append(best)
        np.maximum(covered, similar[best], out=covered)
        available &= similar[best] < limit
        available[best] = False
    return np.asarray(rows[chosen])


def _gains(similar: np.ndarray, rows: np.ndarray, covered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """By how much the weighted coverage of all photos grows with each of these rows."""
    gains = np.empty(len(rows))
    for first in range(0, len(rows), 256):
        part = rows[first : first + 256]
        gains[first : first + 256] = np.maximum(similar[part] - covered, 0) @ weights
    return gains
