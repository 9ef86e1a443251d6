from __future__ import annotations

import copy

import numpy as np
import pytest

from lowshot.classifiers import NearestMean
from lowshot.classifiers.transforms import unit_rows
from lowshot.errors import InputError
from lowshot.recogniser.base_bias import choose_base_bias, from_head, mean_after_relu
from lowshot.recogniser.leave_one_out import leave_one_out
from tests.recogniser.problems import Classes


def test_the_classes_of_a_head_are_compared_by_cosine_to_its_centred_weights():
    rng = np.random.default_rng(0)
    W, centre, X = rng.normal(size=(8, 5)), rng.normal(size=5), rng.normal(size=(20, 5))
    fitted = from_head(W, list("abcdefgh"), centre)
    directions = unit_rows(W - W.mean(axis=0))
    expected = unit_rows(X - centre) @ unit_rows(directions - directions.mean(axis=0)).T
    np.testing.assert_allclose(fitted.scores(X), expected, atol=1e-6)
    assert fitted.n_base_classes_ == 8


@pytest.mark.parametrize("upper", [None, 6.0])
def test_the_mean_after_a_relu_is_that_of_samples(upper):
    rng = np.random.default_rng(0)
    weight, bias = np.array([1.0, -2.0, 0.5, 0.0, 4.0]), np.array([0.0, 1.0, -1.0, 2.0, 5.0])
    samples = np.maximum(bias + np.abs(weight) * rng.normal(size=(200_000, 5)), 0)
    expected = (samples if upper is None else np.minimum(samples, upper)).mean(axis=0)
    np.testing.assert_allclose(mean_after_relu(weight, bias, upper), expected, atol=0.03)


def joint(seed, n_novel, n_shots):
    """Base classes by their means alone, as a head has them, and shots of novel ones."""
    classes = Classes(40 + n_novel, seed, noise=1.2)
    base, novel = np.arange(40), np.arange(40, 40 + n_novel)
    centre = classes.photos(5)[0].mean(axis=0)
    fitted = from_head(classes.means[base], base, centre)
    shots = classes.photos(n_shots, novel)
    return classes, fitted, copy.copy(fitted).fit_novel(*shots), shots


@pytest.mark.parametrize("n_novel", [1, 5, 15])
@pytest.mark.parametrize("n_shots", [1, 5])
def test_the_chosen_bias_keeps_most_photos_of_base_classes(n_novel, n_shots):
    lost, found, plain = [], [], []
    for seed in range(5):
        classes, alone, fitted, shots = joint(seed, n_novel, n_shots)
        bias = choose_base_bias(leave_one_out(fitted, *shots), 40)
        assert not bias.measured
        chosen = fitted.with_calibration_bias(bias.bias)
        X, y = classes.photos(10, np.arange(40))
        lost.append((alone.predict(X) == y).mean() - (chosen.predict(X) == y).mean())
        X, y = classes.photos(20, np.arange(40, 40 + n_novel))
        found.append((chosen.predict(X) == y).mean())
        plain.append((fitted.predict(X) == y).mean())
    assert np.mean(lost) < 0.1
    assert np.mean(found) > np.mean(plain) - 0.15


def test_a_higher_cost_gives_a_higher_bias():
    _, _, fitted, shots = joint(0, 5, 3)
    left_out = leave_one_out(fitted, *shots)
    biases = [choose_base_bias(left_out, 40, cost=cost).bias for cost in (0.01, 0.05, 0.3)]
    assert biases == sorted(biases)


def test_photos_of_base_classes_decide_where_there_are_some():
    classes, alone, fitted, shots = joint(1, 10, 3)
    X, y = classes.photos(25, np.arange(40))
    bias = choose_base_bias(leave_one_out(fitted, *shots), 40, cost=0.05, base_photos=(fitted.scores(X), y))
    after = fitted.with_calibration_bias(bias.bias - 1e-6).predict(X) == y
    lost = (alone.predict(X) == y).mean() - after.mean()
    assert bias.measured
    assert lost == pytest.approx(0.05, abs=0.003)


def test_mistakes_are_refused():
    with pytest.raises(InputError, match="as many different labels"):
        from_head(np.eye(3), ["a", "b", "a"], np.zeros(3))
    with pytest.raises(InputError, match="columns"):
        from_head(np.eye(3), ["a", "b", "c"], np.zeros(4))
    with pytest.raises(InputError, match="NaN"):
        from_head(np.eye(3), ["a", "b", "c"], np.full(3, np.nan))
    X, y = Classes(3).photos(2)
    with pytest.raises(InputError, match="between base and novel"):
        choose_base_bias(leave_one_out(NearestMean().fit(X, y), X, y), 0)
