"""Weighted ridge regression to one-hot labels, solved example by example as one least-squares problem."""

from __future__ import annotations

import numpy as np


def solve(X_base, y_base, X_novel, y_novel, alpha):
    """(C, D) weights and (C,) intercepts; columns are the sorted base labels, then the sorted novel ones.

    Rows are scaled by the root of their weight. The penalty is D more rows with target zero, and is in units of the
    weighted mean variance of a feature.
    """
    labels = [*np.unique(y_base), *np.unique(y_novel)]
    n_base, n_novel = len(np.unique(y_base)), len(np.unique(y_novel))
    X, y = np.vstack([X_base, X_novel]), np.concatenate([y_base, y_novel])
    weights = np.concatenate(
        [np.full(len(part), share / len(part)) for part, share in ((y_base, n_base), (y_novel, n_novel)) if len(part)]
    ) / (n_base + n_novel)
    targets = (y[:, None] == np.array(labels)).astype(float)
    D = X.shape[1]
    mean = weights @ X
    unit = (weights[:, None] * (X - mean) ** 2).sum() / D
    rows = np.sqrt(weights)[:, None] * np.hstack([X, np.ones((len(X), 1))])
    penalty = np.hstack([np.sqrt(alpha * unit) * np.eye(D), np.zeros((D, 1))])
    right = np.vstack([np.sqrt(weights)[:, None] * targets, np.zeros((D, len(labels)))])
    solution = np.linalg.lstsq(np.vstack([rows, penalty]), right, rcond=None)[0]
    return solution[:D].T, solution[D]
