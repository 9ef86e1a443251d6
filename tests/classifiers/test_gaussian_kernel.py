from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from lowshot.classifiers import gaussian_kernel
from lowshot.classifiers.gaussian import Gaussian
from lowshot.classifiers.gaussian_kernel import GaussianKernel
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import kernel_ridge as reference


@pytest.mark.parametrize("n_shots", [1, 3])
def test_the_correction_is_kernel_ridge_regression_on_the_residuals(n_shots):
    p = problem(n_base=3, per_base=6, n_shots=n_shots)
    base = Gaussian("l2").fit_base(*p.base)
    plain = Gaussian("l2").fit_base(*p.base).fit_novel(*p.novel)
    ours = GaussianKernel("l2", n_base_examples=None, alpha=0.5, strength=3.0).fit_base(*p.base).fit_novel(*p.novel)
    points, labels = np.vstack([p.base[0], p.novel[0]]), np.concatenate([p.base[1], p.novel[1]])
    scores = plain.scores(points)
    for row in range(len(p.base[1]), len(points)):  # a shot of several is scored by what all others teach
        others = np.setdiff1d(np.arange(len(p.base[1]), len(points)), [row])
        if (labels[others] == labels[row]).any():
            rest = Gaussian("l2").fit_base(*p.base).fit_novel(points[others], labels[others])
            scores[row] = rest.scores(points[[row]])
    residuals = (labels[:, None] == plain.classes_) - softmax(scores, axis=1)
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    distances = ((units[:, None] - units) ** 2).sum(axis=2)
    weights = np.array([1 / (labels == label).sum() for label in labels])
    coefficients = reference.fitted(units, residuals, weights, 1 / distances.mean(), 0.5)
    queries = p.queries[0] / np.linalg.norm(p.queries[0], axis=1, keepdims=True)
    expected = 3 * reference.values(queries, units, 1 / distances.mean()) @ coefficients
    np.testing.assert_allclose(ours.scores(p.queries[0]) - plain.scores(p.queries[0]), expected, atol=1e-4)
    assert base.n_base_classes_ == 3


def test_without_strength_it_is_gaussian():
    p = problem()
    ours = GaussianKernel(strength=0.0).fit_base(*p.base).fit_novel(*p.novel)
    plain = Gaussian().fit_base(*p.base).fit_novel(*p.novel)
    assert np.array_equal(ours.scores(p.queries[0]), plain.scores(p.queries[0]))


def test_it_corrects_what_one_covariance_cannot_tell():
    """A novel class around the origin, a base class on a ring around it: the means are the same."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    ring = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.3 * rng.normal(size=(600, 2))
    away = rng.normal(size=(200, 2)) + np.array([10, 0])
    base = np.concatenate([ring, away]), np.repeat([0, 1], [600, 200])
    shots, queries = 0.3 * rng.normal(size=(40, 2)), 0.3 * rng.normal(size=(100, 2))
    found = {}
    for strength in (0.0, 30.0):
        fitted = GaussianKernel("none", strength=strength, gamma=5.0, alpha=0.01, n_base_examples=100)
        fitted.fit_base(*base).fit_novel(shots, np.full(40, 2))
        rest = np.mean(fitted.predict(ring[:200]) == 0), np.mean(fitted.predict(queries) == 2)
        found[strength] = min(rest)
    assert found[30.0] > found[0.0] + 0.2


def test_queries_in_blocks_score_as_they_do_at_once(monkeypatch):
    p = problem()
    fitted = GaussianKernel().fit_base(*p.base).fit_novel(*p.novel)
    at_once = fitted.scores(p.queries[0])
    monkeypatch.setattr(gaussian_kernel, "KERNEL_CELLS", 5 * len(fitted.points_))
    np.testing.assert_allclose(fitted.scores(p.queries[0]), at_once)


def test_base_points_are_drawn_once_and_no_more_than_asked_for():
    X, y = problem().base
    fitted = GaussianKernel(n_base_examples=7).fit_base(X, y)
    points, codes = fitted._base_points_
    assert np.bincount(codes).tolist() == [7] * 5
    assert {tuple(point) for point in points} <= {tuple(x) for x in X}


@pytest.mark.parametrize(
    ("parameter", "value"), [("gamma", 0.0), ("alpha", 0.0), ("strength", -1.0), ("n_base_examples", 0)]
)
def test_a_parameter_out_of_range_is_named(parameter, value):
    with pytest.raises(InputError, match=f"^{parameter}="):
        GaussianKernel(**{parameter: value}).fit_base(*problem().base)
