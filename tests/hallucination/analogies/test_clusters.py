from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.hallucination import Centroids, fit_centroids
from lowshot.hallucination.analogies import clusters


def test_well_separated_blobs_become_their_means() -> None:
    rng = np.random.default_rng(0)
    means = np.array([[0, 0], [50, 0], [0, 50]], np.float32)
    features = np.repeat(means, 20, 0) + rng.normal(size=(60, 2)).astype(np.float32)
    centroids = fit_centroids(np.concatenate([features, features + 200]), np.repeat([4, 9], 60), n_clusters=3)
    assert centroids.counts.tolist() == [3, 3]
    assert centroids.values.dtype == np.float32
    wanted = np.stack([features[i : i + 20].mean(0) for i in (0, 20, 40)])
    for c in range(2):
        found = centroids[c][np.lexsort(centroids[c].round(-1).T)]
        np.testing.assert_allclose(found, wanted + 200 * c, atol=1e-3)


def test_a_class_with_few_distinct_features_keeps_those() -> None:
    few = np.array([[3, 3], [1, 1], [3, 3], [2, 2]], np.float32)
    many = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    centroids = fit_centroids(np.concatenate([many, few]), np.repeat([1, 0], [30, 4]), n_clusters=5)
    assert centroids.counts.tolist() == [3, 5]
    np.testing.assert_array_equal(centroids[0], [[3, 3], [1, 1], [2, 2]])
    assert centroids.class_of.tolist() == [0] * 3 + [1] * 5


def test_workers_and_other_classes_change_nothing(base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = base
    one = fit_centroids(features, labels, 4, n_jobs=1)
    two = fit_centroids(features, labels, 4, n_jobs=2)
    np.testing.assert_array_equal(one.values, two.values)
    first = fit_centroids(features[labels < 5], labels[labels < 5], 4)
    np.testing.assert_array_equal(first.values, one.values[:8])
    assert not np.array_equal(one.values, fit_centroids(features, labels, 4, random_state=1).values)


def test_the_same_call_again_reads_the_cache(
    base: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit_centroids(*base, 4, cache=tmp_path)
    monkeypatch.setattr(clusters, "_centroids_of", None)
    again = fit_centroids(*base, 4, cache=tmp_path)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.counts, again.counts)
    with pytest.raises(TypeError):
        fit_centroids(*base, 5, cache=tmp_path)


def test_a_record_gives_each_class_its_rows() -> None:
    parts = [np.zeros((2, 3)), np.ones((1, 3))]
    centroids = Centroids.of(parts)
    assert centroids.offsets.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(centroids[1], parts[1])
    assert Centroids.of(centroids) is centroids
    with pytest.raises(InputError, match="class 1"):
        Centroids.of([np.zeros((2, 3)), np.zeros((0, 3))])
