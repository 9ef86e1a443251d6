from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import clone

from lowshot.classifiers import Cosine, Gaussian, GaussianCosine, GaussianKernel
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import gaussian as reference


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize("predictive", [False, True])
@pytest.mark.parametrize("n_shots", [1, 4])
def test_probabilities_are_the_normalised_product_of_both_posteriors(predictive, n_shots):
    """The densities by full matrices, query by query; base weights imprinted, so that all of it is closed form."""
    p = problem(n_base=8, n_shots=n_shots)
    ours = GaussianCosine("l2", "oas", predictive, density_weight=0.4, scale=7.0, n_steps=0)
    ours.fit_base(*p.base).fit_novel(*p.novel)
    base, novel, queries = ((unit(X), y) for X, y in p)
    densities = reference.scores(base, novel, queries[0], predictive)
    means = [unit(X[y == c].mean(axis=0)[None])[0] for X, y in (base, novel) for c in np.unique(y)]
    logs = log_softmax(7.0 * queries[0] @ np.array(means).T, axis=1) + 0.4 * log_softmax(densities, axis=1)
    np.testing.assert_allclose(ours.predict_proba(p.queries[0]), np.exp(log_softmax(logs, axis=1)), atol=1e-6)


def test_its_scores_are_the_weighted_sum_of_those_of_cosine_and_gaussian():
    p = problem(n_shots=3)
    cosine = Cosine(scale=5.0, n_steps=40, random_state=3).fit_base(*p.base).fit_novel(*p.novel)
    gaussian = Gaussian(shrinkage=0.3).fit_base(*p.base).fit_novel(*p.novel)
    ours = GaussianCosine(shrinkage=0.3, density_weight=0.25, scale=5.0, n_steps=40, random_state=3)
    ours.fit_base(*p.base).fit_novel(*p.novel)
    queries = p.queries[0]
    assert ours.scale_ == cosine.scale_ != 5.0
    np.testing.assert_allclose(
        ours.scores(queries), cosine.scores(queries) + 0.25 * gaussian.scores(queries), rtol=1e-9
    )


@pytest.mark.parametrize("classifier", [GaussianCosine(n_steps=0), GaussianKernel()], ids=["cosine", "kernel"])
def test_queries_are_transformed_once_for_both_terms(classifier, monkeypatch):
    p = problem()
    classifier = clone(classifier).fit_base(*p.base).fit_novel(*p.novel)
    rows = []
    transformed = type(classifier)._transformed
    monkeypatch.setattr(
        type(classifier), "_transformed", lambda self, X: (rows.append(len(X)), transformed(self, X))[1]
    )
    classifier.scores(p.queries[0])
    assert rows == [len(p.queries[0])]


def test_without_weight_of_the_density_it_is_cosine():
    p = problem()
    plain = Cosine(n_steps=30).fit_base(*p.base).fit_novel(*p.novel)
    ours = GaussianCosine(density_weight=0.0, n_steps=30).fit_base(*p.base).fit_novel(*p.novel)
    assert np.array_equal(ours.scores(p.queries[0]), plain.scores(p.queries[0]))


def test_class_weight_reaches_the_training_of_the_base_weights():
    p = problem()
    fits = {}
    for weight in (None, {0: 50.0}):
        ours = GaussianCosine(n_steps=30, scale=1.0)
        ours.class_weight = weight
        cosine = Cosine(n_steps=30, scale=1.0)
        cosine.class_weight = weight
        fits[str(weight)] = ours.fit_base(*p.base).coef_
        assert np.array_equal(ours.coef_, cosine.fit_base(*p.base).coef_)
    first, second = fits.values()
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("phases", ["beside base classes", "alone"])
@pytest.mark.parametrize("predictive", [False, True])
def test_a_shot_left_out_is_scored_as_if_it_had_never_been_learned(phases, predictive):
    p = problem(n_shots=4)
    X, y = p.novel
    rows = np.arange(0, len(y), 3)
    pattern = GaussianCosine("l2", 0.4, predictive, density_weight=0.3, n_steps=10)
    fit = (
        (lambda X, y: pattern.fit(X, y))
        if phases == "alone"
        else (lambda X, y: pattern.fit_base(*p.base).fit_novel(X, y))
    )
    expected = []
    for row in rows:
        others = np.arange(len(y)) != row
        expected.append(fit(X[others], y[others]).scores(X[[row]])[0])
    found = fit(X, y)._left_out_scores(X, np.unique(y, return_inverse=True)[1], rows)
    expected, found = (scores - scores.mean(axis=1, keepdims=True) for scores in (np.array(expected), found))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("density_weight", -0.1), ("density_weight", float("nan")), ("n_steps", -1), ("feature_transform", "none")],
)
def test_parameters_out_of_range_are_refused(parameter, value):
    with pytest.raises(InputError, match=parameter):
        GaussianCosine(**{parameter: value}).fit_base(*problem().base)
