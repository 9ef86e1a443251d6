"""Fitted classifiers as files.

A file saved after ``fit_base`` is the common start of all experiments; one saved after ``fit`` or ``fit_novel`` is a
finished recogniser.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Json

from lowshot.checks import check_count
from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.class_weight import check_class_weight
from lowshot.errors import InputError, LowshotError
from lowshot.estimator_files import LearnedState, check_attribute, read_estimator, write_estimator
from lowshot.files import Pathlike
from lowshot.registry import CLASSIFIERS

FORMAT = "lowshot-classifier-2"
# In this one every key of the header is an entry of the file's metadata.
_FIRST_FORMAT = "lowshot-classifier-1"

# The largest whole number among the parameters of a file, such as the steps of a training that it may start.
LARGEST_COUNT = 1_000_000

# Nesting of packed values; what lowshot writes has two.
_DEEPEST = 8


class ClassifierHeader(BaseModel):
    """The header of a classifier file.

    Attributes:
        format (str): The format of the file.
        classifier (str): The registered name.
        params (dict): The parameters, packed.
        state (dict): The learned attributes, packed; their arrays are in the file.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["lowshot-classifier-1", "lowshot-classifier-2"]
    classifier: str
    params: Json[dict[str, Any]]
    state: Json[dict[str, Any]]


def save_classifier(classifier: LowShotClassifier, path: Pathlike) -> None:
    """Write a fitted classifier as one safetensors file, atomically; equal classifiers give equal bytes.

    Args:
        classifier (LowShotClassifier): The fitted classifier, or a network of one that is ``trained_on_episodes``.
        path (path-like): The file.

    Raises:
        InputError: The classifier is not fitted, or its class is not registered, so that nothing could load the file.
        LowshotError: An attribute is neither an array, a plain value, nor a dictionary or tuple of these.
    """
    name = CLASSIFIERS.name_of(type(classifier))
    if not _is_fitted(classifier):
        raise InputError(
            f"{type(classifier).__name__} is not fitted, so there is nothing to save in {path}: call fit or fit_base"
        )
    params = classifier.get_params(deep=False)
    arrays: dict[str, np.ndarray] = {}
    state = {
        name: _packed(value, name, arrays) for name, value in sorted(vars(classifier).items()) if name not in params
    }
    header = {"format": FORMAT, "classifier": name}
    try:
        header |= {
            "params": json.dumps(_packed(classifier.recorded_params(), "", {}), default=os.fspath),
            "state": json.dumps(state),
        }
    except TypeError as error:
        raise LowshotError(f"{type(classifier).__name__} cannot be saved: {error}") from None
    write_estimator(path, "classifier", json.dumps(header), arrays)


def load_classifier(path: Pathlike, **params: Any) -> LowShotClassifier:
    """Load the fitted classifier from a file that :func:`save_classifier` wrote.

    The parameters are those of the file, so a classifier saved after ``fit_base`` fits novel classes as it would have
    done before: a logistic one with the file's own ``n_steps``, at most 1 000 000.

    Args:
        path (path-like): The file.
        params (dict): The parameters that replace the saved ones.

    Raises:
        InputError: The file is missing, damaged or no classifier's, its classifier is not installed, a number among its
            parameters is larger than 1 000 000, or what it says was learned is not what such a classifier learns.
    """
    return _load(path, None, params)


def load_network(path: Pathlike, expected: type[LowShotClassifier]) -> dict[str, np.ndarray]:
    """The weights of the network in a classifier file, by name; empty where none was trained.

    Args:
        path (path-like): The file.
        expected (type): The class of classifier that it must hold.

    Raises:
        InputError: As of :func:`load_classifier`, or the file holds another classifier.
    """
    weights: dict[str, np.ndarray] = vars(_load(path, expected, {})).get("_weights_", {})
    return weights


def _load(path: Pathlike, expected: type | None, params: Mapping[str, Any]) -> LowShotClassifier:
    source = f"classifier file {path}"
    header, arrays = read_estimator(path, "classifier", ClassifierHeader, FORMAT, _FIRST_FORMAT)
    factory = CLASSIFIERS.get(header.classifier)
    if expected is not None and factory is not expected:
        raise InputError(
            f"{path} holds classifier {header.classifier!r}; a {CLASSIFIERS.name_of(expected)!r} is needed here"
        )
    saved = _unpacked(header.params, {}, f"{source}: params")
    if not isinstance(saved, dict):
        raise InputError(f"{source}: params must be a mapping")
    saved.pop("checkpoint", None)  # a place to write to, which no file may choose
    state = {name: _unpacked(value, arrays, f"{source}: {name}") for name, value in header.state.items()}
    try:
        classifier = CLASSIFIERS.build(header.classifier, **{**saved, **params})
        seed = saved.get("random_state")
        if seed is not None and check_count("random_state", seed, least=0) >= 2**32:
            raise InputError(f"random_state={seed} must be below 2**32")
        classifier._check_parameters()
        check_class_weight(classifier.class_weight)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    for name in state:
        if name in classifier.get_params(deep=False):
            raise InputError(f"{source}: {name} is a parameter, and cannot be learned")
        check_attribute(source, type(classifier), name)
    vars(classifier).update(state)
    _check_state(classifier, source)
    for name, value in saved.items():
        if name not in params and name != "random_state" and isinstance(value, int) and value > LARGEST_COUNT:
            raise InputError(
                f"{source}: {name}={value} is more than a file may ask for ({LARGEST_COUNT}); give the number that is "
                f"meant: load_classifier(path, {name}=...)"
            )
    return classifier


def _check_state(classifier: LowShotClassifier, source: str) -> None:
    """Refuse learned attributes that such a classifier does not learn."""
    learned = LearnedState(source, classifier)
    dim = learned.sizes["D"] = check_count(f"{source}: n_features_in_", learned.value("n_features_in_"))
    if learned.has("feature_names_in_"):
        names = learned.value("feature_names_in_")
        if not isinstance(names, np.ndarray) or names.shape != (dim,):
            raise InputError(f"{source}: feature_names_in_ must be {dim} names")
    if not _is_fitted(classifier):
        raise InputError(f"{source} holds a classifier that is not fitted")
    if learned.has("classes_"):
        classes, n_base = learned.value("classes_"), learned.value("n_base_classes_")
        if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not len(classes):
            raise InputError(f"{source}: classes_ must be a list of labels")
        if len(np.unique(classes)) < len(classes):
            raise InputError(f"{source}: classes_ holds a label twice")
        check_count(f"{source}: n_base_classes_", n_base, least=0)
        base = vars(classifier).get("_base_classes_", classes[:0])
        if not isinstance(base, np.ndarray) or not np.array_equal(base, classes[:n_base]) or n_base > len(classes):
            raise InputError(f"{source}: n_base_classes_ and the base classes do not fit classes_")
        learned.sizes |= {"C": len(classes), "B": n_base, "N": len(classes) - n_base}
    if learned.has("novel_bias_"):
        learned.number("novel_bias_")
    if learned.has("temperature_") and learned.number("temperature_") <= 0:
        raise InputError(f"{source}: temperature_ must be above 0")
    classifier._check_learned(learned)


def _is_fitted(classifier: LowShotClassifier) -> bool:
    """True after a fit, and for a network that was trained elsewhere and has not met any class yet."""
    learned = vars(classifier)
    return "n_features_in_" in learned and ("classes_" in learned or bool(learned.get("_weights_")))


def _packed(value: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """A JSON form of ``value``, tagged by kind; numeric arrays go to ``arrays`` under ``name``."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays[name] = np.ascontiguousarray(value)
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        return {"pairs": [[_packed(part, "", {}) for part in pair] for pair in value.items()]}
    if isinstance(value, Mapping):
        return {"dict": {key: _packed(item, f"{name}.{key}", arrays) for key, item in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, f"{name}.{i}", arrays) for i, item in enumerate(value)]}
    return {"value": value}


def _unpacked(packed: Any, arrays: Mapping[str, np.ndarray], source: str, depth: int = 0) -> Any:
    """The value that :func:`_packed` packed.

    Raises:
        InputError: It is in no form that :func:`_packed` writes.
    """

    def inner(item: Any, name: Any) -> Any:
        return _unpacked(item, arrays, f"{source}.{name}", depth + 1)

    match packed if depth < _DEEPEST else None:
        case {"tensor": str(name), **rest} if not rest and name in arrays:
            return arrays[name]
        case {"array": list(items), "dtype": str(dtype), **rest} if not rest and all(isinstance(i, str) for i in items):
            return np.array(items, dtype=object if dtype == "|O" else np.str_)
        case {"dict": dict(items), **rest} if not rest:
            return {key: inner(item, key) for key, item in items.items()}
        case {"pairs": list(items), **rest} if not rest and all(isinstance(i, list) and len(i) == 2 for i in items):
            pairs = [(inner(key, i), inner(item, i)) for i, (key, item) in enumerate(items)]
            if all(isinstance(key, str | int | float | bool) for key, _ in pairs):
                return dict(pairs)
        case {"tuple": list(items), **rest} if not rest:
            return tuple(inner(item, i) for i, item in enumerate(items))
        case {"value": value, **rest} if not rest and _is_plain(value):
            return value
    raise InputError(f"{source} is in no form that lowshot writes")


def _is_plain(value: Any, depth: int = 0) -> bool:
    """True for a finite number, a text, a truth value or None, and for short nests of lists and mappings of these."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return depth < _DEEPEST and all(_is_plain(item, depth + 1) for item in inner)
    return value is None or isinstance(value, str | int)
