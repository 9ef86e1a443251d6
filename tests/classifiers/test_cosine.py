from __future__ import annotations

import numpy as np
import pytest

from lowshot.classifiers.cosine import Cosine
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.errors import InputError
from tests.classifiers.problems import problem


def test_imprinted_and_not_trained_it_is_the_nearest_mean_by_cosine():
    p = problem()
    imprinted = Cosine(n_steps=0, scale=4.0).fit_base(*p.base).fit_novel(*p.novel)
    nearest = NearestMean("cosine").fit_base(*p.base).fit_novel(*p.novel)
    assert np.allclose(imprinted.scores(p.queries[0]), 4 * nearest.scores(p.queries[0]))


def test_a_novel_class_gets_the_normalised_mean_of_its_normalised_shots():
    shots = np.array([[3.0, 0.0], [0.0, 0.2]])
    classifier = Cosine("l2", n_steps=0).fit_base([[-1.0, 0.0], [0.0, -1.0]], [0, 1]).fit_novel(shots, [2, 2])
    assert np.allclose(classifier.coef_[2], [0.5**0.5, 0.5**0.5])


def cross_entropy(scores, columns):
    return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(columns)), columns])


def test_training_lowers_the_cross_entropy_and_learns_the_scale():
    X, y = problem(n_base=8, noise=1.0).base
    untrained, trained = (Cosine(n_steps=n).fit_base(X, y) for n in (0, 200))
    assert cross_entropy(trained.scores(X), y // 2) < cross_entropy(untrained.scores(X), y // 2) - 0.05
    assert trained.scale_ != untrained.scale_
    assert np.allclose(np.linalg.norm(trained.coef_, axis=1), 1)


def test_novel_weights_do_not_disturb_the_base_weights():
    p = problem()
    known = Cosine(n_steps=20).fit_base(*p.base)
    before = known.scores(p.queries[0])
    assert np.allclose(known.fit_novel(*p.novel).scores(p.queries[0])[:, :5], before)


def test_fine_tuning_improves_the_class_balanced_loss():
    p = problem(noise=1.0, n_shots=3)

    def loss(steps):
        classifier = Cosine(n_steps=0, fine_tune_steps=steps).fit_base(*p.base).fit_novel(*p.novel)
        columns = [np.searchsorted(classifier.classes_[:5], p.base[1]), 5 + p.novel[1] // 2]
        parts = [cross_entropy(classifier.scores(X), c) for X, c in zip((p.base[0], p.novel[0]), columns)]
        return 5 / 8 * parts[0] + 3 / 8 * parts[1]

    assert loss(100) < loss(0) - 0.05


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    X, y = problem().base
    first, again, other = (Cosine(n_steps=20, random_state=seed).fit_base(X, y).coef_ for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_features_that_are_not_normalised_are_refused():
    with pytest.raises(InputError, match="feature_transform='none'"):
        Cosine("none").fit(*problem().base)
