"""The contract of a generator, checked on small data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from lowshot.hallucination import Generator
from lowshot.registry import GENERATORS
from lowshot.testing.conformance import Check, Problem, built, problem, run_checks, untouched

_MANY = 7
"""The features that each novel class is to have in the checks, shots included."""


def check_generator(generator: Generator | type[Generator] | str, *, thorough: bool = True, **params: Any) -> None:
    """Check that a generator keeps the contract that the low-shot phase rests on.

    Checked are: that the shots come back first and unchanged, and each class is filled up to the number asked for, from
    one shot too and for features of any sign; that nothing is added where there are enough; that what it makes is
    finite and of the shots' dtype; that the seed of the call controls all that is random; that arguments stay as they
    are; and, for a registered class, that a file gives back what was saved.

    Args:
        generator (Generator, class or str): A generator, which is cloned; its class; or a registered name. One that
            trains for long is best given with parameters that make it quick.
        thorough (bool): False fits once and checks what is generated alone, as ``lowshot validate`` does.
        **params (objects): The parameters of a class or name.

    Raises:
        ConformanceError: It breaks the contract; a line for each finding.
        InputError: The name or a parameter is unknown.

    Example:
        >>> check_generator("difference")
    """
    made = clone(built(GENERATORS, generator, params))
    run_checks(f"generator {type(made).__name__}", _checks(made, thorough))


def _checks(generator: Generator, thorough: bool) -> Iterator[Check]:
    given = problem(n_base=8)
    if not thorough:
        yield partial(_classes_are_filled_up, generator, given)
        return
    for one in (given, problem(n_base=8, signed=True), problem(n_base=8, n_shots=1)):
        yield partial(_classes_are_filled_up, generator, one)
    yield partial(_nothing_is_added_to_enough, generator, given)
    yield partial(_arguments_are_left_alone, generator, given)
    yield partial(_seeds_decide, generator, given)
    if any(entry.factory is type(generator) for entry in GENERATORS):
        yield partial(_files_give_back, generator, given)


def _fitted(generator: Generator, given: Problem) -> Generator:
    weight = np.zeros((given.base_y.max() + 1, given.base_X.shape[1]), np.float32)
    for label in np.unique(given.base_y):
        weight[label] = given.base_X[given.base_y == label].mean(axis=0)
    fitted: Generator = clone(generator).fit(given.base_X, given.base_y, weight - weight.mean(axis=0))
    return fitted


def _classes_are_filled_up(generator: Generator, given: Problem) -> str | None:
    n = len(given.shots_X)
    X, y = _fitted(generator, given).generate(given.shots_X, given.shots_y, _MANY, 0)
    if not (np.array_equal(X[:n], given.shots_X) and np.array_equal(y[:n], given.shots_y)):
        return "generate does not return the shots first and unchanged"
    counts = dict(zip(*np.unique(y, return_counts=True)))
    if set(counts.values()) != {_MANY} or set(counts) != set(given.shots_y.tolist()):
        return f"asked for {_MANY} features of each class, generate returns {sorted(counts.values())}"
    if X.dtype != given.shots_X.dtype or not np.isfinite(X).all():
        return f"generated features are {X.dtype} or not finite; expected finite {given.shots_X.dtype}"
    return None


def _nothing_is_added_to_enough(generator: Generator, given: Problem) -> str | None:
    X, _ = _fitted(generator, given).generate(given.shots_X, given.shots_y, 1, 0)
    return None if len(X) == len(given.shots_X) else "generate adds to classes that have enough shots"


def _arguments_are_left_alone(generator: Generator, given: Problem) -> str | None:
    arrays = [given.base_X, given.base_y, given.shots_X, given.shots_y]

    def use() -> None:
        X, _ = _fitted(generator, given).generate(given.shots_X, given.shots_y, _MANY, 0)
        X[:] = 0  # what is returned must be the caller's own

    return None if untouched(arrays, use) else "fit or generate changes an array that it was given: copy it first"


def _seeds_decide(generator: Generator, given: Problem) -> str | None:
    fitted = _fitted(generator, given)
    first, again = (fitted.generate(given.shots_X, given.shots_y, _MANY, 3)[0] for _ in range(2))
    if not np.array_equal(first, again):
        return "two calls of generate with one seed differ: draw from the rng that _hallucinate is given"
    refitted = _fitted(generator, given).generate(given.shots_X, given.shots_y, _MANY, 3)[0]
    if not np.array_equal(first, refitted):
        return "two fits on the same data differ: draw from a generator that random_state seeds"
    return None


def _files_give_back(generator: Generator, given: Problem) -> str | None:
    fitted = _fitted(generator, given)
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        path = Path(folder, "generator.safetensors")
        fitted.save(path)
        again = type(fitted).load(path)
    made, remade = (one.generate(given.shots_X, given.shots_y, _MANY, 0)[0] for one in (fitted, again))
    if np.array_equal(made, remade):
        return None
    return "a saved and loaded generator makes other features: keep all that was learned in attributes that end in _"
