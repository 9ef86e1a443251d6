"""Generators given as two functions, the way the original program takes them.

``init_generator(filename)`` returns some object, and ``do_generate(feats, labels, generator, max_per_label)`` returns
features and labels with further ones added. One call makes a :class:`~lowshot.hallucination.Generator` of them::

    from lowshot.hallucination import wrap_functions
    from theirs import do_generate, init_generator

    generator = wrap_functions(init_generator, do_generate, "their_generator.tar")
    features, labels = generator.generate(shots, shot_labels, n_per_class=20)

To use them by name in recipes, register the class in a plug-in file or in the module of an entry point; its one
parameter is ``filename``::

    GENERATORS.register("theirs", "what it does")(function_generator(init_generator, do_generate))
"""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from lowshot.checks import as_features, as_labels, check_count
from lowshot.devices import seeded
from lowshot.errors import InputError, LowshotError
from lowshot.hallucination.base import Generator

InitGenerator = Callable[[str], Any]
DoGenerate = Callable[[np.ndarray, np.ndarray, Any, int], tuple[Any, Any]]


def wrap_functions(init_generator: InitGenerator, do_generate: DoGenerate, filename: str) -> FunctionGenerator:
    """A generator made of two functions, ready to generate.

    Args:
        init_generator (Callable): The function that loads the generator. It is called once, with ``filename``, before
            the first features are generated. If it unpickles the file, it runs whatever code the file holds.
        do_generate (Callable): The function that every :meth:`~FunctionGenerator.generate` calls.
        filename (str): The file that holds the trained generator.
    """
    return function_generator(init_generator, do_generate)(filename)


def function_generator(init_generator: InitGenerator, do_generate: DoGenerate) -> type[FunctionGenerator]:
    """The class of :func:`wrap_functions`'s generator, to be registered under a name."""
    functions = {"init_generator": staticmethod(init_generator), "do_generate": staticmethod(do_generate)}
    return type("FunctionGenerator", (FunctionGenerator,), functions | {"__module__": init_generator.__module__})


class FunctionGenerator(Generator):
    """A generator that two functions implement. It was trained elsewhere: ``fit`` only records the base features.

    Args:
        filename (str): The file given to ``init_generator``. :meth:`save` writes this name, not the file's content.
    """

    init_generator: InitGenerator
    do_generate: DoGenerate

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def generate(
        self, features: Any, labels: Any, n_per_class: int, random_state: int | np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generate features as :meth:`Generator.generate` does, but without a ``fit``.

        The functions draw from the global generators of ``random``, numpy and torch (where that is loaded). Those are
        seeded for the call and restored afterwards. The shots come first, in whatever order the functions return them.

        Raises:
            InputError: The input is wrong, a function raised an error, or the functions returned features that are
                not labelled, finite and of the same width, or that lack one of the shots.
        """
        X = as_features(features, "shots", width=getattr(self, "n_features_in_", None))
        y = as_labels(labels, X, "shots")
        count = check_count("n_per_class", n_per_class)
        state = self.prepare()
        rng = np.random.default_rng(0 if random_state is None else random_state)
        with _seeded_globals(int(rng.integers(2**31))), _named("do_generate", self.do_generate):
            all_features, all_labels = self.do_generate(X.copy(), y.copy(), state, count)
        what = "what do_generate returned"
        made = as_features(all_features, what, width=X.shape[1]).astype(X.dtype, copy=False)
        made_labels = as_labels(all_labels, made, what).astype(y.dtype, copy=False)
        generated = np.ones(len(made), bool)
        generated[_rows_of(X, y, made, made_labels)] = False
        return np.concatenate([X, made[generated]]), np.concatenate([y, made_labels[generated]])

    def prepare(self) -> Any:
        """The object that ``init_generator`` returns for the file. That is called once, here or by :meth:`generate`.

        Raises:
            InputError: The function raised an error.
        """
        if not hasattr(self, "_state"):
            with _named("init_generator", self.init_generator):
                self._state = self.init_generator(self.filename)
        return self._state

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        """Nothing to learn."""


def _rows_of(X: np.ndarray, y: np.ndarray, among: np.ndarray, labels: np.ndarray) -> list[int]:
    """The row of ``among`` that equals each shot, no row twice."""
    free: dict[tuple[bytes, Any], list[int]] = {}
    for row in reversed(range(len(among))):
        free.setdefault((among[row].tobytes(), labels[row]), []).append(row)
    rows = []
    for shot in range(len(X)):
        if not (candidates := free.get((X[shot].tobytes(), y[shot]))):
            raise InputError(f"do_generate must return the shots and the generated ones, but shot {shot} is gone")
        rows.append(candidates.pop())
    return rows


@contextmanager
def _named(name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Turn an error of the user's function into an InputError with the function's name and line."""
    try:
        yield
    except LowshotError:
        raise
    except Exception as error:
        file = getattr(getattr(function, "__code__", None), "co_filename", function.__module__)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        place = f"{file}, line {lines[-1]}" if lines else file
        raise InputError(f"{name} failed ({place}): {type(error).__name__}: {error}") from error


@contextmanager
def _seeded_globals(seed: int) -> Iterator[None]:
    """Seed the global random generators within the block, and restore them after it."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (the functions use these)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        with seeded(seed) if "torch" in sys.modules else nullcontext():
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
