"""Input that can be used, or an error that says what is wrong with it."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from lowshot.errors import InputError

CHUNK_ROWS = 65536


def as_features(features: Any, what: str, width: int | None = None) -> np.ndarray:
    """``features`` as an (N, D) float32 or float64 array with N, D > 0, of the given width, finite as float32 too.

    Raises:
        InputError: anything else; a row with NaN, infinity or a number that float32 cannot hold is named.
    """
    X = np.asarray(features)
    if X.dtype.kind not in "fiub":
        raise InputError(f"{what}: expected numbers, got dtype {X.dtype}")
    if X.dtype not in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            X = X.astype(np.float32)
    if X.ndim != 2 or not X.size:
        raise InputError(f"{what}: expected a non-empty (N, D) array, got shape {X.shape}")
    if width is not None and X.shape[1] != width:
        raise InputError(
            f"{what} have {X.shape[1]} dimensions where {width} are expected: use features of one representation"
        )
    for first in range(0, len(X), CHUNK_ROWS):  # in chunks: a mask over all of ImageNet's features is itself large
        with np.errstate(over="ignore"):
            finite = np.isfinite(X[first : first + CHUNK_ROWS].astype(np.float32, copy=False)).all(axis=1)
        if not finite.all():
            row = first + int(finite.argmin())
            raise InputError(f"{what}: row {row} holds NaN, infinity or a number too large for float32")
    return X


def as_labels(labels: Any, features: np.ndarray, what: str) -> np.ndarray:
    """``labels`` as an (N,) array, one for each row of ``features``."""
    y = np.asarray(labels)
    if y.ndim != 1 or len(y) != len(features):
        raise InputError(f"{what}: {len(features)} features but labels of shape {y.shape}; one label each is expected")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"{what}: labels hold NaN or infinity")
    return y


def as_weight(weight: Any, width: int) -> np.ndarray:
    """A linear classifier's weight as (classes, D) float32."""
    W = as_features(weight, "classifier weight").astype(np.float32, copy=False)
    if W.shape[1] != width:
        raise InputError(
            f"classifier weight has {W.shape[1]} columns but the features have {width} dimensions: "
            "take both from the same network"
        )
    return W


def as_count(value: Any, name: str) -> int:
    """A whole number of at least 1."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def as_number(value: Any, name: str, *, zero: bool) -> float:
    """A finite number above 0, or, if ``zero`` may be taken too, not below it."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and (number > 0 or (zero and number == 0)):
            return number
    raise InputError(f"{name} must be a finite number {'of at least' if zero else 'above'} 0, got {value!r}")
