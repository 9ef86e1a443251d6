from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers.ridge import Ridge
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import ridge as reference


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n_base=st.integers(1, 4),
    n_novel=st.integers(1, 4),
    n_shots=st.integers(1, 6),
    dim=st.integers(1, 12),
    alpha=st.sampled_from([1e-4, 0.1, 10.0]),
)
def test_it_is_the_weighted_least_squares_solution(seed, n_base, n_novel, n_shots, dim, alpha):
    p = problem(n_base=n_base, n_novel=n_novel, n_shots=n_shots, dim=dim, per_base=5, seed=seed)
    ridge = Ridge(alpha).fit_base(*p.base).fit_novel(*p.novel)
    coef, intercept = reference.solve(*p.base, *p.novel, alpha)
    assert np.allclose(ridge.coef_, coef, atol=1e-8)
    assert np.allclose(ridge.intercept_, intercept, atol=1e-8)


def test_without_shots_or_without_a_base_it_is_the_plain_solution():
    p = problem()
    nothing = p.novel[0][:0], p.novel[1][:0]
    for ridge, parts in [(Ridge().fit_base(*p.base), (p.base, nothing)), (Ridge().fit(*p.novel), (nothing, p.novel))]:
        coef, intercept = reference.solve(*parts[0], *parts[1], ridge.alpha)
        assert np.allclose(ridge.coef_, coef)
        assert np.allclose(ridge.intercept_, intercept)


def test_a_base_without_variance_in_some_directions_is_no_obstacle():
    p = problem(n_base=2, per_base=2, dim=9, n_shots=1)
    ridge = Ridge(1e-6).fit_base(*p.base).fit_novel(*p.novel)
    assert np.allclose(ridge.coef_, reference.solve(*p.base, *p.novel, 1e-6)[0], atol=1e-6)


@pytest.mark.parametrize("phase", ["base", "novel", "alone"])
def test_scores_for_a_grid_equal_those_of_separate_fits(phase):
    p = problem()

    def fit(alpha):
        if phase == "alone":
            return Ridge(alpha).fit(*p.base)
        known = Ridge(alpha).fit_base(*p.base)
        return known if phase == "base" else known.fit_novel(*p.novel)

    alphas = [0.01, 1.0, 100.0]
    grid = list(fit(0.3).scores_for(p.queries[0], alphas))
    for alpha, scores in zip(alphas, grid, strict=True):
        assert np.allclose(scores, fit(alpha).scores(p.queries[0]))


def test_runs_share_the_eigendecomposition(monkeypatch):
    p = problem()
    known = Ridge().fit_base(*p.base)
    monkeypatch.setattr("scipy.linalg.eigh", lambda *_: pytest.fail("decomposed again"))
    runs = [copy.copy(known).fit_novel(*problem(seed=seed).novel) for seed in range(3)]
    assert all(run._axes_ is known._axes_ for run in runs)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-3, 50.0]))
def test_scores_do_not_change_when_features_are_rotated_shifted_and_rescaled(seed, scale):
    p = problem(seed=seed)
    rotation = scale * np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]

    def move(X):
        return X @ rotation + 3 * scale

    plain = Ridge().fit_base(*p.base).fit_novel(*p.novel)
    moved = Ridge().fit_base(move(p.base[0]), p.base[1]).fit_novel(move(p.novel[0]), p.novel[1])
    assert np.allclose(plain.scores(p.queries[0]), moved.scores(move(p.queries[0])))


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan")])
def test_a_penalty_that_is_not_positive_is_refused(alpha):
    with pytest.raises(InputError, match="alpha"):
        Ridge(alpha).fit(*problem().base)
