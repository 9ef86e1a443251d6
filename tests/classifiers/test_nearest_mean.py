from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers import nearest_mean
from lowshot.classifiers.nearest_mean import METRICS, NearestMean
from lowshot.classifiers.transforms import TRANSFORMS, unit_rows
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import nearest_mean as reference


def fitted(p, **params):
    return NearestMean(**params).fit_base(*p.base).fit_novel(*p.novel)


def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(nearest_mean) == (0, 3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("feature_transform", TRANSFORMS)
def test_scores_equal_the_loops_of_the_reference(metric, feature_transform):
    p = problem()
    classifier = fitted(p, metric=metric, feature_transform=feature_transform)
    X, y = np.vstack([p.base[0], p.novel[0]]), np.concatenate([p.base[1], p.novel[1]])
    expected = reference.scores(X, y, p.queries[0], metric, feature_transform, p.base[0].mean(axis=0))
    order = np.argsort(classifier.classes_)
    assert np.allclose(classifier.scores(p.queries[0])[:, order], expected)


def test_without_a_base_the_centre_is_the_mean_of_the_given_features():
    X, y = problem().base
    expected = reference.scores(X, y, X, "euclidean", "centred_l2", X.mean(axis=0))
    assert np.allclose(NearestMean("euclidean").fit(X, y).scores(X), expected)


def test_the_default_puts_novel_classes_of_one_shot_on_a_par_with_base_classes():
    """A shot of length one is longer than the mean of many, so Euclidean distances favour the base classes."""
    p = problem(n_base=10, n_novel=10, dim=50, per_base=100, n_shots=1, noise=1.2)
    queries, labels = p.queries

    def novel_predictions(metric):
        predicted = fitted(p, metric=metric).predict(queries)
        return np.isin(predicted, p.novel[1]).sum()

    novel_queries = np.isin(labels, p.novel[1]).sum()
    assert novel_predictions("euclidean") < novel_predictions("cosine") < 1.5 * novel_queries


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), metric=st.sampled_from(METRICS), transform=st.sampled_from(TRANSFORMS))
def test_predictions_do_not_change_when_features_are_rotated_and_rescaled(seed, metric, transform):
    p = problem(seed=seed)
    rotation = 7.5 * np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]
    moved = p._replace(base=(p.base[0] @ rotation, p.base[1]), novel=(p.novel[0] @ rotation, p.novel[1]))
    plain, turned = (fitted(q, metric=metric, feature_transform=transform) for q in (p, moved))
    assert np.array_equal(plain.predict(p.queries[0]), turned.predict(p.queries[0] @ rotation))


def test_euclidean_distances_survive_features_far_from_the_origin():
    p = problem(dtype=np.float32)
    far = p._replace(base=(p.base[0] + 300, p.base[1]), novel=(p.novel[0] + 300, p.novel[1]))
    params = {"metric": "euclidean", "feature_transform": "none"}
    near_scores, far_scores = fitted(p, **params).scores(p.queries[0]), fitted(far, **params).scores(p.queries[0] + 300)
    assert np.allclose(near_scores, far_scores, rtol=1e-3, atol=1e-3)


def test_unit_rows_neither_overflow_nor_vanish():
    X = np.array([[3e30, 4e30], [3e-30, 4e-30], [0, 0]], dtype=np.float32)
    assert np.allclose(unit_rows(X), [[0.6, 0.8], [0.6, 0.8], [0, 0]])
    assert unit_rows(X).dtype == np.float32


@pytest.mark.parametrize(
    ("params", "word"), [({"metric": "cosin"}, "'cosine'"), ({"feature_transform": "L2"}, "feature_transform='L2'")]
)
def test_a_wrong_choice_is_named(params, word):
    with pytest.raises(InputError, match=word):
        NearestMean(**params).fit(*problem().base)
