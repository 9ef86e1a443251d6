from __future__ import annotations

import numpy as np
import pytest

from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.classifiers.teen import Teen
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import teen as reference
from tests.reference.nearest_mean import transform


def by_class(X, y, kind, centre):
    return [np.array([transform(x, kind, centre) for x in X[y == c]]) for c in np.unique(y)]


@pytest.mark.parametrize("feature_transform", ["none", "l2", "centred_l2"])
@pytest.mark.parametrize(("alpha", "sharpness"), [(0.5, 16.0), (0.0, 2.0), (0.9, 4.0)])
def test_means_and_scores_are_those_of_the_paper(feature_transform, alpha, sharpness):
    p = problem(n_base=6)
    classifier = Teen(alpha, sharpness, feature_transform).fit_base(*p.base).fit_novel(*p.novel)
    centre = p.base[0].mean(axis=0)
    base, novel = (by_class(X, y, feature_transform, centre) for X, y in (p.base, p.novel))
    expected = reference.means(base, novel, alpha, sharpness)
    np.testing.assert_allclose(classifier.means_, expected, atol=1e-10)
    queries = np.array([transform(x, feature_transform, centre) for x in p.queries[0]])
    cosines = np.array([[reference.unit(q) @ reference.unit(m) for m in expected] for q in queries])
    np.testing.assert_allclose(classifier.scores(p.queries[0]), cosines, atol=1e-10)


def test_with_all_weight_on_the_shots_it_is_the_nearest_mean():
    p = problem()
    ours = Teen(alpha=1.0).fit_base(*p.base).fit_novel(*p.novel).scores(p.queries[0])
    np.testing.assert_allclose(ours, NearestMean().fit_base(*p.base).fit_novel(*p.novel).scores(p.queries[0]))
    np.testing.assert_allclose(Teen().fit(*p.novel).scores(p.base[0]), NearestMean().fit(*p.novel).scores(p.base[0]))


def test_one_shot_finds_more_where_novel_classes_are_like_base_classes():
    """Each novel class lies near one base class; the noise of a shot is wider than the distance of the two."""
    rng = np.random.default_rng(0)
    base_means = 2 * rng.normal(size=(20, 30))
    novel_means = base_means[:10] + 0.7 * rng.normal(size=(10, 30))
    base = np.repeat(base_means, 50, axis=0) + 1.5 * rng.normal(size=(1000, 30)), np.repeat(np.arange(20), 50)
    hits = {}
    for alpha in (0.5, 1.0):
        known = Teen(alpha, feature_transform="l2").fit_base(*base)
        found = []
        for seed in range(10):
            noise = np.random.default_rng(seed).normal(size=(2, 10, 30))
            known.fit_novel(novel_means + 4 * noise[0], np.arange(20, 30))
            found.append(known.scores(novel_means + 2 * noise[1])[:, 20:].argmax(axis=1) == np.arange(10))
        hits[alpha] = np.mean(found)
    assert hits[0.5] > hits[1.0]


@pytest.mark.parametrize(("parameter", "value"), [("alpha", -0.1), ("alpha", 1.1), ("sharpness", 0.0)])
def test_a_parameter_out_of_range_is_named(parameter, value):
    with pytest.raises(InputError, match=f"^{parameter}="):
        Teen(**{parameter: value}).fit(*problem().base)
