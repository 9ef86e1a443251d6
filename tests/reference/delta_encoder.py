"""The delta-encoder's loss and decoder row by row, from Schwartz et al. (2018), section 3."""

from __future__ import annotations

import numpy as np


def weighted_error(made, target):
    total = 0.0
    for row, wanted in zip(made, target):
        errors = [abs(a - b) for a, b in zip(row, wanted)]
        length = sum(e**2 for e in errors)
        total += sum(e**2 / length * e for e in errors) if length > 0 else 0.0
    return total / len(made)


def decode(code, seed, layers, scale, slope=0.2):
    """One generated feature before it is clamped."""
    x = np.array([*code, *(value / scale for value in seed)])
    hidden = [row @ x + b for row, b in zip(layers["hidden.weight"], layers["hidden.bias"])]
    hidden = np.array([h if h > 0 else slope * h for h in hidden])
    return scale * np.array([row @ hidden + b for row, b in zip(layers["output.weight"], layers["output.bias"])])
