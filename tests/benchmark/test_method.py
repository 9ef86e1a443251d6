"""The parts of a method in other processes: generators are sent as files, base features are mapped and not copied."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from lowshot.benchmark.method import GeneratorSource
from lowshot.hallucination.difference import DifferenceGenerator
from lowshot.parallel.cache import held_bytes
from lowshot.parallel.shared_arrays import Scratch
from lowshot.registry import CLASSIFIERS
from tests.benchmark.problems import Problem, fitted_difference


def test_a_generator_is_pickled_as_a_file(problem: Problem, tmp_path: Path) -> None:
    generator = fitted_difference(problem)
    source = GeneratorSource(generator, Scratch(tmp_path / "scratch"))
    unpickled = cloudpickle.loads(cloudpickle.dumps(source))
    assert [file.suffix for file in (tmp_path / "scratch").iterdir()] == [".safetensors"]
    assert unpickled.fingerprint == source.fingerprint
    shots = problem.train.rows([0, 1, 2]), np.array([5, 5, 6])
    for one, other in zip(
        generator.generate(*shots, 4, random_state=1), unpickled.get().generate(*shots, 4, random_state=1)
    ):
        np.testing.assert_array_equal(one, other)


def test_a_generator_file_of_another_content_is_another_generator(problem: Problem, tmp_path: Path) -> None:
    train, rows = problem.train, problem.train.rows_of(problem.split.base)
    path = tmp_path / "generator.safetensors"

    def generated(offset: float) -> np.ndarray:
        features = train.rows(rows) + offset
        DifferenceGenerator().fit(features * (1 + offset), train.labels[rows]).save(path)
        source = pickle.loads(pickle.dumps(GeneratorSource(path, Scratch(tmp_path / "scratch"))))
        return source.get().generate(np.ones((1, train.dim), np.float32), [9], 4, random_state=0)[0]

    assert not np.array_equal(generated(0.0), generated(1.0))


@pytest.mark.parametrize("name", ["nearest_mean", "logistic", "ridge"])
def test_mapped_base_features_are_not_copied(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal(size=(150_000, 64), dtype=np.float32)
    np.save(tmp_path / "base.npy", features)
    size, labels = features.nbytes, rng.integers(20, size=len(features))
    del features
    mapped = np.asarray(np.load(tmp_path / "base.npy", mmap_mode="r"))
    assert held_bytes(mapped) == 0
    classifier = CLASSIFIERS.build(name)
    tracemalloc.start()
    try:
        classifier.fit_base(mapped, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 1.5
    assert held_bytes(classifier) < size / 4
