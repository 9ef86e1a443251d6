"""The common part of the conformance checks: small data, and the list of what is wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.errors import InputError
from lowshot.registry import Registry

_OWN = Path(__file__).parents[1]

Check = Callable[[], str | None]
"""A check returns a sentence on what is wrong, or None; an exception is wrong as well."""


class ConformanceError(InputError, AssertionError):
    """A part breaks the contract of its kind; the text has a line for each finding."""


def run_checks(part: str, checks: Iterable[Check]) -> None:
    """Run every check and report all findings together.

    Args:
        part (str): The name of the part in the message.
        checks (iterable of callables): The checks. The first that raises an exception ends them, since the others would
            most likely raise the same.

    Raises:
        ConformanceError: There are findings.
    """
    findings = []
    for check in checks:
        try:
            finding = check()
        except Exception as error:  # of somebody else's code
            findings.append(f"{_title(check)}: {_described(error)}")
            break
        if finding is not None:
            findings.append(finding)
    if findings:
        raise ConformanceError("\n".join(f"{part}: {finding}" for finding in findings))


def built(registry: Registry, part: Any, params: Mapping[str, Any]) -> Any:
    """A part that is given by its registered name, by its class or as an instance.

    Raises:
        InputError: The name or a parameter is unknown, or an instance comes with parameters.
    """
    if isinstance(part, str):
        return registry.build(part, **params)
    if isinstance(part, type):
        return part(**params)
    if params:
        raise InputError(f"{type(part).__name__} is an instance already: give its parameters to its class")
    return part


@dataclass(frozen=True)
class Problem:
    """Gaussian classes, far apart: base examples, shots of novel classes and queries of both.

    Attributes:
        base_X, base_y: (N, D) float32 features and (N,) int64 labels of the base classes.
        shots_X, shots_y: Those of the shots of the novel classes.
        queries_X, queries_y: Those of the queries.
    """

    base_X: np.ndarray
    base_y: np.ndarray
    shots_X: np.ndarray
    shots_y: np.ndarray
    queries_X: np.ndarray
    queries_y: np.ndarray


def problem(
    n_base: int = 6, n_novel: int = 4, dim: int = 8, n_shots: int = 2, seed: int = 0, signed: bool = False
) -> Problem:
    """Make a problem; labels of base and novel classes alternate.

    Args:
        n_base (int): The number of base classes.
        n_novel (int): The number of novel classes.
        dim (int): The width D of the features.
        n_shots (int): The shots of each novel class.
        seed (int): The seed of all draws.
        signed (bool): True for features of any sign, False for those of a network that ends in a ReLU.
    """
    rng = np.random.default_rng([seed, n_base, n_novel, dim, n_shots])
    labels = np.concatenate([2 * np.arange(n_base), 2 * np.arange(n_novel) + 1])
    means = rng.gamma(0.4, 2.0, size=(len(labels), dim)) + 3 * np.eye(len(labels), dim)
    signs = rng.choice([-1.0, 1.0], size=dim) if signed else np.ones(dim)

    def draw(classes: np.ndarray, each: int) -> tuple[np.ndarray, np.ndarray]:
        rows = rng.permutation(np.repeat(classes, each))
        X = np.abs(means[rows] + 0.3 * rng.normal(size=(len(rows), dim))) * signs
        return X.astype(np.float32), labels[rows]

    everything = np.arange(len(labels))
    return Problem(*draw(everything[:n_base], 20), *draw(everything[n_base:], n_shots), *draw(everything, 5))


def untouched(arrays: Iterable[np.ndarray], use: Callable[[], object]) -> bool:
    """True where ``use`` leaves the arrays as they were."""
    arrays = list(arrays)
    before = [array.copy() for array in arrays]
    use()
    return all(np.array_equal(one, other) for one, other in zip(before, arrays))


def _title(check: Check) -> str:
    """The words of a check, which its name has: ``_scores_fit`` of a partial or a method."""
    function = getattr(check, "func", check)
    return str(getattr(function, "__name__", "check")).strip("_").replace("_", " ")


def _described(error: Exception) -> str:
    """The type, the text and the last line of somebody's code of an exception."""
    place = ""
    if frames := [
        one for one in traceback.extract_tb(error.__traceback__) if not Path(one.filename).is_relative_to(_OWN)
    ]:
        place = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"
