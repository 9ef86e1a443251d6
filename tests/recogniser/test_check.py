from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers import NearestMean
from lowshot.errors import InputError
from lowshot.recogniser.check import check_shots, confusions, doubtful_labels, near_duplicates
from lowshot.recogniser.leave_one_out import LeftOut
from tests.recogniser.problems import Classes


@pytest.mark.parametrize("n_shots", [5, 10, 20])
def test_most_flipped_labels_are_found_and_few_right_ones_doubted(n_shots):
    found, false = [], []
    for seed in range(6):
        X, y = Classes(12, seed, noise=1.2).photos(n_shots)
        rng = np.random.default_rng(seed)
        flipped = rng.permutation(len(y))[: len(y) // 10]
        given_ = y.copy()
        given_[flipped] = (y[flipped] + rng.integers(1, 12, len(flipped))) % 12
        doubted = doubtful_labels(X, given_)
        rows = {one.row for one in doubted}
        found.append(len(rows & set(flipped.tolist())) / len(flipped))
        false.append(len(rows - set(flipped.tolist())) / (len(y) - len(flipped)))
        assert all(one.label == given_[one.row] for one in doubted)
        assert [one.margin for one in doubted] == sorted((one.margin for one in doubted), reverse=True)
    assert np.mean(found) >= 0.8
    assert np.mean(false) <= 0.1


def test_right_labels_of_clear_classes_are_not_doubted():
    assert doubtful_labels(*Classes(8, noise=0.3).photos(6)) == []


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99))
def test_no_class_is_doubted_away(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(40, 5)), rng.integers(6, size=40)
    doubted = [one.row for one in doubtful_labels(X, y)]
    counts, lost = np.bincount(y, minlength=6), np.bincount(y[doubted], minlength=6)
    assert (lost <= counts // 2).all()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), copies=st.integers(1, 6))
def test_copies_are_grouped_with_their_originals(seed, copies):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 40)).astype(np.float32)
    sources = rng.permutation(30)[:copies]
    changed = X[sources] + 0.02 * rng.normal(size=(copies, 40)).astype(np.float32)
    groups = near_duplicates(np.concatenate([X, X[sources], changed]))
    assert sorted(groups) == sorted([int(s), 30 + i, 30 + copies + i] for i, s in enumerate(sources))


def test_findings_name_what_is_wrong():
    classes = Classes(6, noise=0.4)
    X, y = classes.photos(6)
    y[3], X[10], X[20] = 4, X[9], X[2]  # a wrong label; a copy of the same class, and one of another
    keep = np.flatnonzero((y != 5) | (np.arange(36) == 30))
    X, y = X[keep], y[keep]
    findings = check_shots(NearestMean().fit(X, y), X, y)
    assert [9, 10] in findings.duplicates
    assert [2, 20] in findings.duplicates_across
    assert {3, 20} <= {one.row for one in findings.doubtful}
    assert next(one for one in findings.doubtful if one.row == 3).suggestion == 0
    assert findings.few == {5: 1}
    assert findings.accuracy.total == 30
    assert findings.accuracy_by_class[5].total == 0
    assert findings.method == "leave-one-out"


def test_confused_classes_are_counted_both_ways():
    scores = np.zeros((6, 3))
    answers, columns = np.array([1, 0, 1, 1, 2, 0]), np.array([0, 1, 0, 1, 2, 2])
    scores[np.arange(6), answers] = 1
    left_out = LeftOut(np.array(["a", "b", "c"]), np.arange(6), columns, scores, np.full(6, 2), "leave-one-out")
    (pair,) = confusions(left_out)
    assert (pair.label, pair.other, pair.count, pair.total) == ("a", "b", 3, 4)
    assert len(confusions(left_out, 1)) == 2


@pytest.mark.parametrize("X", [np.zeros((6, 3)), np.ones((6, 3))], ids=["zeros", "constant"])
@pytest.mark.parametrize("y", [[0] * 6, [0, 0, 0, 1, 1, 1], list(range(6))], ids=["one class", "two", "single shots"])
def test_features_that_say_nothing_are_not_doubted(X, y):
    findings = check_shots(NearestMean().fit(X, y), X, y)
    assert findings.doubtful == []
    assert findings.duplicates == []


def test_mistakes_are_refused():
    X, y = Classes(3).photos(3)
    with pytest.raises(InputError, match="same_picture"):
        near_duplicates(X, 0)
    with pytest.raises(InputError, match="margin"):
        doubtful_labels(X, y, -1)
    with pytest.raises(InputError, match="NaN"):
        near_duplicates(np.full((3, 3), np.nan))
    with pytest.raises(InputError, match="one label each"):
        doubtful_labels(X, y[1:])
