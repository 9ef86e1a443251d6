"""A linear classifier of the base classes, for features that come without the network that extracted them."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

MAX_PER_CLASS = 100
PENALTY = 1e-4


def fit_classifier(features: np.ndarray, labels: np.ndarray, random_state: int = 0) -> np.ndarray:
    """Fit a softmax regression without bias, as the backbones' own classifiers have none.

    It is trained by L-BFGS on at most 100 examples of a class. That is enough to tell whether a generated feature
    still looks like its class, for which the original takes 10 000 steps of SGD on all examples.

    Args:
        features (array, (N, D) float32): The base features.
        labels (array, (N,)): Their labels, of at least two classes.
        random_state (int): The seed of the choice of examples.

    Returns:
        (C, D) float32 weight, a row for each class in sorted order.
    """
    rng = np.random.default_rng(random_state)
    classes, codes = np.unique(labels, return_inverse=True)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(order)) - np.searchsorted(codes[order], codes[order])
    rows = np.sort(order[rank < MAX_PER_CLASS])
    # One scale for all dimensions gives the penalty the same strength on any features and preserves their geometry.
    scale = np.float32(1 / max(float(np.sqrt(np.mean(np.sum(features[rows].astype(np.float64) ** 2, axis=1)))), 1e-12))
    model = LogisticRegression(C=1 / (PENALTY * len(rows)), fit_intercept=False, max_iter=100, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # good enough long before the optimum
        model.fit(features[rows] * scale, codes[rows])
    weight = model.coef_ * scale
    if len(classes) == 2:  # scikit-learn has only the difference of the two
        weight = np.concatenate([-weight, weight]) / 2
    return np.asarray(weight, np.float32)
