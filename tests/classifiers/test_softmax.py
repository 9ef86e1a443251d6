from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lowshot.classifiers import softmax
from lowshot.classifiers.softmax import class_balanced, fit_softmax
from tests.classifiers.problems import problem


def groups_of(p, dtype=np.float64):
    base, novel = (p.base[0].astype(dtype), p.base[1] // 2), (p.novel[0].astype(dtype), 5 + p.novel[1] // 2)
    return class_balanced(base, novel, 5, 3)


def objective(groups, coef, intercept, weight_decay):
    loss = weight_decay / 2 * ((coef**2).sum() + (intercept**2).sum())
    for X, codes, weight, _ in groups:
        scores = X @ coef.T + intercept
        loss += weight * np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(X)), codes])
    return loss


def test_the_groups_weigh_as_the_batches_of_the_low_shot_phase_do():
    groups = groups_of(problem())
    assert [group.weight for group in groups] == [5 / 8, 3 / 8]
    X, y = problem().novel
    assert [group.weight for group in class_balanced(None, (X, y), 0, 3)] == [1.0]


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), weight_decay=st.sampled_from([0.01, 0.1]), n_shots=st.integers(1, 4))
def test_it_is_scikit_learns_optimum_of_the_same_weighted_objective(seed, weight_decay, n_shots):
    p = problem(seed=seed, n_shots=n_shots)
    groups = groups_of(p)
    coef, intercept = fit_softmax(groups, 8, weight_decay, tol=1e-8)
    # A column of ones makes scikit-learn penalise the intercept too; its C multiplies the losses, not the penalty.
    X = np.vstack([np.hstack([group.features, np.ones((len(group.codes), 1))]) for group in groups])
    y = np.concatenate([group.codes for group in groups])
    weights = np.concatenate([np.full(len(group.codes), group.weight / len(group.codes)) for group in groups])
    model = LogisticRegression(C=1 / weight_decay, fit_intercept=False, tol=1e-8, max_iter=10_000)
    expected = model.fit(X, y, sample_weight=weights).coef_
    assert np.allclose(np.hstack([coef, intercept[:, None]]), expected, atol=1e-4)


def test_the_gradient_vanishes_at_the_result_and_nowhere_lower():
    groups = groups_of(problem())
    coef, intercept = fit_softmax(groups, 8, 0.01)
    best = objective(groups, coef, intercept, 0.01)
    rng = np.random.default_rng(0)
    for _ in range(10):
        step = 1e-2 * rng.normal(size=coef.shape), 1e-2 * rng.normal(size=intercept.shape)
        assert objective(groups, coef + step[0], intercept + step[1], 0.01) > best


def test_the_start_changes_the_time_and_not_the_result():
    groups = groups_of(problem())
    rng = np.random.default_rng(0)
    plain = fit_softmax(groups, 8, 0.01)
    other = fit_softmax(groups, 8, 0.01, start=(rng.normal(size=(8, 6)), rng.normal(size=8)))
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(plain, other))


def test_float32_features_reach_the_float64_optimum():
    p = problem()
    exact, single = (fit_softmax(groups_of(p, dtype), 8, 0.01)[0] for dtype in (np.float64, np.float32))
    assert np.allclose(exact, single, atol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_features_far_from_zero_and_large_scores_do_not_overflow():
    p = problem()
    X = 1e4 * p.base[0]
    coef, intercept = fit_softmax(class_balanced(None, (X, p.base[1] // 2), 0, 5), 5, 1e-6)
    assert np.isfinite(coef).all()
    assert ((X @ coef.T + intercept).argmax(axis=1) == p.base[1] // 2).mean() > 0.9


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_features_are_learned_to_the_optimum_in_either_precision(dtype):
    p = problem()
    scaled = p._replace(base=(100 * p.base[0], p.base[1]), novel=(100 * p.novel[0], p.novel[1]))
    groups = groups_of(scaled, dtype)
    coef, intercept = fit_softmax(groups, 8, 0.01)
    gradient = 0.01 * np.hstack([coef, intercept[:, None]])
    for X, codes, weight, _ in groups:
        scores = X @ coef.T + intercept
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(X)), codes] -= 1
        gradient += weight / len(X) * p.T @ np.hstack([X, np.ones((len(X), 1))])
    assert np.abs(gradient).max() < 2e-6


def test_a_search_that_ends_short_of_the_optimum_says_so():
    with pytest.warns(ConvergenceWarning, match="after 3 of 3 iterations short of its optimum"):
        fit_softmax(groups_of(problem()), 8, 0.01, max_iter=3)


def test_blocks_do_not_change_the_result(monkeypatch):
    groups = groups_of(problem())
    one_block = fit_softmax(groups, 8, 0.01)
    monkeypatch.setattr(softmax, "BLOCK_ROWS", 7)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(one_block, fit_softmax(groups, 8, 0.01)))


@pytest.mark.parametrize("n_classes", [1, 2])
def test_one_and_two_classes(n_classes):
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    coef, intercept = fit_softmax(class_balanced(None, (X, np.arange(2) % n_classes), 0, n_classes), n_classes, 0.1)
    assert (X @ coef.T + intercept).argmax(axis=1).tolist() == [0, n_classes - 1]
