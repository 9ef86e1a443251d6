"""Fitted classifiers as files.

A file saved after ``fit_base`` is the common start of all experiments; one saved after ``fit`` or ``fit_novel`` is a
finished recogniser.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError, LowshotError
from lowshot.estimator_files import read_estimator, write_estimator
from lowshot.files import Pathlike
from lowshot.registry import CLASSIFIERS

FORMAT = "lowshot-classifier-2"
# In this one every key of the header is an entry of the file's metadata.
_FIRST_FORMAT = "lowshot-classifier-1"


def save_classifier(classifier: LowShotClassifier, path: Pathlike) -> None:
    """Write a fitted classifier as one safetensors file, atomically; equal classifiers give equal bytes.

    Args:
        classifier (LowShotClassifier): The fitted classifier.
        path (path-like): The file.

    Raises:
        InputError: Its class is not registered, so that nothing could load the file.
        LowshotError: An attribute is neither an array, a plain value, nor a dictionary or tuple of these.
    """
    params = classifier.get_params(deep=False)
    arrays: dict[str, np.ndarray] = {}
    state = {
        name: _packed(value, name, arrays) for name, value in sorted(vars(classifier).items()) if name not in params
    }
    header = {"format": FORMAT, "classifier": CLASSIFIERS.name_of(type(classifier))}
    try:
        header |= {
            "params": json.dumps(_packed(params, "", {}), default=os.fspath),
            "state": json.dumps(state),
        }
    except TypeError as error:
        raise LowshotError(f"{type(classifier).__name__} cannot be saved: {error}") from None
    write_estimator(path, "classifier", json.dumps(header), arrays)


def load_classifier(path: Pathlike, **params: Any) -> LowShotClassifier:
    """The fitted classifier in a file that :func:`save_classifier` wrote.

    Args:
        path (path-like): The file.
        params: Parameters that replace the saved ones.

    Raises:
        InputError: The file is missing, damaged or no classifier's, or its classifier is not installed.
    """
    header, state = read_state(path)
    saved = _unpacked(json.loads(header["params"]), {})
    classifier = CLASSIFIERS.build(header["classifier"], **(saved | params))
    vars(classifier).update(state)
    return classifier


def read_state(path: Pathlike, expected: type | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    """The header and the learned attributes in a file that :func:`save_classifier` wrote.

    Args:
        path (path-like): The file.
        expected (type, optional): The class of classifier that it must hold.

    Raises:
        InputError: The file is missing, damaged, no classifier's or another classifier's.
    """
    header, arrays = read_estimator(path, "classifier", FORMAT, _FIRST_FORMAT)
    name = header["classifier"]
    if expected is not None and CLASSIFIERS.get(name) is not expected:
        raise InputError(f"{path} holds classifier {name!r}; a {CLASSIFIERS.name_of(expected)!r} is needed here")
    return header, {key: _unpacked(value, arrays) for key, value in json.loads(header["state"]).items()}


def _packed(value: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """A JSON form of ``value``, tagged by kind; numeric arrays go to ``arrays`` under ``name``."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays[name] = np.ascontiguousarray(value)
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    if isinstance(value, dict):
        return {"dict": {key: _packed(item, f"{name}.{key}", arrays) for key, item in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]}
    return {"value": value}


def _unpacked(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    if "tensor" in packed:
        return arrays[packed["tensor"]]
    if "array" in packed:
        return np.array(packed["array"], dtype=packed["dtype"])
    if "dict" in packed:
        return {key: _unpacked(item, arrays) for key, item in packed["dict"].items()}
    if "tuple" in packed:
        return tuple(_unpacked(item, arrays) for item in packed["tuple"])
    return packed["value"]
