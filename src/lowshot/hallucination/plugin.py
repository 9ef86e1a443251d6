"""Generators written for the original program, as they are.

The original takes a generator as two functions: ``init_generator(filename)`` returns some object, and
``do_generate(feats, labels, generator, max_per_label)`` returns features and labels with further ones added. One call
makes a :class:`~lowshot.hallucination.Generator` of them::

    from lowshot.hallucination import wrap_functions
    from theirs import do_generate, init_generator

    generator = wrap_functions(init_generator, do_generate, "their_generator.tar")
    features, labels = generator.generate(shots, shot_labels, n_per_class=20)

To have them under a name in recipes, register the class from a plug-in file or the module of an entry point; its one
parameter is ``filename``::

    GENERATORS.register("theirs", "what it does")(function_generator(init_generator, do_generate))
"""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lowshot.errors import InputError, LowshotError
from lowshot.hallucination.base import Generator
from lowshot.hallucination.checks import as_count, as_features, as_labels

InitGenerator = Callable[[str], Any]
DoGenerate = Callable[[np.ndarray, np.ndarray, Any, int], tuple[Any, Any]]


def wrap_functions(init_generator: InitGenerator, do_generate: DoGenerate, filename: str) -> FunctionGenerator:
    """A generator made of the original's pair of functions, ready to generate.

    Args:
        init_generator: called with ``filename`` once, before the first features are made. What it does with the file is
            its own business: one that unpickles runs whatever the file says.
        do_generate: called by every :meth:`~FunctionGenerator.generate`.
        filename: the file that the functions were trained into.
    """
    return function_generator(init_generator, do_generate)(filename)


def function_generator(init_generator: InitGenerator, do_generate: DoGenerate) -> type[FunctionGenerator]:
    """The class behind :func:`wrap_functions`, to be registered under a name."""
    functions = {"init_generator": staticmethod(init_generator), "do_generate": staticmethod(do_generate)}
    return type("FunctionGenerator", (FunctionGenerator,), functions | {"__module__": init_generator.__module__})


class FunctionGenerator(Generator):
    """A generator whose work two functions do. It was trained elsewhere: ``fit`` only notes the base features.

    Args:
        filename: given to ``init_generator``. :meth:`save` writes this name, not what is in the file.
    """

    init_generator: InitGenerator
    do_generate: DoGenerate

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def generate(
        self, features: Any, labels: Any, n_per_class: int, random_state: int | np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Generator.generate`, but it needs no ``fit``.

        The functions draw from the global generators of ``random``, numpy and torch (where that is loaded). Those are
        seeded for the call and put back afterwards. The real features come first, whatever order the functions chose.

        Raises:
            InputError: as for any generator; or a function raised something; or what they returned is no set of
                labelled, finite features of the same width, or lacks one of the shots.
        """
        X = as_features(features, "shots", width=getattr(self, "n_features_in_", None))
        y = as_labels(labels, X, "shots")
        count = as_count(n_per_class, "n_per_class")
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
        """What ``init_generator`` makes of the file. It is called once; :meth:`generate` does so where nobody has.

        Raises:
            InputError: the function raised something.
        """
        if not hasattr(self, "_state"):
            with _named("init_generator", self.init_generator):
                self._state = self.init_generator(self.filename)
        return self._state

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        """Nothing to learn."""


def _rows_of(X: np.ndarray, y: np.ndarray, among: np.ndarray, labels: np.ndarray) -> list[int]:
    """For each shot the row that holds it, no row twice."""
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
    """Say of what a function raises whose it is, and at which of its lines: it is the user's."""
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
    """Seed the global random generators within the block, and leave them as they were before it."""
    torch = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 (the functions use these)
    torch_state = torch.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_state)
