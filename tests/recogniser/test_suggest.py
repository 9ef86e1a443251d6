from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers import NearestMean
from lowshot.classifiers.transforms import unit_rows
from lowshot.errors import InputError
from lowshot.recogniser import suggest as module
from lowshot.recogniser.calibration import calibrated
from lowshot.recogniser.leave_one_out import leave_one_out
from lowshot.recogniser.suggest import suggest
from tests.recogniser.problems import Classes


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), n=st.integers(1, 12))
def test_each_photo_is_the_one_that_raises_coverage_most(seed, n):
    X = np.random.default_rng(seed).normal(size=(40, 6)).astype(np.float32)
    U = unit_rows(X - X.mean(axis=0, dtype=np.float64)).astype(np.float32)
    similar = np.maximum(U @ U.T, 0)
    covered = np.zeros(40)
    chosen = suggest(X, n, same_picture=1.0)
    assert len(set(chosen.tolist())) == n
    for row in chosen:
        gains = np.maximum(similar - covered, 0).sum(axis=1)
        assert gains[row] == pytest.approx(gains.max(), rel=1e-4)
        covered = np.maximum(covered, similar[row])


def test_the_first_batch_covers_the_classes():
    X, y = Classes(10, noise=0.6).photos(20)
    assert len(set(y[suggest(X, 12)])) == 10


def test_fewer_labels_than_at_random_reach_an_accuracy():
    curves = {"random": [], "suggested": []}
    for seed in range(6):
        classes = Classes(12, seed, noise=2.2)
        pool, y = classes.photos(25)
        queries, truth = classes.photos(20)
        for name in curves:
            rng = np.random.default_rng(seed)
            labelled, curve = np.arange(12) * 25, []
            for _ in range(7):
                fitted = NearestMean().fit(pool[labelled], y[labelled])
                curve.append((fitted.predict(queries) == truth).mean())
                rest = np.setdiff1d(np.arange(len(y)), labelled)
                if name == "random":
                    more = rng.permutation(len(rest))[:12]
                else:
                    left_out = leave_one_out(fitted, pool[labelled], y[labelled])
                    more = suggest(pool[rest], 12, classifier=calibrated(fitted, left_out), shots=pool[labelled])
                labelled = np.concatenate([labelled, rest[more]])
            curves[name].append(curve)
    random, suggested = (np.mean(curves[name], axis=0) for name in ("random", "suggested"))
    assert suggested[1:].mean() > random[1:].mean()


def test_copies_and_labelled_photos_are_left_out():
    X = np.random.default_rng(0).normal(size=(10, 20)).astype(np.float32)
    pool = np.concatenate([X, X])
    chosen = suggest(pool, 20)
    assert sorted(chosen % 10) == list(range(10))
    assert not set(suggest(pool, 20, shots=X[:4]) % 10) & {0, 1, 2, 3}
    assert len(suggest(X, 5, shots=X)) == 0


def test_a_large_pool_is_represented_by_a_part_of_it(monkeypatch):
    monkeypatch.setattr(module, "MOST_PHOTOS", 50)
    X = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    chosen = suggest(X, 10)
    assert len(chosen) == 10
    order = np.random.default_rng(1).permutation(300)
    assert set(order[suggest(X[order], 10)].tolist()) == set(chosen.tolist())


@pytest.mark.parametrize("X", [np.zeros((5, 3)), np.ones((5, 3))], ids=["zeros", "constant"])
def test_features_that_say_nothing_still_give_photos(X):
    assert len(suggest(X, 3)) == 3


def test_mistakes_are_refused():
    X, _ = Classes(2).photos(3)
    for n in (0, -1, 1.5):
        with pytest.raises(InputError, match="n="):
            suggest(X, n)
    with pytest.raises(InputError, match="same_picture"):
        suggest(X, 1, same_picture=2)
    with pytest.raises(InputError, match="dimensions"):
        suggest(X, 1, shots=np.ones((2, 3)))
    with pytest.raises(InputError, match="NaN"):
        suggest(np.full((2, 2), np.nan), 1)
