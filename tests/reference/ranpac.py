"""Calibrated RanPAC class by class with full matrices, from McDonnell et al. (2023) and Goswami et al. (2024)."""

from __future__ import annotations

import numpy as np

from tests.reference.teen import similarities, unit


def weights(base_examples, novel_examples, projection, calibration, sharpness, alpha):
    """(C, M) weights of ridge regression for lists of (n, D) transformed examples, one list for each class."""
    M = projection.shape[1]

    def random_features(X):
        return np.array([[max(0.0, float(x @ column)) for column in projection.T] for x in X])

    def covariance(H):
        return sum(np.outer(h - H.mean(axis=0), h - H.mean(axis=0)) for h in H) / len(H)

    base = [random_features(X) for X in base_examples]
    base_means = [unit(np.mean(X, axis=0)) for X in base_examples]
    base_covariances = [covariance(H) for H in base]
    moments = [(H.mean(axis=0), S) for H, S in zip(base, base_covariances)]
    for X in novel_examples:
        H = random_features(X)
        similar = similarities(unit(np.mean(X, axis=0)), base_means, sharpness)
        borrowed = sum(s * S for s, S in zip(similar, base_covariances))
        moments.append((H.mean(axis=0), (1 - calibration) * covariance(H) + calibration * borrowed))
    gram = sum(S + np.outer(mean, mean) for mean, S in moments)
    penalty = alpha * np.trace(gram) / M * np.eye(M)
    return np.array([np.linalg.inv(gram + penalty) @ mean for mean, _ in moments])
