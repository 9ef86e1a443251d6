from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from lowshot.classifiers import Gaussian, NearestMean, Ridge, load_classifier, save_classifier
from lowshot.errors import InputError
from lowshot.recogniser import calibration
from lowshot.recogniser.calibration import calibrated, expected_calibration_error, fit_temperature
from lowshot.recogniser.leave_one_out import leave_one_out
from tests.recogniser.problems import Classes

CLASSIFIERS = [NearestMean(), Ridge(), Gaussian("l2", 0.6)]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=str)
def test_without_a_prior_it_minimises_the_negative_log_likelihood(classifier, monkeypatch):
    monkeypatch.setattr(calibration, "_LOG_DEVIATION", 1e9)
    X, y = Classes(8, noise=1.5).photos(6)
    left_out = leave_one_out(classifier.fit(X, y), X, y)

    def loss(log_temperature):
        p = log_softmax(left_out.scores / np.exp(log_temperature), axis=1)
        return -p[np.arange(len(y)), left_out.columns].mean()

    found = fit_temperature(classifier, left_out)
    best = np.exp(minimize_scalar(loss, bounds=np.log(found.rule) + np.array([-2.5, 2.5]), method="bounded").x)
    assert found.value == pytest.approx(best, rel=0.02)
    assert found.n_rows == len(y)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=str)
@pytest.mark.parametrize("n_shots", [3, 8])
def test_probabilities_are_calibrated_on_new_photos(classifier, n_shots):
    classes = Classes(20, seed=1, noise=1.8)
    X, y = classes.photos(n_shots)
    queries, truth = classes.photos(40)
    fitted = classifier.fit(X, y)
    after = calibrated(fitted, leave_one_out(fitted, X, y))
    before_error, error = (expected_calibration_error(one.predict_proba(queries), truth) for one in (fitted, after))
    assert error < max(0.1, 0.7 * before_error)
    assert np.array_equal(after.predict(queries), fitted.predict(queries))


def test_one_shot_a_class_takes_the_rule():
    X, y = Classes(12).photos(1)
    fitted = NearestMean().fit(X, y)
    found = fit_temperature(fitted, leave_one_out(fitted, X, y))
    assert found.n_rows == 0
    assert found.value == found.rule > 0


@pytest.mark.parametrize("X", [np.zeros((6, 4)), np.ones((6, 4)), np.eye(6, 4)], ids=["zeros", "constant", "axes"])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=str)
def test_features_without_spread_leave_a_positive_temperature(classifier, X):
    y = np.array([0, 0, 1, 1, 2, 2])
    fitted = classifier.fit(X, y)
    proba = calibrated(fitted, leave_one_out(fitted, X, y)).predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_one_class_is_certain():
    X, y = Classes(1).photos(4)
    fitted = NearestMean().fit(X, y)
    assert (calibrated(fitted, leave_one_out(fitted, X, y)).predict_proba(X) == 1).all()


def test_the_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    columns = np.array([0, 1, 0, 1])
    expected = 0.5 * abs(0.9 - 0.5) + 0.5 * abs(0.6 - 1.0)
    assert expected_calibration_error(probabilities, columns, bins=10) == pytest.approx(expected)
    assert expected_calibration_error(np.eye(2), np.array([0, 1])) == 0


def test_a_temperature_divides_scores_and_is_saved(tmp_path):
    X, y = Classes(3).photos(3)
    fitted = NearestMean().fit(X, y)
    warm = fitted.with_temperature(0.5)
    odds = np.log(warm.predict_proba(X))
    scores = fitted.scores(X).astype(float)
    np.testing.assert_allclose(odds - odds[:, :1], (scores - scores[:, :1]) / 0.5, atol=1e-6)
    save_classifier(warm, tmp_path / "warm.safetensors")
    loaded = load_classifier(tmp_path / "warm.safetensors")
    assert np.array_equal(loaded.predict_proba(X), warm.predict_proba(X))
    assert not hasattr(warm.fit(X, y), "temperature_")
    for wrong in (0, -1, np.nan, "1"):
        with pytest.raises(InputError, match="temperature"):
            fitted.with_temperature(wrong)


def test_a_file_with_an_impossible_temperature_is_refused(tmp_path):
    X, y = Classes(3).photos(3)
    fitted = NearestMean().fit(X, y)
    fitted.temperature_ = -1.0
    save_classifier(fitted, tmp_path / "cold.safetensors")
    with pytest.raises(InputError, match="temperature_ must be above 0"):
        load_classifier(tmp_path / "cold.safetensors")
