"""Weighted kernel ridge regression by descent in function space, point by point."""

from __future__ import annotations

import math

import numpy as np


def values(X, points, sharpness):
    return np.array([[math.exp(-sharpness * sum((x - p) ** 2)) for p in points] for x in X])


def fitted(points, targets, weights, sharpness, alpha, steps=5000):
    """Coefficients a (P, C) that minimise sum_i w_i |sum_j a_j k_ij - t_i|^2 + alpha sum_ij a_i a_j k_ij."""
    K = values(points, points, sharpness)
    a = np.zeros((len(points), targets.shape[1]))
    # The gradient with respect to a is 2 K (w (K a - t) + alpha a); K is positive definite, so its zero is that of
    # the part in brackets, which contracts under small steps.
    step = 1 / (weights.max() * np.linalg.eigvalsh(K).max() + alpha)
    for _ in range(steps):
        a -= step * (weights[:, None] * (K @ a - targets) + alpha * a)
    return a
