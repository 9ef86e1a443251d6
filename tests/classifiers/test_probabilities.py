from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss, roc_auc_score
from sklearn.model_selection import cross_val_score

from lowshot.classifiers import Cosine, Gaussian, Logistic, MatchingNetwork, NearestMean, Ridge
from lowshot.registry import CLASSIFIERS
from tests.classifiers.problems import build, problem

every_classifier = pytest.mark.parametrize("name", CLASSIFIERS.names())


@every_classifier
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_sum_to_one_and_agree_with_scores_and_predictions(name, dtype):
    p = problem(dtype=dtype)
    for fitted in (build(name).fit_base(*p.base), build(name).fit_base(*p.base).fit_novel(*p.novel)):
        proba, scores = fitted.predict_proba(p.queries[0]), fitted.scores(p.queries[0])
        assert proba.shape == scores.shape
        assert (proba >= 0).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
        assert np.array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(p.queries[0]))
        odds = np.log(proba[:, 1:]) - np.log(proba[:, :1])
        finite = np.isfinite(odds)
        ratio = (scores[:, 1:] - scores[:, :1]).astype(float)[finite] / odds[finite]
        assert np.ptp(ratio[np.abs(odds[finite]) > 0.1]) / ratio.mean() < 1e-2  # one temperature for all


@every_classifier
@pytest.mark.parametrize("metric", ["roc_auc_ovr", "neg_log_loss", "accuracy"])
def test_scikit_learns_metrics_are_numbers(name, metric):
    p = problem(dim=20, per_base=12, noise=1.0)
    values = cross_val_score(build(name), *p.base, scoring=metric, cv=3)
    assert np.isfinite(values).all()
    assert metric == "neg_log_loss" or (values > 0.7).all()


@every_classifier
def test_columns_of_base_and_novel_classes_are_sorted_for_scikit_learn_by_one_index(name):
    p = problem(dim=20, n_shots=5, noise=0.3)
    fitted = build(name).fit_base(*p.base).fit_novel(*p.novel)
    proba = fitted.predict_proba(p.queries[0])
    own = [proba[row, fitted.classes_.tolist().index(label)] for row, label in enumerate(p.queries[1])]
    in_order = proba[:, np.argsort(fitted.classes_)]
    assert log_loss(p.queries[1], in_order) == pytest.approx(-np.mean(np.log(own)))
    assert roc_auc_score(p.queries[1], in_order, multi_class="ovr") > 0.9


@every_classifier
def test_two_classes_and_one_have_probabilities_too(name):
    X, y = problem(n_base=2).base
    fitted = build(name).fit(X, y)
    assert fitted.predict_proba(X).shape == (len(y), 2)
    assert get_scorer("roc_auc")(fitted, X, y) > 0.9
    np.testing.assert_array_equal(build(name).fit(X, np.zeros(len(y), int)).predict_proba(X), np.ones((len(y), 1)))


@every_classifier
def test_scores_beyond_the_range_of_exponentials_give_probabilities(name):
    X, y = problem(dtype=np.float32).base
    proba = build(name).fit(1e4 * X, y).predict_proba(1e4 * X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)


@every_classifier
def test_a_calibration_bias_raises_the_probability_of_novel_classes(name):
    p = problem()
    fitted = build(name).fit_base(*p.base).fit_novel(*p.novel)
    before, after = (one.predict_proba(p.queries[0])[:, 5:].sum() for one in (fitted, fitted.with_calibration_bias(1)))
    assert after > before


def test_logistic_gives_those_of_scikit_learn():
    p = problem(noise=1.0)
    ours = Logistic(solver="lbfgs", weight_decay=0.01).fit(*p.base)
    # The penalty is on the intercepts as well: there they are the weights of a feature that is always one.
    base, queries = (np.hstack([X, np.ones((len(X), 1))]) for X in (p.base[0], p.queries[0]))
    theirs = LogisticRegression(C=1 / (0.01 * len(base)), tol=1e-8, max_iter=1000, fit_intercept=False)
    expected = theirs.fit(base, p.base[1]).predict_proba(queries)
    np.testing.assert_allclose(ours.predict_proba(p.queries[0]), expected, atol=1e-4)


@pytest.mark.parametrize("predictive", [False, True])
def test_gaussian_gives_those_of_its_densities(predictive):
    p = problem(noise=0.8)
    fitted = Gaussian(feature_transform="none", predictive=predictive).fit_base(*p.base).fit_novel(*p.novel)
    X = (p.queries[0] - fitted._origin_) @ fitted._axes_
    spread = 1 + fitted.variances_ if predictive else np.ones_like(fitted.variances_)
    densities = np.stack([multivariate_normal(m, np.diag(v)).pdf(X) for m, v in zip(fitted.means_, spread)], axis=1)
    expected = densities / densities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(p.queries[0]), expected, atol=1e-9)


def test_a_matching_network_gives_its_shares_of_attention():
    p = problem()
    fitted = MatchingNetwork(n_episodes=3, n_support=4).fit_base(*p.base).fit_novel(*p.novel)
    np.testing.assert_allclose(fitted.predict_proba(p.queries[0]), np.exp(fitted.scores(p.queries[0])), rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_probabilities_of_nearest_mean_do_not_depend_on_the_unit_of_features(scale):
    p = problem()
    for metric in ("cosine", "euclidean"):
        one = NearestMean(metric, "none").fit(*p.base).predict_proba(p.queries[0])
        other = NearestMean(metric, "none").fit(scale * p.base[0], p.base[1]).predict_proba(scale * p.queries[0])
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_temperatures_are_the_documented_ones():
    p = problem()
    X = p.queries[0]
    for classifier, temperature in [(NearestMean(), 0.1), (Ridge(), 0.1), (Cosine(), 1.0)]:
        fitted = classifier.fit(*p.base)
        e = np.exp(fitted.scores(X) / temperature)
        np.testing.assert_allclose(fitted.predict_proba(X), e / e.sum(axis=1, keepdims=True), rtol=1e-6)
    euclidean = NearestMean("euclidean").fit(*p.base)
    between = [((a - b) ** 2).sum() for i, a in enumerate(euclidean.means_) for b in euclidean.means_[:i]]
    assert euclidean._temperature() == pytest.approx(0.1 * np.mean(between))
