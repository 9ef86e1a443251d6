from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lowshot.classifiers.gaussian import Gaussian
from lowshot.classifiers.shrinkage import oas_intensity, shrunk_covariance
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import gaussian as reference


def centred(scores):
    """Scores up to a constant for each query."""
    return scores - scores.mean(axis=1, keepdims=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n_shots=st.integers(1, 4), dim=st.sampled_from([2, 6, 12]), predictive=st.booleans())
def test_scores_equal_the_densities_of_the_full_matrices(seed, n_shots, dim, predictive):
    p = problem(seed=seed, n_shots=n_shots, dim=dim, n_base=8)
    classifier = Gaussian("none", "oas", predictive).fit_base(*p.base).fit_novel(*p.novel)
    expected = reference.scores(p.base, p.novel, p.queries[0], predictive)
    assert np.allclose(centred(classifier.scores(p.queries[0])), centred(expected), atol=1e-6)


def test_alone_and_without_shrinkage_it_is_linear_discriminant_analysis():
    X, y = problem(per_base=30).base
    lda = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(5, 0.2), store_covariance=True).fit(X, y)
    # Classes of equal size: scikit-learn's covariance differs by the degrees of freedom only, 145 for 150.
    ours = centred(Gaussian("none", shrinkage=0.0, predictive=False).fit(X, y).scores(X)) * 150 / 145
    assert np.allclose(ours, centred(lda.decision_function(X)))


def shift(n_shots, within, seed=0):
    """The shift of a class from the prior's mean, relative to that of its sample mean, along axis 0 and 1."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(400, 2)) * [3.0, 0.1]  # base classes differ along axis 0 and hardly along axis 1
    labels = np.repeat(np.arange(400), 40)
    base = means[labels] + within * rng.normal(size=(len(labels), 2))
    classifier = Gaussian("none", "oas").fit_base(base, labels)
    classifier.fit_novel(np.full((n_shots, 2), 2.0), np.full(n_shots, 400))
    shot = (np.full(2, 2.0) - classifier._origin_) @ classifier._axes_
    back = np.linalg.inv(classifier._axes_)
    return (classifier.means_[-1] @ back) / (shot @ back)


def test_one_shot_is_neither_ignored_nor_trusted_blindly():
    along, across = shift(1, within=1.0)
    assert along == pytest.approx(9 / (9 + 1), abs=0.03)
    assert across == pytest.approx(0.01 / (0.01 + 1), abs=0.03)


def test_many_shots_outweigh_the_prior():
    few, many = shift(2, within=1.0), shift(300, within=1.0)
    assert np.all(few < many)
    assert many[0] == pytest.approx(1, abs=1e-3)


def test_the_sampling_noise_of_base_means_is_not_taken_for_a_prior_variance():
    """All classes are the same. The means of 5 examples still differ, but a shot must have hardly any weight."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(500), 5)
    classifier = Gaussian("none").fit_base(rng.normal(size=(2500, 3)), labels)
    classifier.fit_novel([[2.0, 0.0, 0.0]], [500])
    assert np.linalg.norm(classifier.means_[-1]) < 0.2


def test_predictive_densities_are_wider_for_a_class_of_one_shot():
    p = problem(n_base=8, n_novel=8, n_shots=1, noise=1.5)
    far = 5 * p.queries[0]
    narrow, wide = (
        Gaussian("none", predictive=predictive).fit_base(*p.base).fit_novel(*p.novel) for predictive in (False, True)
    )
    assert wide.variances_[8:].min() > wide.variances_[:8].max()
    assert np.isin(wide.predict(far), p.novel[1]).mean() > np.isin(narrow.predict(far), p.novel[1]).mean() + 0.1


def test_oas_tends_to_full_shrinkage_for_one_sample_and_to_none_for_many():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 4))
    assert oas_intensity(x.T @ x, 1) == 1
    X = rng.normal(size=(100_000, 4)) * [1, 2, 3, 4]
    assert oas_intensity(X.T @ X / len(X), len(X)) < 1e-3


@pytest.mark.parametrize("shrinkage", ["ledoit", -0.1, 1.5])
def test_a_shrinkage_out_of_range_is_refused(shrinkage):
    with pytest.raises(InputError, match="shrinkage"):
        shrunk_covariance(np.eye(2), 3, shrinkage)


@pytest.mark.parametrize("seed", range(3))
def test_few_class_means_in_many_dimensions_are_decomposed(seed: int) -> None:
    # The covariance of 40 means in 512-d, shrunk, has 472 equal eigenvalues, on which LAPACK's default may fail.
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(40), 10)
    means = np.abs(rng.normal(size=(40, 512)))
    known = Gaussian().fit_base(means[y] + 0.5 * rng.random((400, 512)), y)
    assert (known.predict(means + 0.25) == np.arange(40)).all()
