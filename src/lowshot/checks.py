"""Checks of parameters and arrays that come from a user. Each returns the checked value or raises an InputError."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from lowshot.errors import InputError, did_you_mean

CHUNK_ROWS = 65536


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number, such as a number of steps.

    Args:
        name (str): The parameter's name, for the message.
        value (Any): The given value.
        least (int): The smallest allowed number.
        most (int, optional): The largest allowed number.

    Raises:
        InputError: The value is no integer (1e3 is a float), or it is below ``least`` or above ``most``.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and int(value) >= least and (most is None or int(value) <= most):
        return int(value)
    bound = "" if most is None else f" and at most {most}"
    raise InputError(f"{name}={value!r} must be a whole number of at least {least}{bound}")


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """A finite number.

    Args:
        name (str): The parameter's name, for the message.
        value (Any): The given value.
        least (float): The smallest allowed number.
        above (float): A bound that the number must exceed.
        below (float): A bound that the number must not reach.
        most (float): The largest allowed number.

    Raises:
        InputError: The value is no number, is NaN or infinite, or lies outside the bounds.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and math.isfinite(value) and least <= value <= most and above < value < below:
        return float(value)
    bounds = [("of at least", least), ("above", above), ("below", below), ("of at most", most)]
    wanted = " and ".join(f"{words} {bound}" for words, bound in bounds if math.isfinite(bound))
    raise InputError(f"{name}={value!r} must be a finite number {wanted}".rstrip())


def environment_number(name: str, default: int) -> int:
    """A whole number from an environment variable that launchers such as torchrun and srun set.

    Args:
        name (str): The variable.
        default (int): The number where it is not set.

    Raises:
        InputError: The variable is set to something else.
    """
    text = os.environ.get(name, str(default))
    if text.isascii() and text.isdigit():
        return int(text)
    raise InputError(f"environment variable {name}={text!r} is no whole number: unset it, or use torchrun or srun")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """One of a few values.

    Args:
        name (str): The parameter's name, for the message.
        value (Any): The given value.
        choices (Sequence): The allowed values.

    Raises:
        InputError: The value is none of the choices; the message names the nearest.
    """
    if value not in choices:
        raise InputError(f"{name}={value!r} is not one of its choices. {did_you_mean(str(value), map(str, choices))}")
    return value


def as_features(features: Any, what: str, width: int | None = None) -> np.ndarray:
    """A non-empty array of finite features.

    Args:
        features (array-like, (N, D)): The given features.
        what (str): The name of the features in messages.
        width (int, optional): The required D.

    Returns:
        (N, D) float32 or float64, without a copy where the array is of one of these types already.

    Raises:
        InputError: The array has another shape or no numbers, or some row, which is named, holds NaN, infinity or a
            number that float32 cannot hold.
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
    """One label for each row of features.

    Args:
        labels (array-like, (N,)): The given labels.
        features (array, (N, D)): The features that they belong to.
        what (str): The name of the features in messages.

    Raises:
        InputError: The labels are of another shape, or some are NaN or infinite.
    """
    y = np.asarray(labels)
    if y.ndim != 1 or len(y) != len(features):
        raise InputError(f"{what}: {len(features)} features but labels of shape {y.shape}; one label each is expected")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"{what}: labels hold NaN or infinity")
    return y


def as_classifier_weight(weight: Any, width: int) -> np.ndarray:
    """The weight of a linear classifier, (classes, ``width``) float32.

    Raises:
        InputError: The weight has another width, or is refused by :func:`as_features`.
    """
    W = as_features(weight, "classifier weight").astype(np.float32, copy=False)
    if W.shape[1] != width:
        raise InputError(
            f"classifier weight has {W.shape[1]} columns but the features have {width} dimensions: "
            "take both from the same network"
        )
    return W
