"""One method of the low-shot phase: a classifier with, maybe, a generator before it, as workers use them."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone

from lowshot.benchmark.identity import code_of, identity, plain, registered_name
from lowshot.benchmark.packed import PackedArena, Scratch, write_once
from lowshot.classifiers.base import LowShotClassifier
from lowshot.files import file_fingerprint
from lowshot.hallucination import Generator
from lowshot.plugins import imported_plugins
from lowshot.registry import CLASSIFIERS, GENERATORS

SETUPS = ("val", "test")

# What a process keeps of the base phase and of generators, besides the latest of each.
_KEPT_BYTES = 1 << 29


class ShotGenerator(Protocol):
    """What ``generator`` needs to be; see ``lowshot.hallucination``."""

    def generate(
        self, features: np.ndarray, labels: np.ndarray, n_per_class: int, random_state: Any = None
    ) -> tuple[np.ndarray, np.ndarray]: ...


class GeneratorSource:
    """A fitted generator that travels as the name of its file: it may hold a hundred megabytes of centroids.

    Args:
        generator: a fitted one, or the file that :meth:`Generator.save` wrote.
        scratch: where one without a file is written when it first travels; others than ``Generator`` travel whole.
    """

    def __init__(self, generator: ShotGenerator | Path, scratch: Scratch) -> None:
        self._file = generator if isinstance(generator, Path) else None
        self._generator = None if isinstance(generator, Path) else generator
        self._scratch = scratch
        # Workers outlive a sweep and remember generators: one of another content is another generator,
        # and so is one whose class says something else today.
        content = file_fingerprint(generator) if isinstance(generator, Path) else uuid.uuid4().hex
        self._content = " ".join([content, *(plugin.name for plugin in imported_plugins())])
        found = self.get()
        self.name = registered_name(GENERATORS, found)
        self.identity = identity(found)
        self.code = code_of(found)

    def get(self) -> ShotGenerator:
        if self._generator is not None:
            return self._generator
        assert self._file is not None
        if (found := _GENERATORS.get(self._content)) is None:
            _GENERATORS.make_room()
            found = Generator.load(self._file)
            _GENERATORS.put(self._content, found)
        kept: ShotGenerator = found
        return kept

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._generator, Generator):
            self._file = self._scratch.folder / f"{id(self):x}-{uuid.uuid4().hex}.safetensors"
            write_once(self._file, self._generator.save)
            self._generator = None
        return self.__dict__


class Method:
    """A classifier with, maybe, a generator before it; small when pickled.

    Args:
        classifier: not fitted; cloned before it learns.
        generator: adds to the shots of each run.
        n_per_class: shots and generated features together per novel class.
        seed: of everything random.
        examples: how many novel queries to keep with their predictions.
    """

    def __init__(
        self,
        classifier: LowShotClassifier,
        generator: GeneratorSource | None = None,
        n_per_class: int = 0,
        seed: int = 0,
        examples: int = 0,
    ) -> None:
        self.classifier = classifier
        self.generator = generator
        self.n_per_class = n_per_class
        self.seed = seed
        self.examples = examples
        self.classifier_name = registered_name(CLASSIFIERS, classifier)
        self.generator_name = None if generator is None else generator.name
        self.name = " + ".join(name for name in (self.generator_name, self.classifier_name) if name)
        # Classifiers of equal parameters may differ in what no fingerprint sees, so none is taken for another.
        self._token = uuid.uuid4().hex

    @cached_property
    def params(self) -> dict[str, Any]:
        """The classifier's parameters as JSON has them."""
        return plain(self.classifier.get_params())

    @cached_property
    def fingerprinted(self) -> Sequence[Any]:
        """What the result of a run depends on besides data, draws and the prior's target, in three parts."""
        generator = self.generator
        return (
            [self.classifier_name, self.params, self.seed],
            [None if generator is None else generator.identity, self.n_per_class, self.examples],
            [code_of(self.classifier), None if generator is None else generator.code],
        )

    def fitted_on_base(self, arena: PackedArena) -> tuple[LowShotClassifier, float]:
        """The classifier with what it learns from the base classes, once per process, and how long that took."""
        key = f"{self._token} {arena.folder}"
        if (found := _FITTED.get(key)) is None:
            start = time.perf_counter()
            known: LowShotClassifier = clone(self.classifier)
            if "random_state" in known.get_params(deep=False):
                known.set_params(random_state=run_seed(self.seed, arena.setup, 0, 0))
            _FITTED.make_room()
            known.fit_base(*arena.base_examples())
            found = known, time.perf_counter() - start
            _FITTED.put(key, found)
        fitted: tuple[LowShotClassifier, float] = found
        return fitted

    def shots(self, arena: PackedArena, experiment: int, n: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Features and labels of one run's shots, generated ones included, and the seed of the run."""
        seed = run_seed(self.seed, arena.setup, n, experiment)
        features, labels = arena.shots(experiment, n)
        if self.generator is not None:
            n_per_class = max(n, self.n_per_class)
            features, labels = self.generator.get().generate(features, labels, n_per_class, random_state=seed)
        return features, labels, seed

    def kept_examples(self, arena: PackedArena, classifier: LowShotClassifier) -> Iterator[dict[str, Any]]:
        """Some novel queries with their predictions, the same ones for every method."""
        labels, rows = arena.array("query_labels"), arena.array("query_rows")
        novel = np.flatnonzero(np.isin(labels, arena.classes.novel))
        rng = np.random.default_rng([self.seed, len(novel)])
        chosen = np.sort(rng.choice(novel, min(self.examples, len(novel)), replace=False))
        for place, label in zip(chosen, classifier.predict(arena.array("queries")[chosen])):
            yield {"row": int(rows[place]), "path": None, "true": int(labels[place]), "predicted": int(label)}


def run_seed(seed: int, setup: str, n: int, experiment: int) -> int:
    """A seed for one run, the same whatever runs beside it or before it."""
    sequence = np.random.SeedSequence([seed, SETUPS.index(setup), n, experiment])
    return int(sequence.generate_state(1)[0] >> 1)


class Keep:
    """The latest things a process made, as many as fit into ``_KEPT_BYTES``, and always the very latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def get(self, key: str) -> Any:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, value: Any) -> None:
        self._kept[key] = value

    def make_room(self) -> None:
        """Forget the oldest things; called before a further one is made."""
        while sum(held_bytes(value) for value in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()


def held_bytes(value: Any) -> int:
    """The memory of all arrays in an object, without those that are mapped from a file."""
    if isinstance(value, np.ndarray):
        root: Any = value
        while isinstance(root, np.ndarray) and root.base is not None:
            root = root.base
        return value.nbytes if isinstance(root, np.ndarray) else 0
    if isinstance(value, Mapping):
        return sum(held_bytes(item) for item in value.values())
    if isinstance(value, tuple | list):
        return sum(held_bytes(item) for item in value)
    return held_bytes(vars(value)) if isinstance(value, LowShotClassifier | Generator) else 0


_FITTED = Keep()
_GENERATORS = Keep()


def forget() -> None:
    """Drop what this process kept of a sweep."""
    _FITTED.clear()
    _GENERATORS.clear()
