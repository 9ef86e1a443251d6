from __future__ import annotations

import copy

import numpy as np
import pytest

from lowshot.classifiers.gaussian import Gaussian
from lowshot.classifiers.gaussian_text import GaussianText
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.errors import InputError
from tests.classifiers.problems import problem

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 8])


@pytest.fixture
def texts(tmp_path):
    """A stand-in for a text tower: the embedding of a class is its number's random vector."""
    embeddings = np.random.default_rng(5).normal(size=(8, 6))
    np.savez(tmp_path / "names.npz", labels=LABELS, embeddings=embeddings)
    return tmp_path / "names.npz", embeddings


def test_scores_are_those_of_gaussian_plus_the_weighted_cosines(texts):
    p = problem()
    path, embeddings = texts
    ours = GaussianText(text_embeddings=path, text_weight=7.0).fit_base(*p.base).fit_novel(*p.novel)
    plain = Gaussian().fit_base(*p.base).fit_novel(*p.novel)
    cosines = [
        [q @ t / np.linalg.norm(q) / np.linalg.norm(t) for t in embeddings[np.searchsorted(LABELS, ours.classes_)]]
        for q in p.queries[0]
    ]
    np.testing.assert_allclose(ours.scores(p.queries[0]) - plain.scores(p.queries[0]), 7 * np.array(cosines))


def test_without_a_file_it_is_gaussian():
    p = problem()
    ours, plain = (build().fit_base(*p.base).fit_novel(*p.novel) for build in (GaussianText, Gaussian))
    assert np.array_equal(ours.scores(p.queries[0]), plain.scores(p.queries[0]))


def test_a_name_helps_where_one_shot_says_little(tmp_path):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(20, 16))
    base = means[np.repeat(np.arange(10), 30)] + rng.normal(size=(300, 16)), np.repeat(np.arange(10), 30)
    shots, queries = (means[10:] + 2 * rng.normal(size=(10, 16)) for _ in range(2))
    np.savez(tmp_path / "names.npz", labels=np.arange(20), embeddings=means + 0.5 * rng.normal(size=(20, 16)))
    found = []
    for path in (None, tmp_path / "names.npz"):
        fitted = GaussianText("none", text_embeddings=path, text_weight=30.0).fit_base(*base)
        fitted.fit_novel(shots, np.arange(10, 20))
        found.append(np.mean(fitted.scores(queries)[:, 10:].argmax(axis=1) == np.arange(10)))
    assert found[1] > found[0]


@pytest.mark.parametrize("phases", ["beside base classes", "alone"])
def test_classes_are_added_with_their_names_and_a_file_of_it_needs_no_other(texts, tmp_path, phases):
    p = problem(n_shots=4)
    known = GaussianText("none", text_embeddings=texts[0])
    if phases == "beside base classes":
        known.fit_base(*p.base)
    some = p.novel[1] != 3
    grown, whole = copy.copy(known), copy.copy(known)
    fit = (lambda c, *data: c.fit_novel(*data)) if phases == "beside base classes" else (lambda c, *data: c.fit(*data))
    fit(grown, p.novel[0][some], p.novel[1][some]).add_classes(p.novel[0][~some], p.novel[1][~some])
    expected = fit(whole, *p.novel).scores(p.queries[0])
    np.testing.assert_allclose(grown.scores(p.queries[0]), expected, rtol=1e-6)
    save_classifier(grown, tmp_path / "c.safetensors")
    texts[0].unlink()
    loaded = load_classifier(tmp_path / "c.safetensors")
    assert np.array_equal(loaded.scores(p.queries[0]), grown.scores(p.queries[0]))


def test_labels_of_text_are_found_by_name(tmp_path):
    X, y = problem().base
    names = np.array(["ant", "bee", "cat", "dog", "eel"])
    np.savez(tmp_path / "names.npz", labels=names[::-1], embeddings=np.eye(6)[:5])
    fitted = GaussianText(text_embeddings=tmp_path / "names.npz").fit(X, names[y // 2])
    np.testing.assert_array_equal(fitted.texts_, np.eye(6)[[4, 3, 2, 1, 0]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "is no file of text embeddings"),
        ({"labels": LABELS}, "is no file of text embeddings"),
        ({"labels": LABELS[:7], "embeddings": np.ones((7, 6))}, "has no embedding of class 8"),
        ({"labels": LABELS, "embeddings": np.ones((8, 5))}, "5 numbers, and the features have 6"),
        ({"labels": LABELS, "embeddings": np.ones((7, 6))}, "a row for each of the 8 labels"),
        ({"labels": LABELS * 1.0, "embeddings": np.ones((8, 6))}, "texts or whole numbers"),
        ({"labels": LABELS // 2, "embeddings": np.ones((8, 6))}, "none of them twice"),
        ({"labels": LABELS, "embeddings": np.full((8, 6), np.nan)}, "NaN or infinity"),
        ({"labels": LABELS.astype(object), "embeddings": np.ones((8, 6))}, "is no file of text embeddings"),
    ],
)
def test_a_file_that_does_not_fit_is_named(arrays, message, tmp_path):
    if arrays is not None:
        np.savez(tmp_path / "names.npz", **arrays)
    with pytest.raises(InputError, match=message) as found:
        GaussianText(text_embeddings=tmp_path / "names.npz").fit_base(*problem().base)
    assert "names.npz" in str(found.value)


def test_a_negative_weight_is_refused():
    with pytest.raises(InputError, match=r"^text_weight="):
        GaussianText(text_weight=-1.0).fit_base(*problem().base)
