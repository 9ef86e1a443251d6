from __future__ import annotations

import numpy as np
import pytest

from lowshot.classifiers.base import LowShotClassifier
from tests.classifiers.problems import problem


class Memory(LowShotClassifier):
    """Scores by the nearest example seen of a class; keeps all it was shown."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def _fit_base(self, X, codes):
        self._base_seen_ = (X, codes)

    def _fit_novel(self, X, codes):
        parts = [getattr(self, "_base_seen_", (X[:0], codes[:0])), (X, codes + self.n_base_classes_)]
        self.seen_, self.codes_ = (np.concatenate(part) for part in zip(*parts))

    def _scores(self, X):
        distances = ((X[:, None] - self.seen_) ** 2).sum(2)
        return -np.stack([distances[:, self.codes_ == c].min(1) for c in range(len(self.classes_))], 1)


def test_columns_are_sorted_base_classes_then_sorted_novel_ones():
    p = problem()
    run = Memory().fit_base(*p.base).fit_novel(*p.novel)
    assert run.classes_.tolist() == [0, 2, 4, 6, 8, 1, 3, 5]
    assert run.n_base_classes_ == 5
    np.testing.assert_array_equal(run.predict(p.base[0]), p.base[1])
    np.testing.assert_array_equal(run.predict(p.novel[0]), p.novel[1])


def test_two_classes_have_two_scores_and_one_decision():
    X, y = np.array([[0.0], [1.0]]), np.array(["no", "yes"])
    run = Memory().fit(X, y)
    np.testing.assert_allclose(run.scores([[0.8]]), [[-(0.8**2), -(0.2**2)]], rtol=1e-6)
    np.testing.assert_allclose(run.decision_function([[0.8]]), [0.8**2 - 0.2**2], rtol=1e-6)
    assert run.predict([[0.8]]) == ["yes"]


def test_fit_alone_has_no_base_and_forgets_an_earlier_one():
    p = problem()
    run = Memory().fit_base(*p.base).fit(*p.novel)
    assert run.n_base_classes_ == 0
    assert run.classes_.tolist() == [1, 3, 5]
    assert len(run.seen_) == len(p.novel[0])
    with pytest.raises(ValueError, match="call fit_base before fit_novel"):
        run.fit_novel(*p.novel)


def test_a_second_call_replaces_the_novel_classes_of_the_first():
    p = problem()
    run = Memory().fit_base(*p.base).fit_novel(*p.novel)
    run.fit_novel(p.novel[0][p.novel[1] == 3], [3] * 2)
    assert run.classes_.tolist() == [0, 2, 4, 6, 8, 3]


def test_runs_share_the_base_and_have_their_own_seed_and_shots():
    p = problem()
    known = Memory().fit_base(*p.base)
    runs = known.fit_novel_runs([p.novel, (p.novel[0][:1], [99])], seeds=[5, 6])
    assert [run.random_state for run in runs] == [5, 6]
    assert runs[0]._base_seen_ is runs[1]._base_seen_
    assert runs[1].classes_.tolist() == [0, 2, 4, 6, 8, 99]
    assert known.random_state is None
    assert known.classes_.tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="longer"):
        known.fit_novel_runs([p.novel, p.novel], seeds=[1])


def test_a_label_is_base_or_novel():
    p = problem()
    with pytest.raises(ValueError, match=r"\[2, 4\] are base classes already"):
        Memory().fit_base(*p.base).fit_novel(np.ones((3, 6)), [2, 4, 9])
