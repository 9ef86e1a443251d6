from __future__ import annotations

import numpy as np
import pytest

import lowshot.classifiers  # noqa: F401 (registers them all)
from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS
from tests.classifiers.problems import problem


class Memory(LowShotClassifier):
    """Scores by the nearest example of a class, and stores all examples."""

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
    with pytest.warns(UserWarning, match=r"replaces the novel classes \[1, 5\]"):
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


@pytest.mark.parametrize("name", ["nearest_mean", "ridge", "gaussian", "cosine", "logistic", "prototypical"])
@pytest.mark.parametrize("n_shots", [1, 3])
def test_tasks_scored_together_are_the_novel_columns_of_each_alone(name: str, n_shots: int) -> None:
    params = {
        "logistic": {"n_steps": 15, "batch_size": 20},
        "cosine": {"n_steps": 5},
        "prototypical": {"n_episodes": 3},
    }
    rng = np.random.default_rng(4)
    base_labels = np.repeat([3, 5, 9], 8)
    base = (rng.normal(size=(3, 6))[[0, 1, 2]].repeat(8, 0) + rng.normal(size=(24, 6))).astype(np.float32)
    known = CLASSIFIERS.build(name, **params.get(name, {})).fit_base(base, base_labels)
    shots = rng.normal(size=(4, 5, n_shots, 6)).astype(np.float32)
    queries = rng.normal(size=(4, 7, 6)).astype(np.float32)
    scores = known.scores_of_episodes(shots, queries, [1, 2, 3, 4])
    assert scores.shape == (4, 7, 5)
    labels = np.repeat([10, 11, 12, 13, 14], n_shots)
    for task in range(4):
        [alone] = known.fit_novel_runs([(shots[task].reshape(-1, 6), labels)], [task + 1])
        np.testing.assert_allclose(scores[task], alone.scores(queries[task])[:, 3:], rtol=1e-4, atol=1e-5)
    assert known.classes_.tolist() == [3, 5, 9]


def test_a_task_of_a_matching_network_has_its_own_shots_as_support() -> None:
    rng = np.random.default_rng(0)
    base, labels = rng.normal(size=(20, 4)).astype(np.float32), np.repeat(["a", "b"], 10)
    known = CLASSIFIERS.build("matching_network", n_episodes=3, n_support=4).fit_base(base, labels)
    shots, queries = rng.normal(size=(3, 2, 1, 4)).astype(np.float32), rng.normal(size=(3, 5, 4)).astype(np.float32)
    scores = known.scores_of_episodes(shots, queries, [0, 0, 0])
    np.testing.assert_allclose(np.exp(scores).sum(axis=2), 1, rtol=1e-5)  # probabilities of the two novel classes alone
    again = known.scores_of_episodes(shots[1:2], queries[1:2], [0])
    np.testing.assert_allclose(scores[1:2], again, rtol=1e-4, atol=1e-6)


def test_tasks_of_another_width_are_refused() -> None:
    known = CLASSIFIERS.build("nearest_mean").fit_base(np.eye(4), [0, 1, 2, 3])
    with pytest.raises(InputError, match="shots have 5"):
        known.scores_of_episodes(np.zeros((1, 2, 1, 5)), np.zeros((1, 3, 5)), [0])


def test_a_classifier_trained_on_episodes_has_the_parameters_of_its_stage() -> None:
    with pytest.raises(TypeError, match="Episodic is trained_on_episodes, but has no parameter random_state, checkpo"):

        class Episodic(LowShotClassifier):
            trained_on_episodes = True

            def __init__(self, pretrained: str | None = None) -> None:
                self.pretrained = pretrained


def test_a_parameter_named_pretrained_does_not_make_a_training() -> None:
    class Named(LowShotClassifier):
        def __init__(self, pretrained: str | None = None) -> None:
            self.pretrained = pretrained

    assert not Named.trained_on_episodes


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda X, n: np.zeros((len(X), n + 1)), r"float64 of shape \(32, 9\); expected numbers of shape \(32, 8\)"),
        (lambda X, n: np.zeros(len(X)), r"shape \(32,\); expected numbers of shape \(32, 8\), for 32 queries"),
        (lambda X, n: np.zeros((n, len(X))), r"shape \(8, 32\)"),
        (lambda X, n: np.zeros((len(X), n), complex), "complex128 of shape"),
        (lambda X, n: None, r"object of shape \(\)"),
        (lambda X, n: [["high"] * n] * len(X), "<U4 of shape"),
        (lambda X, n: [[0.0] * n, [0.0]], "a list that is no array"),
    ],
)
def test_scores_of_a_wrong_shape_are_refused_by_the_name_of_the_class(answer, message):
    class Odd(Memory):
        def _scores(self, X):
            return answer(X, len(self.classes_))

    p = problem()
    odd = Odd().fit_base(*p.base).fit_novel(*p.novel)
    for ask in (odd.scores, odd.predict, odd.decision_function, odd.predict_proba):
        with pytest.raises(InputError, match=f"classifier Odd: _scores returned .*{message}"):
            ask(p.queries[0])


def test_scores_of_episodes_of_a_wrong_shape_are_refused_too():
    class Odd(Memory):
        def _scores_of_episodes(self, runs, shots, queries):
            return [np.zeros((len(X), 3)) for X in queries]

    known = Odd().fit_base(*problem().base)
    with pytest.raises(InputError, match=r"classifier Odd: .*expected numbers of shape \(4, 2\)"):
        known.scores_of_episodes(np.zeros((1, 2, 1, 6)), np.zeros((1, 4, 6)), [0])
