"""Classifiers as files: everything a fit learned, arrays and plain values only, in one safetensors file.

Saved after ``fit_base`` a file is what all runs start from; saved after ``fit`` or ``fit_novel`` it is a finished
recogniser. The arrays are the tensors of the file; name, parameters and plain values stand in its metadata as JSON.
Nothing in it can run code.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError, LowshotError
from lowshot.files import Pathlike, atomic_path
from lowshot.registry import CLASSIFIERS

FORMAT = "lowshot-classifier-2"
# The same with an entry of the file's own metadata for each; their order was another one in every file.
_FIRST_FORMAT = "lowshot-classifier-1"


def save_classifier(classifier: LowShotClassifier, path: Pathlike) -> None:
    """Write a fitted classifier, whole or not at all.

    Raises:
        InputError: it is not registered, so nothing could find its class again.
        LowshotError: an attribute is neither an array, a plain value, nor a dictionary or tuple of these.
    """
    params = classifier.get_params(deep=False)
    tensors: dict[str, np.ndarray] = {}
    state = {
        name: _packed(value, name, tensors) for name, value in sorted(vars(classifier).items()) if name not in params
    }
    metadata = {"format": FORMAT, "classifier": _registered_name(type(classifier))}
    try:
        metadata |= {
            "params": json.dumps(_packed(params, "", {}), default=os.fspath),
            "state": json.dumps(state),
        }
    except TypeError as error:
        raise LowshotError(f"{type(classifier).__name__} cannot be saved: {error}") from None
    with atomic_path(path) as temporary:  # one entry: equal classifiers are equal bytes
        save_file(tensors, temporary, metadata={"classifier": json.dumps(metadata)})


def load_classifier(path: Pathlike, **params: Any) -> LowShotClassifier:
    """The classifier in a file that :func:`save_classifier` wrote; ``params`` replace parameters that were saved.

    Raises:
        InputError: the file is missing, damaged or something else, or its classifier is not installed.
    """
    metadata, state = read_state(path)
    saved = _unpacked(json.loads(metadata["params"]), {})
    classifier = CLASSIFIERS.build(metadata["classifier"], **(saved | params))
    vars(classifier).update(state)
    return classifier


def read_state(path: Pathlike, expected: type | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    """The metadata and the learned attributes in a file, which must hold an ``expected`` classifier if one is named."""
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"classifier file {path} does not exist") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"classifier file {path} is truncated or not a safetensors file: {error}") from None
    if "format" not in metadata and "classifier" in metadata:
        metadata = json.loads(metadata["classifier"])
    if metadata.get("format") not in (FORMAT, _FIRST_FORMAT):
        raise InputError(f"{path} is a safetensors file but holds no classifier; lowshot fit-classifier writes them")
    name = metadata["classifier"]
    if expected is not None and CLASSIFIERS.get(name) is not expected:
        raise InputError(f"{path} holds classifier {name!r}; a {_registered_name(expected)!r} is needed here")
    return metadata, {key: _unpacked(value, tensors) for key, value in json.loads(metadata["state"]).items()}


def _packed(value: Any, name: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """A JSON form of ``value``, tagged by kind; numeric arrays go to ``tensors`` under ``name``."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        tensors[name] = np.ascontiguousarray(value)
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    if isinstance(value, dict):
        return {"dict": {key: _packed(item, f"{name}.{key}", tensors) for key, item in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]}
    return {"value": value}


def _unpacked(packed: dict[str, Any], tensors: dict[str, np.ndarray]) -> Any:
    if "tensor" in packed:
        return tensors[packed["tensor"]]
    if "array" in packed:
        return np.array(packed["array"], dtype=packed["dtype"])
    if "dict" in packed:
        return {key: _unpacked(item, tensors) for key, item in packed["dict"].items()}
    if "tuple" in packed:
        return tuple(_unpacked(item, tensors) for item in packed["tuple"])
    return packed["value"]


def _registered_name(kind: type) -> str:
    for entry in CLASSIFIERS:
        if entry.factory is kind:
            return entry.name
    raise InputError(f"{kind.__name__} is not registered as a classifier, so its file could not be loaded again")
