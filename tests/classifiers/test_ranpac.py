from __future__ import annotations

import numpy as np
import pytest

from lowshot.classifiers import ranpac
from lowshot.classifiers.ranpac import RanPAC
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.classifiers.test_teen import by_class
from tests.reference import ranpac as reference


@pytest.mark.parametrize("calibration", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_shots", [1, 4])
def test_weights_are_those_of_sums_over_classes(calibration, n_shots):
    p = problem(n_shots=n_shots, per_base=9)
    classifier = RanPAC(n_projected=12, calibration=calibration, sharpness=4.0, alpha=0.2, feature_transform="l2")
    classifier.fit_base(*p.base).fit_novel(*p.novel)
    base, novel = (by_class(X, y, "l2", None) for X, y in (p.base, p.novel))
    expected = reference.weights(base, novel, classifier.projection_.astype(float), calibration, 4.0, 0.2)
    np.testing.assert_allclose(classifier.coef_, expected, atol=1e-5)
    first = np.maximum(base[0] @ classifier.projection_, 0) @ expected.T
    np.testing.assert_allclose(classifier.scores(p.base[0][p.base[1] == 0]), first, atol=1e-4)


def test_classes_alone_have_nothing_to_borrow():
    p = problem(n_shots=3)
    classifier = RanPAC(n_projected=10, calibration=0.9, alpha=0.2, feature_transform="l2").fit(*p.novel)
    novel = by_class(*p.novel, "l2", None)
    expected = reference.weights(novel, [], classifier.projection_.astype(float), 0.0, 1.0, 0.2)
    np.testing.assert_allclose(classifier.coef_, expected, atol=1e-5)


def test_the_strength_is_the_one_with_the_least_error_on_held_out_base_examples(monkeypatch):
    """Against refits for each strength on the same four fifths."""
    X, y = problem(per_base=20, noise=1.5, dim=10).base
    classifier = RanPAC(n_projected=40, feature_transform="l2").fit_base(X, y)
    rng = np.random.default_rng(0)
    rng.standard_normal((10, 40), dtype=np.float32)
    fitting = np.concatenate([rng.permutation(np.flatnonzero(y == 2 * c)).reshape(2, 10) for c in range(5)])
    fitting = np.concatenate([np.concatenate(pair)[:16] for pair in fitting.reshape(5, 2, 10)])
    rest = np.setdiff1d(np.arange(100), fitting)
    errors = []
    for alpha in ranpac.ALPHAS:
        refit = RanPAC(n_projected=40, feature_transform="l2", alpha=alpha).fit_base(X[fitting], y[fitting])
        errors.append(((refit.scores(X[rest]) - (y[rest, None] == refit.classes_)) ** 2).mean())
    assert classifier.alpha_ == ranpac.ALPHAS[int(np.argmin(errors))]
    assert 0 < errors.index(min(errors)) < len(errors) - 1


def test_it_learns_what_no_linear_classifier_can():
    """Opposite quadrants are one class, so that both classes have their mean at the origin."""
    X = np.random.default_rng(0).normal(size=(800, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    fitted = RanPAC(n_projected=100, feature_transform="none").fit_base(X, y)
    assert np.mean(fitted.predict(X) == y) > 0.95


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("n_projected", 0), ("calibration", 1.5), ("sharpness", 0.0), ("alpha", 0.0), ("alpha", np.nan)],
)
def test_a_parameter_out_of_range_is_named(parameter, value):
    with pytest.raises(InputError, match=f"^{parameter}="):
        RanPAC(**{parameter: value}).fit_base(*problem().base)
