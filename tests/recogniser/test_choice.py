from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lowshot.errors import InputError
from lowshot.recogniser.choice import choose_classifier
from lowshot.recogniser.estimate import accuracy_by_class, expected_accuracy, growth
from lowshot.recogniser.intervals import Share
from tests.recogniser.problems import Classes


def test_few_shots_take_the_default_and_say_so():
    X, y = Classes(4).photos(2)
    choice = choose_classifier(X, y)
    assert [row.chosen for row in choice.candidates] == [True]
    assert choice.candidates[0].name == "nearest_mean"
    assert "default" in choice.reason
    assert choice.classifier.temperature_ > 0


def test_ties_take_the_simplest():
    X, y = Classes(5, noise=0.1).photos(5)
    choice = choose_classifier(X, y)
    assert len(choice.candidates) == 3
    assert choice.candidates[0].chosen
    assert choice.accuracy.value == 1


def test_a_clearly_better_one_is_taken():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(6), 20)
    # One direction that says nothing and is far longer than the others misleads all that treat directions alike.
    X = np.hstack([np.eye(6)[y] + 0.15 * rng.normal(size=(120, 6)), 6 * rng.normal(size=(120, 1))])
    choice = choose_classifier(X, y, [("nearest_mean", {}), ("gaussian", {"feature_transform": "none"})])
    assert [row.chosen for row in choice.candidates] == [False, True]
    assert choice.candidates[1].gain > choice.candidates[1].gain_error > 0
    assert "gaussian answers" in choice.reason


def test_the_choice_is_reproducible_and_does_not_depend_on_the_order_of_shots():
    X, y = Classes(6, noise=1.5).photos(5)
    order = np.random.default_rng(1).permutation(len(y))
    one, same, other = choose_classifier(X, y), choose_classifier(X, y), choose_classifier(X[order], y[order])
    assert one.candidates == same.candidates
    assert [row.accuracy for row in one.candidates] == [row.accuracy for row in other.candidates]
    assert other.classifier.temperature_ == pytest.approx(one.classifier.temperature_, rel=1e-3)


def test_base_classes_are_learned_first():
    classes = Classes(9)
    base = classes.photos(20, np.arange(5))
    X, y = classes.photos(4, np.arange(5, 9))
    choice = choose_classifier(X, y, base=base)
    assert choice.classifier.n_base_classes_ == 5
    assert len(choice.classifier.classes_) == 9


def test_the_table_by_class_adds_up():
    X, y = Classes(5, noise=1.5).photos(6)
    choice = choose_classifier(X, y)
    each = accuracy_by_class(choice.classifier, choice.left_out)
    assert list(each) == [0, 1, 2, 3, 4]
    assert sum(share.count for share in each.values()) == choice.accuracy.count
    assert sum(share.total for share in each.values()) == choice.accuracy.total == 30


@pytest.mark.parametrize("n_shots", [2, 3, 5])
def test_the_expected_accuracy_is_that_of_new_photos(n_shots):
    gaps = []
    for seed in range(6):
        classes = Classes(20, seed, noise=2.0)
        choice = choose_classifier(*classes.photos(n_shots), [("nearest_mean", {})])
        queries, truth = classes.photos(20)
        gaps.append(choice.accuracy.value - (choice.classifier.predict(queries) == truth).mean())
    assert abs(np.mean(gaps)) < (0.12 if n_shots == 2 else 0.06)


def test_a_class_of_one_shot_has_no_accuracy():
    X, y = Classes(3).photos(3)
    rows = np.flatnonzero((y > 0) | (np.arange(9) == 0))
    choice = choose_classifier(X[rows], y[rows])
    each = accuracy_by_class(choice.classifier, choice.left_out)
    assert each[0] == Share(0, 0)
    assert str(each[0]) == "unknown"
    assert expected_accuracy(choice.classifier, choice.left_out).total == 6


@given(rho=st.floats(0.05, 0.95), n=st.integers(2, 30))
def test_the_growth_of_a_cosine_follows_from_the_mean_cosine_within_classes(rho, n):
    before, after = (rho / np.sqrt(rho + (1 - rho) / k) for k in (n - 1, n))
    factors = growth(np.full(4, before), np.full(4, n))
    np.testing.assert_allclose(factors, after / before, rtol=1e-6)


@given(total=st.integers(1, 500), data=st.data())
def test_the_interval_is_that_of_scipy(total, data):
    count = data.draw(st.integers(0, total))
    expected = binomtest(count, total).proportion_ci(method="wilson")
    np.testing.assert_allclose(Share(count, total).interval, (expected.low, expected.high), atol=1e-9)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [([], "no candidate"), ([("nearest_men", {})], "nearest_mean"), ([("ridge", {"a": 1})], "a")],
)
def test_impossible_candidates_are_refused(candidates, message):
    X, y = Classes(3).photos(3)
    with pytest.raises(InputError, match=message):
        choose_classifier(X, y, candidates)


def test_damaged_shots_are_refused():
    X, y = Classes(3).photos(3)
    X[1, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        choose_classifier(X, y)
