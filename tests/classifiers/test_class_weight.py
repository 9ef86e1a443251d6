"""Classes of unequal size weigh the same: as if the examples of the smaller ones were repeated."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.utils.class_weight import compute_class_weight

from lowshot.classifiers.class_weight import cumulative, draw_rows, example_weights
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS
from tests.classifiers.problems import build, problem

NAMES = CLASSIFIERS.names()
every_classifier = pytest.mark.parametrize("name", NAMES)
WEIGHING = ["ridge", "logistic"]

#: Parameters with which a fit is exact, so that its scores can be compared.
EXACT = {
    "ridge": {},
    "logistic": {"solver": "lbfgs", "weight_decay": 0.1},
    "nearest_mean": {},
    "gaussian": {"shrinkage": 0.3},
    "gaussian_kernel": {"shrinkage": 0.3, "n_base_examples": None},
    "gaussian_text": {"shrinkage": 0.3},
    "gaussian_cosine": {"shrinkage": 0.3, "n_steps": 0},
    "cosine": {"n_steps": 0, "fine_tune_steps": 0},
    "prototypical": {"n_episodes": 0},
    "matching_network": {},
    "prototype_matching": {"n_episodes": 0, "n_augmented": 0},
    "prototypical_hallucination": {"n_episodes": 0, "n_augmented": 0},
    "ranpac": {"alpha": 0.1},
    "teen": {},
    "wdae_gnn": {"n_episodes": 0, "n_steps": 0, "step": 1.0},
    "weight_generator": {"n_episodes": 0, "n_steps": 0},
}


def unequal(seed=0, **shape):
    """A problem whose first two base classes and first novel class have a fifth of the examples of the others."""
    p = problem(n_base=5, n_novel=4, per_base=20, n_shots=10, seed=seed, **shape)
    base = np.concatenate([np.flatnonzero(p.base[1] == c)[: 4 if c < 4 else 20] for c in range(0, 10, 2)])
    novel = np.setdiff1d(np.arange(40), np.flatnonzero(p.novel[1] == 1)[2:])
    return p._replace(base=(p.base[0][base], p.base[1][base]), novel=(p.novel[0][novel], p.novel[1][novel]))


def repeated(X, y):
    """The examples of each class again and again until every class has as many as the largest."""
    most = np.bincount(y).max()
    rows = np.concatenate([np.resize(np.flatnonzero(y == label), most) for label in np.unique(y)])
    return X[rows], y[rows]


@every_classifier
@pytest.mark.parametrize("phases", ["base and novel", "alone"])
def test_unequal_classes_are_as_repeated_examples(name, phases):
    p = unequal()
    fits = []
    for base, novel in ((p.base, p.novel), (repeated(*p.base), repeated(*p.novel))):
        classifier = build(name).set_params(**EXACT[name])
        if name == "matching_network":  # whose base support is a random draw
            classifier.set_params(n_support=20, n_episodes=0, contextual=False)
        fits.append(classifier.fit(*novel) if phases == "alone" else classifier.fit_base(*base).fit_novel(*novel))
    if name.startswith("gaussian"):  # more examples are better evidence of a mean, and of the size of the covariance
        assert np.mean(fits[0].predict(p.queries[0]) == fits[1].predict(p.queries[0])) > 0.95
    elif name == "matching_network" and phases != "alone":
        np.testing.assert_allclose(*(fit.predict_proba(p.queries[0]) for fit in fits), atol=0.05)
    else:
        proba = [fit.predict_proba(p.queries[0]) for fit in fits]
        np.testing.assert_allclose(*proba, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", WEIGHING)
@pytest.mark.parametrize("phases", ["base and novel", "alone"])
def test_every_example_weighs_the_same_on_request(name, phases):
    p = unequal()
    counts = dict(zip(*np.unique(np.concatenate([p.base[1], p.novel[1]]), return_counts=True)))
    found = {}
    for kind, weight in (("none", None), ("balanced", "balanced"), ("undone", {c: 1 / n for c, n in counts.items()})):
        classifier = build(name).set_params(**EXACT[name], class_weight=weight)
        fitted = classifier.fit(*p.novel) if phases == "alone" else classifier.fit_base(*p.base).fit_novel(*p.novel)
        found[kind] = fitted.scores(p.queries[0])
    assert not np.allclose(found["none"], found["balanced"], atol=1e-3)
    np.testing.assert_allclose(found["undone"], found["balanced"], atol=1e-5)  # 1/n each is what balanced means


def test_weights_are_those_of_scikit_learn():
    codes = np.repeat([0, 1, 2], [7, 2, 12])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=codes)
    np.testing.assert_allclose(example_weights("balanced", codes, [0, 1, 2]), expected)
    assert example_weights("auto", np.repeat([0, 1], 5), [0, 1]) is None
    assert example_weights(None, codes, [0, 1, 2]) is None
    given = example_weights({"b": 3.0}, codes, ["a", "b", "c"])
    np.testing.assert_allclose(given / given[0], [1, 3, 1])
    assert given[codes].mean() == pytest.approx(1)


@pytest.mark.parametrize(("sizes", "balanced"), [((732, 1300), False), ((10, 19), False), ((10, 20), True)])
def test_base_classes_of_similar_sizes_are_taken_as_the_paper_takes_them(sizes, balanced):
    codes = np.repeat([0, 1], sizes)
    assert (example_weights("auto", codes, [0, 1], base=True) is not None) == balanced
    assert example_weights("auto", codes, [0, 1]) is not None
    assert example_weights("balanced", codes, [0, 1], base=True) is not None


def test_rows_are_drawn_as_often_as_they_weigh():
    weights = np.array([0.5, 1.5, 1.0, 1.0])
    rows = draw_rows(np.random.default_rng(0), 4, 40_000, cumulative(weights))
    np.testing.assert_allclose(np.bincount(rows) / 10_000, weights, atol=0.03)
    equal = draw_rows(np.random.default_rng(0), 4, 100, None)
    assert np.array_equal(equal, np.random.default_rng(0).integers(4, size=100))


@pytest.mark.parametrize("gradient_every", [1, 5])
@pytest.mark.parametrize("batch_size", [16, 200])
@pytest.mark.parametrize("phases", ["base and novel", "alone", "base alone"])
def test_sgd_comes_to_the_balanced_optimum(gradient_every, batch_size, phases):
    p = unequal()
    fits = []
    for solver in ("sgd", "lbfgs"):
        params = {"batch_size": batch_size, "gradient_every": gradient_every, "precision": "float32"}
        params |= {"lr": 0.05, "n_steps": 1500} if batch_size > 100 else {"lr": 0.01, "n_steps": 5000}
        classifier = CLASSIFIERS.build("logistic", solver=solver, random_state=0, weight_decay=0.1, **params)
        if phases == "alone":
            classifier.fit(*p.novel)
        else:
            classifier.fit_base(*p.base)
        fits.append(classifier.fit_novel(*p.novel) if phases == "base and novel" else classifier)
    np.testing.assert_allclose(*(fit.predict_proba(p.queries[0]) for fit in fits), atol=0.04)


@pytest.mark.parametrize("name", WEIGHING)
def test_runs_of_other_sizes_trained_together_end_as_each_alone(name):
    p, q = unequal(), unequal(seed=1)
    known = build(name).fit_base(*p.base)
    together = known.fit_novel_runs([p.novel, q.novel], [3, 4])
    for run, (shots, seed) in zip(together, [(p.novel, 3), (q.novel, 4)]):
        [alone] = known.fit_novel_runs([shots], [seed])
        np.testing.assert_allclose(run.scores(p.queries[0]), alone.scores(p.queries[0]), rtol=1e-4, atol=1e-5)


@every_classifier
@pytest.mark.parametrize("phases", ["fit", "fit_base"])
def test_few_examples_of_some_digits_are_learned_beside_many_of_others(name, phases):
    """100 examples of five digits and 5 of the five others: how many of the small classes are recognised."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    found, reference = [], []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(y))
        train = np.concatenate([order[y[order] == c][: 100 if c < 5 else 5] for c in range(10)])
        small = np.setdiff1d(np.flatnonzero(y >= 5), train)
        params = (
            {"n_steps": 3000, "random_state": 0}
            if name == "logistic"
            else {"n_episodes": 30}
            if "n_way" in vars(build(name))
            else {}
        )
        classifier = CLASSIFIERS.build(name, **params)
        getattr(classifier, phases)(X[train], y[train])
        found.append(np.mean(classifier.predict(X[small]) == y[small]))
        theirs = LogisticRegression if name == "logistic" else RidgeClassifier
        theirs = theirs(class_weight="balanced").fit(X[train], y[train])
        reference.append(np.mean(theirs.predict(X[small]) == y[small]))
    assert np.mean(found) > 0.73
    assert np.mean(found) > np.mean(reference) - 0.02


@every_classifier
def test_a_class_weight_that_is_none_is_refused(name):
    if "class_weight" not in build(name).get_params():
        return
    for wrong, message in [
        ("equal", "class_weight='equal' is not one of its choices"),
        ({0: -1.0}, r"class_weight\[0\]=-1.0 must be a finite number above 0"),
    ]:
        with pytest.raises(InputError, match=message):
            build(name).set_params(class_weight=wrong).fit(*problem().base)


@pytest.mark.parametrize("name", WEIGHING)
def test_a_mapping_weighs_by_label_and_comes_back_from_a_file(name, tmp_path):
    p = problem(noise=1.5)
    fitted = build(name).set_params(class_weight={2: 1000.0}).fit(*p.base)
    assert np.mean(fitted.predict(p.base[0]) == 2) > np.mean(build(name).fit(*p.base).predict(p.base[0]) == 2) + 0.2
    save_classifier(fitted, tmp_path / "c.safetensors")
    assert load_classifier(tmp_path / "c.safetensors").class_weight == {2: 1000.0}


def test_parameters_at_their_default_are_not_recorded():
    assert "class_weight" in build("ridge").get_params()
    assert "class_weight" not in build("ridge").recorded_params()
    assert build("ridge").set_params(class_weight=None).recorded_params()["class_weight"] is None
    assert build("logistic").set_params(rescale_above=None).recorded_params()["rescale_above"] is None
