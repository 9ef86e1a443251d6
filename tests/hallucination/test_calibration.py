from __future__ import annotations

import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.hallucination import CalibrationGenerator
from tests.reference.distribution_calibration import moments, signed_power


def test_draws_have_the_mean_and_covariance_of_the_paper(base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = base
    features = features + 9  # so far from zero that nothing is clamped
    fitted = CalibrationGenerator(n_nearest=2, alpha=0.21).fit(features, labels)
    shot = features[20]
    made = np.sqrt(fitted.generate(shot[None], [0], 40_001)[0][1:].astype(float))

    transformed = np.sqrt(features.astype(float))
    by_class = [transformed[labels == label] for label in np.unique(labels)]
    nearest = sorted(by_class, key=lambda part: np.linalg.norm(part.mean(0) - np.sqrt(shot)))[:2]
    mean = (nearest[0].mean(0) + nearest[1].mean(0) + np.sqrt(shot)) / 3
    covariance = (np.cov(nearest[0].T) + np.cov(nearest[1].T)) / 2 + 0.21
    np.testing.assert_allclose(made.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(made.T), covariance, atol=0.02)


def test_draws_of_features_of_any_sign_have_the_mean_and_covariance_of_the_signed_power(
    signed_base: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = signed_base
    fitted = CalibrationGenerator(n_nearest=2, alpha=0.21, power=0.6).fit(features, labels)
    assert fitted.signed_
    shot = features[20]
    assert shot.min() < 0
    made = fitted.generate(shot[None], [0], 40_001)[0][1:].astype(float)
    assert (made < 0).any(axis=0).all()
    bent = np.vectorize(signed_power)(made, 0.6)
    mean, covariance = moments(shot.tolist(), features.tolist(), labels.tolist(), 0.6, 2, 0.21)
    np.testing.assert_allclose(bent.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(bent.T), covariance, atol=0.04)


def test_features_of_either_sign_are_treated_alike(signed_base: tuple[np.ndarray, np.ndarray]) -> None:
    """The power is odd, so mirrored features give mirrored statistics."""
    features, labels = signed_base
    plain, mirrored = (CalibrationGenerator().fit(X, labels) for X in (features, -features))
    np.testing.assert_allclose(mirrored.means_, -plain.means_, rtol=1e-6)
    np.testing.assert_array_equal(mirrored.root_counts_, plain.root_counts_)


def test_draws_are_features_again(base: tuple[np.ndarray, np.ndarray]) -> None:
    made, _ = CalibrationGenerator().fit(*base).generate(base[0][:2], [0, 1], 50)
    assert (made >= 0).all()
    assert made.dtype == np.float32


def test_power_one_takes_features_as_they_are(base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = base
    fitted = CalibrationGenerator(power=1).fit(features - 1, labels)
    np.testing.assert_allclose(fitted.means_[0], (features - 1)[labels == 2].mean(0), rtol=1e-5)


def test_a_base_class_of_one_example_lends_its_mean_alone() -> None:
    features = np.array([[0, 0], [1, 1], [40, 0], [41, 4]], np.float32)
    fitted = CalibrationGenerator(n_nearest=1, alpha=0, power=1).fit(features, [0, 1, 2, 2])
    made, _ = fitted.generate(np.array([[3.0, 3.0]]), [5], 4)
    np.testing.assert_allclose(made[1:], np.full((3, 2), 2.0), rtol=1e-6)


def test_settings_and_features_without_meaning_are_refused(base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = base
    with pytest.raises(InputError, match="only 4 base classes"):
        CalibrationGenerator(n_nearest=5).fit(features, labels)
    for power in (0, -1, np.nan, np.inf, "0.5"):
        with pytest.raises(InputError, match=r"power=.* must be a finite number above 0"):
            CalibrationGenerator(power=power).fit(features, labels)
    for alpha in (-0.1, np.nan, np.inf, None):
        with pytest.raises(InputError, match=r"alpha=.* must be a finite number of at least 0"):
            CalibrationGenerator(alpha=alpha).fit(features, labels)
    fitted = CalibrationGenerator().fit(features, labels)
    with pytest.raises(InputError, match="shots have negative values, but the base features had none"):
        fitted.generate(-features[:2], labels[:2], 5)
