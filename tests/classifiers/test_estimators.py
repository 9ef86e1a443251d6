"""Claims that hold for every registered classifier."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS
from tests.classifiers.problems import build, problem

NAMES = CLASSIFIERS.names()
EPISODIC = [name for name in NAMES if getattr(CLASSIFIERS.get(name), "trained_on_episodes", False)]
every_classifier = pytest.mark.parametrize("name", NAMES)


# No check is expected to fail.
@parametrize_with_checks([build(name) for name in NAMES])
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def run(name, p):
    return build(name).fit_base(*p.base).fit_novel(*p.novel)


@every_classifier
def test_columns_are_base_classes_then_novel_ones(name):
    p = problem()
    classifier = run(name, p)
    assert classifier.classes_.tolist() == [0, 2, 4, 6, 8, 1, 3, 5]
    assert classifier.n_base_classes_ == 5
    assert classifier.scores(p.queries[0]).shape == (32, 8)


@every_classifier
def test_it_recognises_base_and_novel_classes_together(name):
    p = problem(dim=20, n_shots=5, noise=0.3)
    queries, labels = p.queries
    assert np.mean(run(name, p).predict(queries) == labels) > 0.8


#: Features of a network that ends in a ReLU, of one that does not, and ones that are never positive.
KINDS = {"relu": lambda X: np.maximum(X, 0), "any sign": lambda X: X, "negative": lambda X: -np.maximum(X, 0) - 1}


@every_classifier
@pytest.mark.parametrize("kind", list(KINDS))
def test_features_of_either_kind_are_recognised_and_a_file_of_them_predicts_alike(name, kind, tmp_path):
    p = moved(problem(dim=20, n_shots=5, noise=0.3), KINDS[kind])
    queries, labels = p.queries
    fitted = run(name, p)
    scores = fitted.scores(queries)
    assert np.isfinite(scores).all()
    assert np.mean(fitted.predict(queries) == labels) > 0.8
    save_classifier(fitted, tmp_path / "fitted.safetensors")
    assert np.array_equal(load_classifier(tmp_path / "fitted.safetensors").scores(queries), scores)


@every_classifier
def test_base_classes_alone_can_be_scored(name):
    p = problem(dim=20, noise=0.3)
    X, y = p.base
    assert np.mean(build(name).fit_base(X, y).predict(X) == y) > 0.8


@every_classifier
@pytest.mark.parametrize(
    "shape",
    [
        {"n_shots": 1},
        {"n_base": 1},
        {"n_novel": 1},
        {"n_base": 1, "n_novel": 1, "per_base": 1, "n_shots": 1},
        {"dim": 1},
        {"dim": 40, "per_base": 2, "n_shots": 1},
        {"per_base": 1, "n_shots": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:.*has learned nothing")
def test_small_problems_give_finite_scores(name, shape, dtype):
    p = problem(**shape, dtype=dtype)
    scores = run(name, p).scores(p.queries[0])
    assert np.isfinite(scores).all()
    assert scores.shape[1] == len(set(p.base[1])) + len(set(p.novel[1]))


@every_classifier
@pytest.mark.parametrize("phases", ["base and novel", "alone"])
def test_features_that_are_all_zero_give_finite_scores(name, phases):
    X, y = np.zeros((6, 4)), np.array([0, 0, 0, 1, 1, 1])
    classifier = build(name)
    if phases == "alone":
        classifier.fit(X, y)
    else:
        classifier.fit_base(X, y).fit_novel(X[:1], [2])
    assert np.isfinite(classifier.scores(np.vstack([X, np.ones((1, 4))]))).all()


@every_classifier
def test_one_zero_feature_among_others_gives_finite_scores(name):
    p = problem()
    p.base[0][0] = p.novel[0][0] = p.queries[0][0] = 0
    p.base[0][:, 1] = 0  # a feature that is zero in the base classes and not in the novel ones
    assert np.isfinite(run(name, p).scores(p.queries[0])).all()


@every_classifier
def test_a_single_class_is_always_predicted(name):
    X, y = problem().base
    classifier = build(name).fit(X, np.full(len(y), 7))
    assert set(classifier.predict(X)) == {7}


@every_classifier
def test_copies_do_not_disturb_each_other_or_what_they_share(name):
    p, q = problem(), problem(seed=1, n_novel=2)
    known = build(name).fit_base(*p.base)
    alone = known.scores(p.queries[0])
    one = copy.copy(known).fit_novel(*p.novel)
    before = one.scores(p.queries[0])
    two = copy.copy(known).fit_novel(*q.novel)
    assert np.array_equal(one.scores(p.queries[0]), before)
    assert np.array_equal(known.scores(p.queries[0]), alone)
    assert np.array_equal(two.scores(p.queries[0]), run(name, p._replace(novel=q.novel)).scores(p.queries[0]))


@every_classifier
def test_refitting_equals_a_fresh_fit(name):
    p, q = problem(), problem(seed=1, n_base=3, n_novel=2)
    used = run(name, p)
    assert np.array_equal(
        used.fit_base(*q.base).fit_novel(*q.novel).scores(q.queries[0]), run(name, q).scores(q.queries[0])
    )
    assert np.array_equal(used.fit(*q.base).scores(q.queries[0]), build(name).fit(*q.base).scores(q.queries[0]))


@every_classifier
def test_it_does_not_touch_its_input(name):
    p = problem()
    arrays = [array for part in p for array in part]
    copies = [array.copy() for array in arrays]
    run(name, p).scores(p.queries[0])
    assert all(np.array_equal(array, before) for array, before in zip(arrays, copies))
    for array in arrays:
        array.flags.writeable = False
    run(name, p).scores(p.queries[0])


@every_classifier
@pytest.mark.parametrize("n_shots", [1, 2])  # numpy calls a single row contiguous in either direction
def test_features_with_negative_strides_give_the_same_scores(name, n_shots):
    p = problem(n_novel=1, n_shots=n_shots, dtype=np.float32)
    reversed_ = [(X[::-1].copy()[::-1], y) for X, y in p]
    expected, scores = run(name, p).scores(p.queries[0]), run(name, type(p)(*reversed_)).scores(reversed_[2][0])
    assert all(X.strides[0] < 0 for X, _ in reversed_)
    assert np.allclose(scores, expected, rtol=1e-4, atol=1e-5)
    one = reversed_[2][0][:1]
    assert np.isfinite(run(name, p).scores(one[::-1])).all()


@every_classifier
def test_the_same_seed_gives_the_same_bits(name):
    p = problem()
    first, second = (run(name, p).scores(p.queries[0]) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(clone(run(name, p)).fit_base(*p.base).fit_novel(*p.novel).scores(p.queries[0]), first)


@every_classifier
def test_a_calibration_bias_shifts_novel_scores_and_nothing_else(name, tmp_path):
    p, q = problem(), problem(seed=1, n_novel=2)
    known = build(name).fit_base(*p.base)
    plain = copy.copy(known).fit_novel(*p.novel)
    shifted = plain.with_calibration_bias(2.5)
    before, after = (one.scores(p.queries[0]) for one in (plain, shifted))
    assert np.array_equal(after[:, :5], before[:, :5])
    assert np.allclose(after[:, 5:], before[:, 5:] + 2.5)
    assert after.dtype == before.dtype
    assert np.array_equal(plain.scores(p.queries[0]), before)  # the original does not change
    assert np.isin(plain.with_calibration_bias(1e6).predict(p.queries[0]), p.novel[1]).all()
    # It remains for the next draw of shots and in a file, until the base classes are learned again.
    assert np.allclose(
        known.with_calibration_bias(2.5).fit_novel(*q.novel).scores(q.queries[0])[:, 5:],
        copy.copy(known).fit_novel(*q.novel).scores(q.queries[0])[:, 5:] + 2.5,
    )
    save_classifier(shifted, tmp_path / "shifted.safetensors")
    assert np.array_equal(load_classifier(tmp_path / "shifted.safetensors").scores(p.queries[0]), after)
    assert not hasattr(shifted.fit_base(*p.base), "novel_bias_")
    with pytest.raises(InputError, match="bias=nan"):
        plain.with_calibration_bias(float("nan"))
    with pytest.raises(NotFittedError):
        build(name).with_calibration_bias(1.0)


#: Classifiers whose result depends neither on a random draw nor on the order of a support set.
EXACT = ["gaussian", "gaussian_text", "nearest_mean", "ridge", "teen"]


@pytest.mark.parametrize("name", EXACT)
def test_scores_do_not_depend_on_the_order_of_examples_or_classes(name):
    p = problem()
    rng = np.random.default_rng(0)
    renamed = rng.permutation(10)
    orders = [rng.permutation(len(part[1])) for part in (p.base, p.novel)]
    base, novel = ((X[order], renamed[y[order]]) for (X, y), order in zip((p.base, p.novel), orders))
    plain, moved = run(name, p), run(name, p._replace(base=base, novel=novel))
    columns = [moved.classes_.tolist().index(renamed[label]) for label in plain.classes_]
    assert np.allclose(plain.scores(p.queries[0]), moved.scores(p.queries[0])[:, columns])


#: Parameters with which these do not depend on a random draw: they take no steps, or all steps to the optimum.
STEPLESS = {
    "gaussian": {},
    "gaussian_kernel": {"n_base_examples": None},
    "gaussian_text": {},
    "gaussian_cosine": {"n_steps": 0},
    "nearest_mean": {},
    "ridge": {},
    "teen": {},
    "cosine": {"n_steps": 0, "fine_tune_steps": 0},
    "logistic": {"solver": "lbfgs", "weight_decay": 0.1},
    "prototypical": {"n_episodes": 0},
    "prototypical_hallucination": {"n_episodes": 0, "n_augmented": 0},
    "weight_generator": {"n_episodes": 0, "n_steps": 0},
}
without_steps = pytest.mark.parametrize("name", list(STEPLESS))


def stepless(name, p):
    return build(name).set_params(**STEPLESS[name]).fit_base(*p.base).fit_novel(*p.novel)


def moved(p, move):
    return type(p)(*((move(X), y) for X, y in p))


@without_steps
def test_renaming_and_so_reordering_the_classes_renames_the_predictions(name):
    p = problem()
    renamed = np.random.default_rng(1).permutation(10)
    q = p._replace(base=(p.base[0], renamed[p.base[1]]), novel=(p.novel[0], renamed[p.novel[1]]))
    assert np.array_equal(renamed[stepless(name, p).predict(p.queries[0])], stepless(name, q).predict(p.queries[0]))


@pytest.mark.parametrize("name", sorted(STEPLESS.keys() - {"logistic"}))  # whose penalty has the features' unit
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_features_in_another_unit_give_the_same_predictions(name, scale):
    p = problem()
    q = moved(p, lambda X: X * scale)
    assert np.array_equal(stepless(name, p).predict(p.queries[0]), stepless(name, q).predict(q.queries[0]))


@without_steps
def test_rotated_features_give_the_same_predictions(name):
    p = problem()
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    q = moved(p, lambda X: X @ rotation)
    assert np.array_equal(stepless(name, p).predict(p.queries[0]), stepless(name, q).predict(q.queries[0]))


#: Those to which two equal shots are no better evidence than one.
COUNTLESS = [name for name in sorted(STEPLESS) if not name.startswith("gaussian")]


@pytest.mark.parametrize("name", COUNTLESS)
def test_giving_every_example_twice_changes_nothing(name):
    p = problem()
    twice = p._replace(
        base=(np.repeat(p.base[0], 2, axis=0), np.repeat(p.base[1], 2)),
        novel=(np.repeat(p.novel[0], 2, axis=0), np.repeat(p.novel[1], 2)),
    )
    once, again = (stepless(name, q).scores(p.queries[0]) for q in (p, twice))
    assert np.allclose(once, again, atol=1e-4)


@every_classifier
def test_one_shot_of_more_classes_than_there_are_features_is_recognised(name):
    """Twelve directions of a plane; the base classes are six of them."""
    angles = np.arange(12) * np.pi / 6
    circle = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rng = np.random.default_rng(0)
    base = np.repeat(circle[::2], 30, axis=0) + 0.1 * rng.normal(size=(180, 2)), np.repeat(np.arange(6), 30)
    known = build(name)
    if "lr" in known.get_params() and name == "logistic":
        known.set_params(lr=1.0, n_steps=2000, weight_decay=0.0)
    fitted = known.fit_base(*base).fit_novel(circle[1::2], np.arange(6, 12))
    assert np.mean(fitted.predict(circle) == np.array([0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])) > 0.7


@pytest.mark.parametrize("name", EXACT)
def test_float32_features_give_nearly_the_float64_scores(name):
    p = problem()
    single = p._replace(base=(p.base[0].astype("f4"), p.base[1]), novel=(p.novel[0].astype("f4"), p.novel[1]))
    exact, rounded = run(name, p).scores(p.queries[0]), run(name, single).scores(p.queries[0].astype("f4"))
    assert rounded.dtype == np.float32
    assert np.allclose(exact, rounded, rtol=1e-3, atol=1e-3)


class TestBadInput:
    """Bad input raises scikit-learn's exceptions, or a ValueError that says what to do."""

    @every_classifier
    def test_before_fitting(self, name):
        with pytest.raises(NotFittedError):
            build(name).predict(np.zeros((1, 2)))
        with pytest.raises(ValueError, match="call fit_base before fit_novel"):
            build(name).fit_novel(np.zeros((1, 2)), [0])

    @every_classifier
    def test_the_wrong_width(self, name):
        p = problem()
        known = build(name).fit_base(*p.base)
        with pytest.raises(ValueError, match="expecting 6 features"):
            known.fit_novel(p.novel[0][:, :4], p.novel[1])
        with pytest.raises(ValueError, match="expecting 6 features"):
            known.scores(p.queries[0][:, :4])

    @every_classifier
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_feature_that_is_no_number(self, name, value):
        p = problem()
        bad = p.base[0].copy()
        bad[3, 1] = value
        for fit in (build(name).fit, build(name).fit_base):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                fit(bad, p.base[1])
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            run(name, p).predict(bad)

    @every_classifier
    def test_a_novel_label_that_is_a_base_class(self, name):
        p = problem()
        with pytest.raises(ValueError, match=r"\[4\] are base classes already"):
            build(name).fit_base(*p.base).fit_novel(p.novel[0], np.where(p.novel[1] == 1, 4, p.novel[1]))

    @every_classifier
    @pytest.mark.parametrize("text", ["base", "novel"])
    def test_labels_of_two_kinds(self, name, text):
        p = problem()
        known = build(name).fit_base(p.base[0], p.base[1].astype(str) if text == "base" else p.base[1])
        with pytest.raises(InputError, match="give both phases labels of one kind"):
            known.fit_novel(p.novel[0], p.novel[1].astype(str) if text == "novel" else p.novel[1])

    @pytest.mark.parametrize("fit", ["fit", "fit_base"])
    @pytest.mark.parametrize(
        ("name", "parameter", "value"),
        [
            *[
                (name, parameter, value)
                for name in EPISODIC
                for parameter, value in [
                    ("n_episodes", -1),
                    ("n_queries", 0),
                    ("episodes_per_step", 0),
                    ("decay_every", 0),
                    ("checkpoint_every", 0),
                    ("n_shots", (0, 1)),
                ]
            ],
            ("matching_network", "n_support", 0),
            ("cosine", "n_steps", -1),
            ("cosine", "fine_tune_steps", -1),
            ("cosine", "batch_size", 0),
            ("ridge", "alpha", np.inf),
            ("ridge", "alpha", np.nan),
            ("ridge", "alpha", 0.0),
            ("logistic", "weight_decay", -1e-3),
            ("logistic", "n_steps", -1),
            ("logistic", "batch_size", 0),
        ],
    )
    def test_a_parameter_out_of_range(self, name, parameter, value, fit):
        classifier = build(name).set_params(**{parameter: value})
        with pytest.raises(InputError, match=f"^{parameter}="):
            getattr(classifier, fit)(*problem().base)
        assert not hasattr(classifier, "classes_")

    @every_classifier
    def test_no_examples(self, name):
        p = problem()
        nothing = np.zeros((0, 6)), np.zeros(0, int)
        for fit in (build(name).fit, build(name).fit_base, build(name).fit_base(*p.base).fit_novel):
            with pytest.raises(ValueError, match="0 sample"):
                fit(*nothing)

    @every_classifier
    def test_as_many_labels_as_examples(self, name):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            build(name).fit(np.zeros((3, 2)), [0, 1])
