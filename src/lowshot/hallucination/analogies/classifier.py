"""A linear classifier of the base classes, for features that come without the network that made them."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

MAX_PER_CLASS = 100
PENALTY = 1e-4


def fit_classifier(features: np.ndarray, labels: np.ndarray, random_state: int = 0) -> np.ndarray:
    """The weight of a softmax regression without bias, as the backbones' own classifiers have none.

    Trained by L-BFGS on at most 100 examples a class: it only has to say whether a generated feature still looks like
    its class, for which the original spends 10 000 steps of SGD on all of them.

    Args:
        features: (N, D) float32.
        labels: (N,) of two classes at least.
        random_state: seed of the choice of examples.

    Returns:
        (C, D) float32, a row per class in sorted order.
    """
    rng = np.random.default_rng(random_state)
    classes, codes = np.unique(labels, return_inverse=True)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(order)) - np.searchsorted(codes[order], codes[order])
    rows = np.sort(order[rank < MAX_PER_CLASS])
    # One common scale for all dimensions makes the penalty mean the same for any features, and keeps their geometry.
    scale = np.float32(1 / max(float(np.sqrt(np.mean(np.sum(features[rows].astype(np.float64) ** 2, axis=1)))), 1e-12))
    model = LogisticRegression(C=1 / (PENALTY * len(rows)), fit_intercept=False, max_iter=100, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # good long before the optimum
        model.fit(features[rows] * scale, codes[rows])
    weight = model.coef_ * scale
    if len(classes) == 2:  # scikit-learn keeps only the difference of the two
        weight = np.concatenate([-weight, weight]) / 2
    return np.asarray(weight, np.float32)
