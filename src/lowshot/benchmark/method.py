"""A method of the low-shot phase: a classifier, and in some methods a generator that adds to its shots."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from lowshot.benchmark.part_fingerprints import code_of, generator_fingerprint, json_params, registered_name
from lowshot.benchmark.setup_data import SetupData
from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError
from lowshot.files import file_fingerprint
from lowshot.hallucination.base import Generator, ShotGenerator
from lowshot.parallel.cache import Cache
from lowshot.parallel.shared_arrays import Scratch, write_once
from lowshot.plugins import imported_plugins
from lowshot.registry import CLASSIFIERS, GENERATORS

SETUPS = ("val", "test")

_FITTED = Cache()
_GENERATORS = Cache()


class GeneratorSource:
    """A fitted generator that is pickled as the name of its file, because it may hold a hundred megabytes.

    Args:
        generator (generator or path): A fitted generator, or the file that :meth:`Generator.save` wrote.
        scratch (Scratch): The folder that a generator without a file is saved to when it is first pickled; objects of
            other classes than ``Generator`` are pickled themselves.
    """

    def __init__(self, generator: ShotGenerator | Path, scratch: Scratch) -> None:
        self._file = generator if isinstance(generator, Path) else None
        self._generator = None if isinstance(generator, Path) else generator
        self._scratch = scratch
        # Workers cache generators by this key between calls: it changes with the file and with the plug-ins' code.
        content = file_fingerprint(generator) if isinstance(generator, Path) else uuid.uuid4().hex
        self._content = " ".join([content, *(plugin.name for plugin in imported_plugins())])
        found = self.get()
        self.name = registered_name(GENERATORS, found)
        self.fingerprint = generator_fingerprint(found)
        self.code = code_of(found)

    def get(self) -> ShotGenerator:
        """Return the generator; a process reads its file once."""
        if self._generator is not None:
            return self._generator
        assert self._file is not None
        if (found := _GENERATORS.get(self._content)) is None:
            _GENERATORS.make_room()
            found = Generator.load(self._file)
            _GENERATORS.put(self._content, found)
        generator: ShotGenerator = found
        return generator

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._generator, Generator):
            self._file = self._scratch.folder / f"{id(self):x}-{uuid.uuid4().hex}.safetensors"
            write_once(self._file, self._generator.save)
            self._generator = None
        return self.__dict__


class Method:
    """A classifier, and maybe a generator that adds to its shots; pickles in a few kilobytes.

    Args:
        classifier (LowShotClassifier): The classifier, not fitted; cloned before it learns.
        generator (GeneratorSource or None): The generator that adds to the shots of each run.
        n_per_class (int): Shots and generated features together per novel class.
        seed (int): The seed that everything random derives from.
        examples (int): The number of novel queries to record with their predictions.
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
        # The key of the cache of fitted classifiers: equal parameters need not mean equal classifiers (custom classes).
        self.cache_key = uuid.uuid4().hex

    @cached_property
    def params(self) -> dict[str, Any]:
        """The classifier's parameters, as records show them in JSON."""
        return json_params(self.classifier.recorded_params())

    @cached_property
    def fingerprinted(self) -> Sequence[Any]:
        """The parts of a task's fingerprint for the classifier, the generator and the code of both."""
        generator = self.generator
        return (
            [self.classifier_name, self.params, self.seed],
            [None if generator is None else generator.fingerprint, self.n_per_class, self.examples],
            [code_of(self.classifier), None if generator is None else generator.code],
        )

    def fit_base(self, data: SetupData) -> tuple[LowShotClassifier, float]:
        """The classifier fitted on the base classes, once per process, and the seconds that this took."""
        key = f"{self.cache_key} {data.arrays.folder}"
        if (found := _FITTED.get(key)) is None:
            start = time.perf_counter()
            classifier: LowShotClassifier = clone(self.classifier)
            if "random_state" in classifier.get_params(deep=False):
                classifier.set_params(random_state=run_seed(self.seed, data.name, 0, 0))
            _FITTED.make_room()
            classifier.fit_base(*data.base_examples())
            found = classifier, time.perf_counter() - start
            _FITTED.put(key, found)
        fitted: tuple[LowShotClassifier, float] = found
        return fitted

    def shots(self, data: SetupData, experiment: int, n: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Features (M, D) and labels (M,) of one run's shots, generated ones included, and the seed of the run."""
        seed = run_seed(self.seed, data.name, n, experiment)
        features, labels = data.shots(experiment, n)
        if self.generator is not None:
            n_per_class = max(n, self.n_per_class)
            features, labels = self.generator.get().generate(features, labels, n_per_class, random_state=seed)
        return features, labels, seed

    def example_predictions(self, data: SetupData, classifier: LowShotClassifier) -> list[dict[str, Any]]:
        """Some novel queries with their predictions, the same ones for every method."""
        labels, rows = data.arrays["query_labels"], data.arrays["query_rows"]
        novel = np.flatnonzero(np.isin(labels, data.classes.novel))
        rng = np.random.default_rng([self.seed, len(novel)])
        chosen = np.sort(rng.choice(novel, min(self.examples, len(novel)), replace=False))
        predicted = classifier.predict(data.arrays["queries"][chosen])
        return [
            {"row": int(rows[place]), "path": None, "true": int(labels[place]), "predicted": int(label)}
            for place, label in zip(chosen, predicted)
        ]


def as_method(
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None,
    generator: ShotGenerator | None,
    n_per_class: int,
    seed: int,
    scratch: Scratch,
    examples: int = 0,
) -> Method:
    """Make a method from an estimator or a registered name, and maybe a fitted generator.

    Args:
        classifier (LowShotClassifier or str): An estimator, or the registered name of one.
        params (dict or None): The parameters of the classifier that differ from its own.
        generator (ShotGenerator or None): A fitted generator.
        n_per_class (int): Shots and generated features together per novel class; 0 without a generator.
        seed (int): The seed that everything random derives from.
        scratch (Scratch): The folder that the generator is saved to for other processes.
        examples (int): The number of novel queries to record with their predictions.

    Raises:
        InputError: The classifier is none of lowshot's, has no such parameter, or only one of ``generator`` and
            ``n_per_class`` is given.
    """
    built = CLASSIFIERS.build(classifier, **(params or {})) if isinstance(classifier, str) else classifier
    if not isinstance(built, LowShotClassifier):
        raise InputError(f"{type(built).__name__} is no LowShotClassifier (see lowshot.classifiers.base)")
    if params and not isinstance(classifier, str):
        built = clone(built).set_params(**params)
    if (generator is None) != (n_per_class == 0):
        raise InputError("generator and n_per_class go together: give both or neither")
    source = None if generator is None else GeneratorSource(generator, scratch)
    return Method(built, source, n_per_class, seed, examples)


def run_seed(seed: int, setup: str, n: int, experiment: int) -> int:
    """The seed of one run, which does not depend on what else is run.

    Args:
        seed (int): The seed of the recipe.
        setup (str): "val" or "test".
        n (int): The number of shots of a class.
        experiment (int): The number of the experiment, from 1.
    """
    sequence = np.random.SeedSequence([seed, SETUPS.index(setup), n, experiment])
    return int(sequence.generate_state(1)[0] >> 1)
