from __future__ import annotations

import copy
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers import Cosine, Gaussian, Logistic, NearestMean, Ridge
from lowshot.errors import InputError
from lowshot.recogniser.leave_one_out import content_digests, evenly_chosen, leave_one_out, numbered_in_class
from tests.classifiers.problems import problem
from tests.reference import leave_one_out as reference

CLOSED = [
    NearestMean(),
    NearestMean("euclidean"),
    NearestMean("cosine", "none"),
    NearestMean("euclidean", "l2"),
    Ridge(0.3),
    Ridge(1.0, "balanced"),
    Gaussian(),
    Gaussian("none", 0.6, predictive=True),
    Gaussian("l2", 0.05),
]
closed = pytest.mark.parametrize("classifier", CLOSED, ids=str)


def unequal(seed, sizes, dim):
    """Shots of classes of these sizes, in random order."""
    p = problem(n_base=4, n_novel=len(sizes), dim=dim, n_shots=max(sizes), seed=seed, noise=0.8)
    X, y = p.novel
    kept = np.concatenate([np.flatnonzero(y == 2 * i + 1)[:n] for i, n in enumerate(sizes)])
    kept = np.random.default_rng(seed).permutation(kept)
    return p.base, X[kept], y[kept]


@closed
@settings(deadline=None, max_examples=6)
@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5).filter(lambda n: sum(n) > len(n) + 1),
    dim=st.sampled_from([3, 9, 40]),
    beside_base=st.booleans(),
)
def test_closed_forms_are_refits_without_each_shot(classifier, seed, sizes, dim, beside_base):
    base, X, y = unequal(seed, sizes, dim)
    fitted = copy.copy(classifier).fit_base(*base).fit_novel(X, y) if beside_base else copy.copy(classifier).fit(X, y)
    left_out = leave_one_out(fitted, X, y)
    expected = reference.scores(fitted, X, y)
    assert left_out.method == "leave-one-out"
    known = np.isfinite(expected)
    assert np.array_equal(known, np.isfinite(left_out.scores))
    scale = max(1.0, np.abs(expected[known]).max())
    np.testing.assert_allclose(left_out.scores[known] / scale, expected[known] / scale, atol=1e-6)


@closed
def test_closed_forms_hold_for_more_shots_than_dimensions(classifier):
    base, X, y = unequal(0, [30, 25, 1, 17], 5)
    for fitted in (copy.copy(classifier).fit(X, y), copy.copy(classifier).fit_base(*base).fit_novel(X, y)):
        left_out, expected = leave_one_out(fitted, X, y), reference.scores(fitted, X, y)
        known = np.isfinite(expected)
        np.testing.assert_allclose(left_out.scores[known], expected[known], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "classifier",
    [Cosine(), Logistic("lbfgs"), Gaussian(shrinkage="oas"), Ridge(class_weight=None), Gaussian()],
    ids=str,
)
def test_other_classifiers_are_fitted_without_a_shot_of_each_class(classifier):
    _, X, y = unequal(1, [3, 2, 1, 1], 6)
    if isinstance(classifier, Gaussian) and classifier.shrinkage != "oas":
        X, y = X[np.unique(y, return_index=True)[1]], np.unique(y)  # no variance within classes is left
    left_out = leave_one_out(classifier.fit(X, y), X, y)
    assert left_out.method.endswith("-fold")
    counts = {label: (y == label).sum() for label in y}
    for row, (scores, label, known) in enumerate(zip(left_out.scores, y, left_out.known)):
        assert known == (counts[label] > 1)
        assert np.isfinite(scores[left_out.columns[row]]) == known
        assert np.isfinite(scores).any()


def test_folds_leave_out_the_row_that_they_score():
    _, X, y = unequal(2, [4, 3, 2], 5)
    far = np.array(X)
    far[0] += 100
    same = leave_one_out(Cosine(n_steps=0, feature_transform="l2").fit(X, y), X, y)
    moved = leave_one_out(Cosine(n_steps=0, feature_transform="l2").fit(far, y), far, y)
    fold = numbered_in_class(X, y) % 4 == (numbered_in_class(X, y) % 4)[0]
    assert np.array_equal(same.scores[fold][1:].shape, moved.scores[fold][1:].shape)
    expected = Cosine(n_steps=0, feature_transform="l2").fit(np.delete(X, 0, 0), np.delete(y, 0))
    if fold.sum() == 1:
        np.testing.assert_allclose(moved.scores[0], expected.scores(far[:1])[0])


def test_the_bias_of_novel_classes_is_in_the_scores():
    base, X, y = unequal(3, [3, 3], 6)
    fitted = NearestMean().fit_base(*base).fit_novel(X, y)
    plain, biased = leave_one_out(fitted, X, y), leave_one_out(fitted.with_calibration_bias(0.5), X, y)
    np.testing.assert_allclose(biased.scores[:, 4:] - plain.scores[:, 4:], 0.5, rtol=1e-6)
    assert np.array_equal(biased.scores[:, :4], plain.scores[:, :4])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99))
def test_the_choice_of_rows_follows_their_content_and_not_their_order(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 7)).astype(np.float32)
    order = rng.permutation(50)
    chosen, shuffled = evenly_chosen(X, 20), evenly_chosen(X[order], 20)
    assert len(chosen) == 20
    assert sorted(map(tuple, X[chosen])) == sorted(map(tuple, X[order][shuffled]))
    assert len(np.unique(content_digests(X))) == 50


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.full((4, 3), np.nan), [0, 0, 1, 1], "row 0 holds NaN"),
        (np.ones((4, 2)), [0, 0, 1, 1], "2 dimensions where 3 are expected"),
        (np.ones((4, 3)), [0, 0, 1, 2], "not the 2 novel classes"),
        (np.ones((4, 3)), list("aabb"), "not the 2 novel classes"),
        (np.ones((4, 3)), [0, 0, 1], "one label each"),
    ],
)
def test_other_shots_are_refused(X, y, message):
    fitted = NearestMean().fit(np.eye(4, 3), [0, 0, 1, 1])
    with pytest.raises(InputError, match=message):
        leave_one_out(fitted, X, y)


@pytest.mark.parametrize("classifier", [NearestMean(), Ridge(), Gaussian(), Cosine(), Logistic("lbfgs")], ids=str)
@pytest.mark.parametrize("X", [np.zeros((6, 4)), np.ones((6, 4))], ids=["zeros", "constant"])
def test_features_that_say_nothing_give_finite_scores(classifier, X):
    y = np.array([0, 0, 0, 1, 1, 1])
    left_out = leave_one_out(classifier.fit(X, y), X, y)
    assert np.isfinite(left_out.scores).all()


@pytest.mark.parametrize("classifier", [NearestMean(), Ridge(), Gaussian(), Cosine(), Logistic("lbfgs")], ids=str)
def test_one_class_is_scored(classifier):
    X = np.random.default_rng(0).normal(size=(4, 3))
    left_out = leave_one_out(classifier.fit(X, np.zeros(4, int)), X, np.zeros(4, int))
    assert left_out.scores.shape == (4, 1)
    assert left_out.known.all()
    assert np.isfinite(left_out.scores).all()


def test_the_cost_is_bounded():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 32)).astype(np.float32)
    y = np.repeat(np.arange(4000), 5)
    fitted = NearestMean().fit(X, y)
    start = time.perf_counter()
    left_out = leave_one_out(fitted, X, y)
    assert len(left_out.rows) == 250
    assert time.perf_counter() - start < 2
