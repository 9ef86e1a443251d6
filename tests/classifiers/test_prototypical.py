from __future__ import annotations

import numpy as np
import pytest
import torch

from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.classifiers.prototypical import PrototypeModule, Prototypical
from tests.classifiers.problems import problem


@pytest.mark.parametrize("feature_transform", ["none", "l2", "centred_l2"])
def test_untrained_it_is_the_nearest_mean(feature_transform):
    X, y = problem().base
    ours = Prototypical(feature_transform, scale=1.0).fit(X, y).scores(X)
    assert np.allclose(ours, NearestMean("euclidean", feature_transform).fit(X, y).scores(X), atol=1e-5)


@pytest.mark.parametrize("hidden", [0, 7])
def test_scores_are_negative_squared_distances_to_the_means_of_embeddings(hidden):
    p = problem()
    classifier = Prototypical(hidden=hidden, n_episodes=30).fit_base(*p.base).fit_novel(*p.novel)
    weights = classifier._weights_

    def embed(X):
        X = X - weights["centre"]
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        linear = X @ weights["linear.weight"].T
        if not hidden:
            return linear
        layer = np.maximum(X @ weights["bend.0.weight"].T + weights["bend.0.bias"], 0)
        return linear + layer @ weights["bend.2.weight"].T + weights["bend.2.bias"]

    X, y = np.vstack([p.base[0], p.novel[0]]), np.concatenate([p.base[1], p.novel[1]])
    means = np.array([embed(X[y == c]).mean(axis=0) for c in classifier.classes_])
    expected = -((embed(p.queries[0])[:, None] - means) ** 2).sum(axis=2)
    assert np.allclose(classifier.scores(p.queries[0]), expected, atol=1e-3)


def test_an_episode_scores_queries_by_their_distance_to_the_support_means():
    network = PrototypeModule("none", np.zeros(2), hidden=0, scale=2.0)
    support = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
    scores = network(support, torch.tensor([2, 1]), torch.tensor([[1.0, 1.0]]))
    assert scores.tolist() == [[-4.0, -4.0 * 32]]


def test_training_finds_the_directions_that_tell_classes_apart():
    """Classes differ in two of thirty dimensions; the others are noise of a larger scale."""
    rng = np.random.default_rng(0)
    means = np.zeros((30, 30))
    means[:, :2] = rng.normal(size=(30, 2)) * 2
    noise = np.array([0.3] * 2 + [1.5] * 28)

    def draw(classes, n):
        labels = np.repeat(classes, n)
        return means[labels] + noise * rng.normal(size=(len(labels), 30)), labels

    base, novel, queries = draw(np.arange(20), 40), draw(np.arange(20, 30), 1), draw(np.arange(20, 30), 30)

    def accuracy(n_episodes):
        classifier = Prototypical("none", scale=0.3, n_episodes=n_episodes, lr=0.01).fit_base(*base).fit_novel(*novel)
        return (classifier.scores(queries[0])[:, 20:].argmax(axis=1) + 20 == queries[1]).mean()

    assert accuracy(100) > accuracy(0) + 0.2
