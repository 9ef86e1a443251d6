"""The two-covariance model with full matrices in the space of the features, class by class and query by query."""

from __future__ import annotations

import numpy as np
from scipy.linalg import sqrtm
from scipy.stats import multivariate_normal


def oas(samples_offsets, dof):
    """Chen et al. (2010), equation 23, on offsets whose mean was taken away."""
    p = samples_offsets.shape[1]
    S = sum(np.outer(x, x) for x in samples_offsets) / dof
    trace_of_square, square_of_trace = np.trace(S @ S), np.trace(S) ** 2
    rho = ((1 - 2 / p) * trace_of_square + square_of_trace) / (
        (dof + 1 - 2 / p) * (trace_of_square - square_of_trace / p)
    )
    rho = min(1, rho)
    return (1 - rho) * S + rho * np.trace(S) / p * np.eye(p)


def scores(base, novel, queries, predictive):
    """(Q, C) log densities, base classes first, and their class means and covariances' traces."""
    (X, y), (Xn, yn) = base, novel
    classes = np.unique(y)
    means = np.array([X[y == c].mean(axis=0) for c in classes])
    within = oas(X - means[np.searchsorted(classes, y)], len(X) - len(classes))
    centre = means.mean(axis=0)
    root = np.real(sqrtm(within))
    inverse_root = np.linalg.inv(root)
    between = oas((means - centre) @ inverse_root, len(classes) - 1)
    noise = np.mean([1 / (y == c).sum() for c in classes])
    values, vectors = np.linalg.eigh(between)
    prior = root @ (vectors * np.maximum(values - noise, 0)) @ vectors.T @ root
    columns = []
    for X_part, y_part in ((X, y), (Xn, yn)):
        for c in np.unique(y_part):
            own = X_part[y_part == c]
            gain = prior @ np.linalg.inv(prior + within / len(own))
            mean = centre + gain @ (own.mean(axis=0) - centre)
            spread = prior - gain @ prior if predictive else np.zeros_like(prior)
            columns.append(multivariate_normal(mean, within + spread).logpdf(queries))
    return np.stack(columns, axis=1)
