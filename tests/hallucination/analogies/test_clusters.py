from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.hallucination import Centroids, fit_centroids
from lowshot.hallucination.analogies import clusters
from tests.reference import kmeans


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
    monkeypatch.setattr(clusters, "_k_means_plus_plus", None)
    again = fit_centroids(*base, 4, cache=tmp_path)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.counts, again.counts)
    with pytest.raises(TypeError):
        fit_centroids(*base, 5, cache=tmp_path)
    other = fit_centroids(*base, 4, init="random_directions", cache=tmp_path)
    assert not np.array_equal(first.values, other.values)


def in_clusters(n: int, dim: int = 16, n_clusters: int = 12, seed: int = 0) -> np.ndarray:
    """(n, dim) float32 that a ReLU could have made, in clusters."""
    rng = np.random.default_rng(seed)
    means = rng.gamma(1.0, 2.0, (n_clusters, dim))
    return np.maximum(means[rng.integers(n_clusters, size=n)] + rng.normal(0, 0.7, (n, dim)), 0).astype(np.float32)


@pytest.mark.parametrize(("n", "n_clusters"), [(60, 12), (200, 30), (7, 12), (1, 3)])
def test_random_directions_are_the_originals_start(n: int, n_clusters: int) -> None:
    """The centroids are those of the reference, which goes by examples and centroids; small classes have all too."""
    features = in_clusters(n)
    centroids = fit_centroids(features, np.zeros(n, int), n_clusters, 8, init="random_directions", random_state=5)
    wanted = kmeans.random_direction_centroids(features, n_clusters, 8, np.random.default_rng((5, 0)))
    assert centroids.counts.tolist() == [n_clusters]
    np.testing.assert_allclose(centroids.values, wanted, rtol=1e-4, atol=1e-5)


def test_without_rounds_they_are_unit_vectors() -> None:
    found = clusters._random_directions(in_clusters(20), 50, 0, (0, 0))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert np.linalg.norm(found.mean(axis=0)) < 0.3


def test_centroids_beyond_the_examples_of_a_class_lie_on_examples() -> None:
    """Thirty centroids of nine examples: those that never win one are put on one after the last round too."""
    features = in_clusters(9)
    found = clusters._random_directions(features, 30, 20, (1, 0))
    distances = np.linalg.norm(found[:, None] - features[None], axis=2).min(axis=1)
    assert (distances < 1e-6).sum() >= 21


def test_k_means_plus_plus_finds_a_lower_inertia() -> None:
    """Twenty rounds do not make up for the start, as in the original."""
    ratios = []
    for seed in range(5):
        features = in_clusters(300, dim=64, n_clusters=150, seed=seed)
        found = [
            kmeans.inertia(
                features, fit_centroids(features, np.zeros(300, int), 100, init=init, random_state=seed).values
            )
            for init in ("k-means++", "random_directions")
        ]
        ratios.append(found[1] / found[0])
    assert min(ratios) > 1.02


def test_another_start_is_refused() -> None:
    with pytest.raises(InputError, match="init='random' is not one of its choices"):
        fit_centroids(np.ones((3, 2), np.float32), np.zeros(3, int), init="random")


def test_a_record_gives_each_class_its_rows() -> None:
    parts = [np.zeros((2, 3)), np.ones((1, 3))]
    centroids = Centroids.of(parts)
    assert centroids.offsets.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(centroids[1], parts[1])
    assert Centroids.of(centroids) is centroids
    with pytest.raises(InputError, match="class 1"):
        Centroids.of([np.zeros((2, 3)), np.zeros((0, 3))])
