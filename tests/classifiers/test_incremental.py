"""Adding and removing classes gives what learning the remaining ones at once gives."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS
from tests.classifiers.problems import build, problem

NAMES = CLASSIFIERS.names()
every_classifier = pytest.mark.parametrize("name", NAMES)

#: Parameters with which a classifier goes on from what it learned, beside base classes and without any.
FROM_SUMS = {
    "beside base classes": {
        "nearest_mean": {},
        "ridge": {},
        "gaussian": {},
        "gaussian_text": {},
        "gaussian_cosine": {"n_steps": 0},
        "teen": {},
        "cosine": {"fine_tune_steps": 0},
        "prototypical": {},
        "prototypical_hallucination": {},
        "weight_generator": {},
        "prototype_matching": {"contextual": False},
        "matching_network": {"contextual": False},
    },
    "alone": {
        "nearest_mean": {"feature_transform": "l2"},
        "ridge": {},
        "gaussian": {"feature_transform": "none"},
        "gaussian_text": {"feature_transform": "none"},
        "gaussian_cosine": {"feature_transform": "l2"},
        "teen": {"feature_transform": "l2"},
        "cosine": {"fine_tune_steps": 0, "feature_transform": "l2"},
        "prototypical": {"feature_transform": "l2"},
        "prototypical_hallucination": {"feature_transform": "l2"},
        "weight_generator": {"feature_transform": "l2"},
        "prototype_matching": {"feature_transform": "l2"},
        "matching_network": {},
    },
}
CASES = [(phases, name) for phases, of in FROM_SUMS.items() for name in of]
#: These can also remove a class without being shown the others.
FORGETS = [
    (phases, name)
    for phases, name in CASES
    if name != "ridge"
    and (phases, name) not in [("alone", of) for of in ("gaussian", "gaussian_text", "gaussian_cosine")]
]

P = problem(n_novel=6, n_shots=4, dim=8)
UNEQUAL = np.concatenate([np.flatnonzero(P.novel[1] == label)[: 1 + i % 4] for i, label in enumerate(range(1, 12, 2))])
SHOTS = P.novel[0][UNEQUAL], P.novel[1][UNEQUAL]


def of(labels):
    rows = np.isin(SHOTS[1], labels)
    return SHOTS[0][rows], SHOTS[1][rows]


def start(name, phases, **params):
    classifier = build(name).set_params(**params)
    return classifier.fit_base(*P.base) if phases == "beside base classes" else classifier


def learned_at_once(known, labels):
    fresh = copy.copy(known)
    return fresh.fit_novel(*of(labels)) if known.__dict__.get("n_base_classes_") else fresh.fit(*of(labels))


def same(one, other, **tolerance):
    assert one.classes_.tolist() == other.classes_.tolist()
    np.testing.assert_allclose(one.scores(P.queries[0]), other.scores(P.queries[0]), **tolerance)


@pytest.mark.parametrize(("phases", "name"), CASES)
@settings(deadline=None, max_examples=8)
@given(order=st.permutations([1, 3, 5, 7, 9, 11]), cuts=st.sets(st.integers(1, 5), min_size=1, max_size=3))
def test_classes_added_in_any_order_give_what_all_at_once_gives(phases, name, order, cuts):
    known = start(name, phases, **FROM_SUMS[phases][name])
    groups = [group.tolist() for group in np.split(np.array(order), sorted(cuts))]
    grown = learned_at_once(known, groups[0])
    for group in groups[1:]:
        grown.add_classes(*of(group))
    same(grown, learned_at_once(known, order), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("phases", "name"), FORGETS)
def test_a_removed_class_is_as_one_that_never_was(phases, name):
    known = start(name, phases, **FROM_SUMS[phases][name])
    shrunk = learned_at_once(known, [1, 3, 5, 7, 9]).remove_classes([9, 3])
    same(shrunk, learned_at_once(known, [1, 5, 7]), rtol=1e-5, atol=1e-6)
    same(shrunk.add_classes(*of([3])), learned_at_once(known, [1, 3, 5, 7]), rtol=1e-5, atol=1e-6)


@every_classifier
@pytest.mark.parametrize("phases", list(FROM_SUMS))
def test_with_the_shots_every_classifier_adds_and_removes_to_the_bit(name, phases):
    known = start(name, phases)
    grown = learned_at_once(known, [1, 5]).add_classes(*of([3]), shots=of([1, 5]))
    again = (np.concatenate(pair) for pair in zip(of([1, 5]), of([3])))
    fresh = copy.copy(known)
    expected = fresh.fit_novel(*again) if phases == "beside base classes" else fresh.fit(*again)
    assert np.array_equal(grown.scores(P.queries[0]), expected.scores(P.queries[0]))
    assert grown.classes_.tolist()[-3:] == [1, 3, 5]
    for shots in (of([1, 3, 5]), of([1, 5])):
        shrunk = copy.copy(grown).remove_classes([3], shots=shots)
        assert np.array_equal(shrunk.scores(P.queries[0]), learned_at_once(known, [1, 5]).scores(P.queries[0]))


@every_classifier
def test_add_classes_to_base_classes_is_fit_novel_and_can_be_undone(name):
    known = start(name, "beside base classes")
    before = known.scores(P.queries[0])
    grown = copy.copy(known).add_classes(*of([1, 3]))
    assert np.array_equal(grown.scores(P.queries[0]), learned_at_once(known, [1, 3]).scores(P.queries[0]))
    grown.remove_classes([1, 3])
    assert grown.classes_.tolist() == known.classes_.tolist()
    np.testing.assert_allclose(grown.scores(P.queries[0]), before, rtol=1e-6)


@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0, 5: 0.5}])
@pytest.mark.parametrize("phases", list(FROM_SUMS))
@pytest.mark.parametrize("n_shots", [2, 30])
def test_sums_of_ridge_follow_the_class_weight(class_weight, phases, n_shots):
    p = problem(n_novel=4, n_shots=n_shots, dim=7)
    some, rest = np.isin(p.novel[1], [1, 7]), np.isin(p.novel[1], [3, 5])
    known = CLASSIFIERS.build("ridge", class_weight=class_weight)
    if phases == "beside base classes":
        known.fit_base(*p.base)
    grown, whole = copy.copy(known), copy.copy(known)
    rows = np.flatnonzero(some)[1:]  # unequal classes
    X, y = np.concatenate([p.novel[0][rows], p.novel[0][rest]]), np.concatenate([p.novel[1][rows], p.novel[1][rest]])
    if phases == "alone":
        grown.fit(p.novel[0][rows], p.novel[1][rows]).add_classes(p.novel[0][rest], p.novel[1][rest])
        whole.fit(X, y)
    else:
        grown.fit_novel(p.novel[0][rows], p.novel[1][rows]).add_classes(p.novel[0][rest], p.novel[1][rest])
        whole.fit_novel(X, y)
    np.testing.assert_allclose(grown.scores(p.queries[0]), whole.scores(p.queries[0]), atol=1e-9)


@pytest.mark.parametrize("name", ["ridge", "nearest_mean", "gaussian"])
def test_a_loaded_classifier_goes_on(name, tmp_path):
    known = start(name, "beside base classes").fit_novel(*of([1, 3]))
    save_classifier(known, tmp_path / "known.safetensors")
    loaded = load_classifier(tmp_path / "known.safetensors").add_classes(*of([5]))
    assert np.array_equal(loaded.scores(P.queries[0]), known.add_classes(*of([5])).scores(P.queries[0]))


def test_a_thirteenth_class_that_would_be_forgotten_is_warned_of():
    known = start("nearest_mean", "beside base classes").fit_novel(*of([1, 3]))
    with pytest.warns(UserWarning, match=r"replaces the novel classes \[1, 3\].*add_classes adds to them"):
        copy.copy(known).fit_novel(*of([5]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.copy(known).fit_novel(*of([1, 3, 5]))  # the second way out: all of them
        copy.copy(known).add_classes(*of([5]))
        start("nearest_mean", "beside base classes").fit_novel_runs([of([1]), of([3])], [0, 1])


def test_text_labels_are_added_in_order():
    X, y = np.eye(4), np.array(["bee", "ant"])
    known = CLASSIFIERS.build("ridge").fit(X[:2], y).add_classes(X[2:], ["cat", "aphid"])
    assert known.classes_.tolist() == ["ant", "aphid", "bee", "cat"]
    assert known.predict(X).tolist() == ["bee", "ant", "cat", "aphid"]


class Memory(LowShotClassifier):
    """One of a plug-in, which knows nothing of added classes."""

    def _fit_base(self, X, codes):
        self.base_ = (X, codes)

    def _fit_novel(self, X, codes):
        base, base_codes = self.base_ if self.n_base_classes_ else (X[:0], codes[:0])
        self.seen_, self.codes_ = np.vstack([base, X]), np.concatenate([base_codes, codes + self.n_base_classes_])

    def _scores(self, X):
        distances = ((X[:, None] - self.seen_) ** 2).sum(2)
        return -np.stack([distances[:, self.codes_ == c].min(1) for c in range(len(self.classes_))], 1)


def test_a_classifier_of_a_plug_in_learns_its_novel_classes_again():
    known = Memory().fit_base(*P.base).fit_novel(*of([1, 5]))
    with pytest.raises(InputError, match=r"needs the shots of all of them: add_classes\(X, y, shots="):
        known.add_classes(*of([3]))
    assert known.classes_.tolist()[-2:] == [1, 5]
    known.add_classes(*of([3]), shots=of([1, 5]))
    assert known.predict(SHOTS[0][:3]).tolist() == SHOTS[1][:3].tolist()
    with pytest.raises(InputError, match=r"remove_classes\(labels, shots="):
        known.remove_classes([3])
    assert known.remove_classes([3], shots=of([1, 3, 5])).classes_.tolist()[-2:] == [1, 5]
    with pytest.raises(InputError, match="copy the classifier after fit_base"):
        known.remove_classes([1, 5])


@every_classifier
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.add_classes(*of([1])), r"\[1\] are classes already.*remove_classes"),
        (lambda c: c.add_classes(P.base[0], P.base[1]), r"\[0, 2, 4, 6, 8\] are classes already"),
        (lambda c: c.add_classes(SHOTS[0][:1], ["new"]), "labels of one kind"),
        (lambda c: c.add_classes(SHOTS[0][:1, :3], [99]), "expecting 8 features"),
        (lambda c: c.add_classes(*of([5]), shots=of([1])), r"no example of \[3\]"),
        (lambda c: c.add_classes(*of([5]), shots=of([1, 3, 7])), r"labels \[7\], which are no novel classes"),
        (lambda c: c.remove_classes([4]), r"\[4\] are base classes"),
        (lambda c: c.remove_classes([4, 99]), r"\[4\] are base classes"),
        (lambda c: c.remove_classes([99]), r"no novel class \[99\], only \[1, 3\]"),
        (lambda c: c.remove_classes(["1"]), "labels of one kind"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(name, call, message):
    known = start(name, "beside base classes").fit_novel(*of([1, 3]))
    before = known.scores(P.queries[0])
    with pytest.raises(ValueError, match=message):
        call(known)
    assert np.array_equal(known.scores(P.queries[0]), before)


def test_the_last_class_remains():
    with pytest.raises(InputError, match="at least one class must remain"):
        CLASSIFIERS.build("nearest_mean").fit(np.eye(2), [0, 1]).remove_classes([0, 1])
