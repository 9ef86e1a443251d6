from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lowshot.errors import InputError
from lowshot.recogniser import unknown_scores
from lowshot.recogniser.unknown import fit_unknown
from tests.recogniser.problems import Classes


def test_energy_and_highest_score_are_those_of_pytorch_ood():
    from pytorch_ood.detector import EnergyBased, MaxLogit

    scores = np.random.default_rng(0).normal(size=(20, 7))
    tensor = torch.from_numpy(scores)
    for t in (0.1, 1.0):
        np.testing.assert_allclose(unknown_scores.energy(scores, t), -EnergyBased.score(tensor, t=t).numpy())
    np.testing.assert_allclose(unknown_scores.highest_score(scores), -MaxLogit.score(tensor).numpy())


def test_relative_mahalanobis_is_that_of_pytorch_ood():
    from pytorch_ood.detector import RMD

    X, y = Classes(4).photos(60)
    X = X[:, :8]
    detector = RMD(None).fit_features(torch.from_numpy(X), torch.from_numpy(y))
    theirs = -detector.predict_features(torch.from_numpy(X)).numpy()
    ours = unknown_scores.relative_mahalanobis(X, X, y, shrinkage=0.0, unit=False)
    # Its covariances are sums of products where the paper has means.
    np.testing.assert_allclose(len(X) * theirs, ours, rtol=1e-3, atol=1e-3)


def test_the_nearest_shot_is_that_of_a_search():
    X, _ = Classes(4).photos(5)
    queries, _ = Classes(4, seed=1).photos(3)
    each = [max(q @ x / np.linalg.norm(q) / np.linalg.norm(x) for x in X) for q in queries]
    np.testing.assert_allclose(unknown_scores.nearest_shot(queries, X), each, rtol=1e-5)


@pytest.mark.parametrize("n_shots", [2, 3, 5, 10])
def test_the_threshold_keeps_the_stated_share_of_known_photos(n_shots):
    kept, passed, gaps = [], [], []
    for seed in range(8):
        classes = Classes(30, seed, noise=1.2)
        X, y = classes.photos(n_shots, np.arange(15))
        rule = fit_unknown(X, y, 0.9)
        kept.append(1 - rule.is_unknown(classes.photos(20, np.arange(15))[0]).mean())
        passed.append(1 - rule.is_unknown(classes.photos(20, np.arange(15, 30))[0]).mean())
        gaps.append(rule.passed.value - passed[-1])
        assert rule.method == "leave-one-out"
        assert rule.kept.value == pytest.approx(0.9, abs=0.04)
    assert np.mean(kept) == pytest.approx(0.9, abs=0.05)
    assert abs(np.mean(gaps)) < 0.1


def test_known_photos_score_higher():
    classes = Classes(30, noise=1.0)
    rule = fit_unknown(*classes.photos(5, np.arange(15)))
    scores = [rule.scores(classes.photos(20, part)[0]) for part in (np.arange(15), np.arange(15, 30))]
    truth = np.repeat([1, 0], 300)
    assert roc_auc_score(truth, np.concatenate(scores)) > 0.95


def test_one_shot_a_class_has_a_threshold_by_the_spread_of_other_classes():
    X, y = Classes(10).photos(1)
    rule = fit_unknown(X, y)
    assert rule.method == "one shot a class"
    assert rule.kept.total == 0
    assert rule.passed.total == 10
    assert -1 < rule.threshold < 1


def test_a_given_threshold_has_its_rates():
    X, y = Classes(5).photos(5)
    assert fit_unknown(X, y, threshold=-1).kept.value == 1
    assert fit_unknown(X, y, threshold=1).kept.value == 0
    assert fit_unknown(X, y, threshold=0.2).method == "given"


def test_photos_of_base_classes_are_known():
    classes = Classes(10, noise=0.3)
    X, y = classes.photos(5, np.arange(5))
    others, _ = classes.photos(20, np.arange(5, 10))
    means = classes.means[5:] + 0.5
    alone, beside = fit_unknown(X, y), fit_unknown(X, y, base_means=np.maximum(means, 0))
    assert alone.is_unknown(others).mean() > 0.9
    assert beside.is_unknown(others).mean() < 0.1


@pytest.mark.parametrize("X", [np.zeros((6, 3)), np.ones((6, 3)), np.eye(6, 3)], ids=["zeros", "constant", "axes"])
@pytest.mark.parametrize("y", [[0] * 6, [0, 0, 0, 1, 1, 1], list(range(6))], ids=["one class", "two", "single shots"])
def test_features_that_say_nothing_have_a_threshold_too(X, y):
    rule = fit_unknown(X, y)
    assert np.isfinite(rule.threshold)
    assert rule.is_unknown(X).shape == (6,)


@pytest.mark.parametrize(("keep", "threshold"), [(0, None), (1, None), (0.9, 2), ("0.9", None), (0.9, np.nan)])
def test_impossible_numbers_are_refused(keep, threshold):
    X, y = Classes(3).photos(3)
    with pytest.raises(InputError, match=r"keep=|threshold="):
        fit_unknown(X, y, keep, threshold=threshold)


def test_damaged_shots_are_refused():
    with pytest.raises(InputError, match="row 0 holds NaN"):
        fit_unknown(np.full((2, 2), np.nan), [0, 1])
    with pytest.raises(InputError, match="dimensions"):
        fit_unknown(*Classes(3).photos(3)).scores(np.ones((2, 3)))


@pytest.mark.parametrize("n_shots", [1, 4])
def test_a_chosen_threshold_is_a_cosine_also_where_classes_are_nearly_one(n_shots):
    """Alike classes with an odd one: the mean and 1.9 deviations, or the growth by one more shot, pass 1."""
    rng = np.random.default_rng(0)
    means = np.ones((6, 20)) + 1e-3 * rng.normal(size=(6, 20))
    means[0] = rng.random(20)
    X = np.repeat(means, n_shots, axis=0) + 1e-4 * rng.normal(size=(6 * n_shots, 20))
    found = fit_unknown(X.astype(np.float32), np.repeat(np.arange(6), n_shots))
    assert 0.9 < found.threshold <= 1
