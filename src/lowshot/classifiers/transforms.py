"""Feature transforms of SimpleShot (Wang et al. 2019, arXiv 1911.04623, section 3).

``none`` leaves the features, ``l2`` scales each to length one, ``centred_l2`` first subtracts a centre: the mean of the
base features, or of the given ones where there is no base. Features that end in a ReLU all lie in one corner of the
space, where every cosine is near one; centring lets the angles between classes open up.
"""

from __future__ import annotations

import math

import numpy as np

from lowshot.errors import InputError, did_you_mean

TRANSFORMS = ("none", "l2", "centred_l2")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise an :class:`InputError` that names parameter ``name`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise InputError(f"{name}={value!r} is not one of its choices. {did_you_mean(str(value), choices)}")


def fitted_centre(X: np.ndarray, transform: str) -> np.ndarray:
    """(D,) float64: what ``transform`` subtracts, taken from (N, D) features; zeros where it subtracts nothing."""
    check_choice("feature_transform", transform, TRANSFORMS)
    if transform == "centred_l2":
        return X.mean(axis=0, dtype=np.float64)
    return np.zeros(X.shape[1])


def transformed(X: np.ndarray, transform: str, centre: np.ndarray) -> np.ndarray:
    """(N, D) transformed features in the dtype of ``X``."""
    if transform == "none":
        return X
    return unit_rows(X - centre.astype(X.dtype) if transform == "centred_l2" else X)


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Rows scaled to length one; a row of zeros stays as it is."""
    # The squares are summed in float64, where those of float32 can neither overflow nor vanish.
    lengths = np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))[:, None]
    return (X / np.where(lengths > 0, lengths, 1)).astype(X.dtype, copy=False)


def check_at_least(least: float, **parameters: float) -> None:
    """Refuse the first of the named parameters that is below ``least`` (or no number)."""
    for name, value in parameters.items():
        if not value >= least:
            raise InputError(f"{name}={value!r} must be {least} or more")


def check_within(least: float, below: float, **parameters: float) -> None:
    """Refuse the first of the named parameters that is not in [least, below): infinite ones and no numbers too."""
    for name, value in parameters.items():
        if not least <= value < below:
            end = "and finite" if math.isinf(below) else f"and below {below}"
            raise InputError(f"{name}={value!r} must be {least} or more {end}")


def forward_rows(X: np.ndarray, copy: bool = False) -> np.ndarray:
    """Features as float32 without negative strides, which torch refuses; copied only where that takes a copy."""
    return X.astype(np.float32, order="C", copy=copy or min(X.strides) < 0)
