"""Generators on a GPU: mining of analogies, training of the regressor, and a whole fit."""

from __future__ import annotations

import numpy as np
import pytest

from lowshot.devices import MATMUL_PRECISIONS
from lowshot.hallucination import AnalogyGenerator, mine_analogies
from lowshot.hallucination.analogies import eager
from lowshot.hallucination.analogies.regressor import TrainingSettings, train_regressor
from tests.devices.conftest import GPU
from tests.devices.problems import DIM, arrays, features

SIZES = (3, 1, 4, 3)


def centroids(seed: int = 0) -> list[np.ndarray]:
    """Classes of 1 to 4 centroids, one of them twice in its class."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(size, 4)).astype(np.float32) for size in SIZES]
    parts[3][2] = parts[3][0]
    return parts


@pytest.mark.parametrize("chunk", [1, 2**20])
@pytest.mark.parametrize("ties", [False, True])
def test_analogies_are_those_of_a_cpu(gpu: GPU, monkeypatch: pytest.MonkeyPatch, ties: bool, chunk: int) -> None:
    monkeypatch.setitem(eager.CHUNK_VALUES, "cuda", chunk)
    classes = [part.round() for part in centroids()] if ties else centroids()
    with gpu:
        found = mine_analogies(classes, device="auto")
    expected = mine_analogies(classes)
    assert len(found) == len(expected) > 0
    np.testing.assert_array_equal(found.quadruples, expected.quadruples)
    np.testing.assert_array_equal(found.scores, expected.scores)


def train(
    device: str, settings: TrainingSettings, bias: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """A short training of the regressor on the analogies of :func:`centroids`."""
    classes, weight = centroids(), np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
    values, rows, analogies = np.concatenate(classes), np.repeat(np.arange(4), SIZES), mine_analogies(classes)
    return train_regressor(values, analogies, weight, rows, settings, classifier_bias=bias, device=device)


@pytest.mark.parametrize("precision", MATMUL_PRECISIONS)
def test_the_regressor_trains_as_on_a_cpu(gpu: GPU, precision: str) -> None:
    settings = TrainingSettings(hidden=8, n_steps=4, batch_size=6, precision=precision)
    with gpu:
        found, history = train("cuda", settings)
    gpu.check_work()
    expected, expected_history = train("cpu", settings)
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        gpu.check_close(found[name], value)
    for ours, theirs in zip(history, expected_history, strict=True):
        gpu.check_close(list(ours.values()), list(theirs.values()))


def test_a_generator_fits_on_the_gpu_and_generates_anywhere(gpu: GPU) -> None:
    X, y = features(n_classes=3)
    weight = np.random.default_rng(0).normal(size=(3, DIM)).astype(np.float32)
    generator = AnalogyGenerator(n_clusters=3, n_steps=4, batch_size=8, hidden=8)
    with gpu:
        generator.fit(X, y, classifier_weight=weight)
        found = generator.generate(X[:3], y[:3], 5, 0)
    gpu.check_work(float64=True)  # of mining
    expected = AnalogyGenerator(**generator.get_params()).fit(X, y, classifier_weight=weight)
    for name, value in arrays(expected).items():
        gpu.check_close(arrays(generator)[name], value)
    for there, here in zip(found, expected.generate(X[:3], y[:3], 5, 0), strict=True):
        gpu.check_close(there, here)


def test_the_regressor_trains_as_on_a_cpu_with_a_bias_and_the_batches_of_the_original(gpu: GPU) -> None:
    settings = TrainingSettings(hidden=8, n_steps=4, batch_size=6, precision="highest", batches="permutation")
    bias = np.arange(4, dtype=np.float32)
    with gpu:
        found, _ = train("cuda", settings, bias)
    gpu.check_work()
    for name, value in train("cpu", settings, bias)[0].items():
        gpu.check_close(found[name], value)
