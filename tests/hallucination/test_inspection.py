from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.errors import InputError
from lowshot.hallucination import inspection
from tests.reference import generated as reference

SEEDS = st.integers(0, 2**32 - 1)


def problem(seed: int, n_classes: int = 4, n_held_out: int = 9) -> tuple[np.ndarray, ...]:
    """Features and labels of a few classes that overlap, with held-out ones of these and of two more."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes + 2, 3))
    labels = np.repeat(np.arange(n_classes), 4)
    held_out_labels = np.repeat(np.arange(n_classes + 2), n_held_out)
    features = centres[labels] + rng.normal(size=(len(labels), 3))
    return features, labels, centres[held_out_labels] + rng.normal(size=(len(held_out_labels), 3)), held_out_labels


def test_the_nearest_real_feature_is_the_nearest() -> None:
    rng = np.random.default_rng(0)
    generated, real = rng.normal(size=(7, 3)), rng.normal(size=(11, 3))
    rows, distances = inspection.nearest_real(generated, real)
    every = np.linalg.norm(generated[:, None] - real, axis=2)
    np.testing.assert_array_equal(rows, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1))


def test_a_plane_is_shown_as_it_is() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(30, 2)) * [5, 1]
    turned = flat @ np.linalg.qr(rng.normal(size=(4, 4)))[0][:2]
    shown = inspection.project(turned[:5], turned[5:9], turned[9:])
    assert [len(part) for part in (shown.real, shown.generated, shown.held_out)] == [5, 4, 21]
    assert shown.explained.sum() == pytest.approx(1)
    together = np.concatenate([shown.real, shown.generated, shown.held_out])
    np.testing.assert_allclose(
        np.linalg.norm(together[:, None] - together, axis=2), np.linalg.norm(flat[:, None] - flat, axis=2)
    )
    assert len(inspection.project(turned[:5], turned[:0], turned[5:]).generated) == 0


def test_features_that_are_the_held_out_ones_cover_all_and_far_ones_nothing() -> None:
    rng = np.random.default_rng(0)
    held_out = rng.normal(size=(40, 3))
    labels = np.repeat([0, 1], 20)
    shots = held_out[[0, 20]] + 1e3
    made = np.concatenate([held_out[:20], held_out[20:] + 1e3])
    spread = inspection.held_out_spread(
        np.concatenate([shots, made]), np.concatenate([[0, 1], labels]), 2, held_out, labels
    )
    assert spread.classes.tolist() == [0, 1]
    assert spread.covered_by_shots.tolist() == [0, 0]
    assert spread.covered.tolist() == [1, 0]
    assert spread.precision.tolist() == [1, 0]
    assert spread.variance_ratio == pytest.approx([1, 1])


def test_a_held_out_example_with_a_feature_in_its_neighbourhood_is_covered() -> None:
    held_out = np.array([[0.0], [1], [2], [10]])  # with one neighbour the balls reach 1, 1, 1 and 8
    features = np.array([[0.5], [3.0]])
    spread = inspection.held_out_spread(features, [7, 7], 1, held_out, [7] * 4, n_neighbours=1)
    assert spread.covered_by_shots.tolist() == [0.5]
    assert spread.covered.tolist() == [1.0]
    assert spread.precision.tolist() == [1.0]
    assert spread.variance_ratio.tolist() == [0.0]


def test_without_generated_features_only_the_shots_cover() -> None:
    held_out = np.arange(6.0)[:, None]
    spread = inspection.held_out_spread(held_out[:1], [0], 1, held_out, [0] * 6)
    assert spread.covered == spread.covered_by_shots
    assert np.isnan([spread.variance_ratio, spread.precision]).all()


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_features_of_another_class_cover_what_the_reference_says(seed: int) -> None:
    features, labels, held_out, held_out_labels = problem(seed)
    spread = inspection.held_out_spread(features, labels, 4, held_out, held_out_labels)
    each = reference.covered_by_each_other_class(features, labels, held_out, held_out_labels)
    np.testing.assert_allclose(spread.covered_by_others, [np.mean(each[label]) for label in spread.classes])
    own = [reference.covered(held_out[held_out_labels == c], features[labels == c]) for c in spread.classes]
    np.testing.assert_allclose(spread.covered, own)


def test_of_many_other_classes_a_few_are_tried_that_differ() -> None:
    features, labels, held_out, held_out_labels = problem(0, n_classes=12)
    spread = inspection.held_out_spread(features, labels, len(features), held_out, held_out_labels)
    each = reference.covered_by_each_other_class(features, labels, held_out, held_out_labels)
    for label, found in zip(spread.classes, spread.covered_by_others):
        shares = np.sort(each[label])
        assert shares[: inspection.OTHERS].mean() <= found + 1e-12
        assert found <= shares[-inspection.OTHERS :].mean() + 1e-12


def test_a_class_alone_has_no_others() -> None:
    held_out = np.arange(6.0)[:, None]
    spread = inspection.held_out_spread(held_out[:1], [0], 1, held_out, [0] * 6)
    assert np.isnan(spread.covered_by_others).all()


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_features_land_in_the_classes_that_the_reference_says(seed: int) -> None:
    features, labels, real, real_labels = problem(seed)
    nearest, _ = inspection.nearest_real(features, real)
    found = inspection.landing(labels, real_labels[nearest])
    expected = reference.landing(features, labels, real, real_labels)
    assert found.classes.tolist() == list(expected)
    np.testing.assert_allclose(np.stack([found.own, found.novel, found.base], axis=1), list(expected.values()))
    np.testing.assert_allclose(found.own + found.novel + found.base, 1)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_features_are_worth_what_the_reference_says(seed: int) -> None:
    given_features = problem(seed)
    expected = reference.worth(*given_features)
    assert inspection.worth_in_images(*given_features) == pytest.approx(expected if expected > 0 else np.inf)


@pytest.mark.parametrize("n_shots", [1, 5, 20])
def test_real_shots_are_worth_their_number_and_copies_of_them_no_more(n_shots: int) -> None:
    rng = np.random.default_rng(0)
    centres, scale = rng.normal(size=(40, 60)), rng.uniform(0.1, 2, 60)
    labels, held_out_labels = np.repeat(np.arange(40), n_shots), np.repeat(np.arange(40), 30)
    shots = centres[labels] + scale * rng.normal(size=(len(labels), 60))
    held_out = centres[held_out_labels] + scale * rng.normal(size=(len(held_out_labels), 60))
    worth = inspection.worth_in_images(shots, labels, held_out, held_out_labels)
    assert worth == pytest.approx(n_shots, rel=0.1)
    twice = inspection.worth_in_images(np.tile(shots, (2, 1)), np.tile(labels, 2), held_out, held_out_labels)
    assert twice == pytest.approx(worth)


def test_means_that_cannot_be_closer_are_worth_any_number_and_a_class_without_spread_counts_for_none() -> None:
    held_out = np.arange(6.0)[:, None]
    assert inspection.worth_in_images(held_out.mean(keepdims=True), [0], held_out, [0] * 6) == np.inf
    assert np.isnan(inspection.worth_in_images([[1.0]], [0], held_out[:1], [0]))
    assert np.isnan(inspection.worth_in_images([[1.0]], [0], held_out[:1].repeat(3, axis=0), [0] * 3))


@pytest.mark.parametrize("n_held_out", [0, 1])
def test_a_class_without_spread_has_no_numbers_and_leaves_the_others_theirs(n_held_out: int) -> None:
    held_out = np.arange(6.0)[:, None]
    features, labels = np.array([[0.0], [0], [1], [1]]), np.array([0, 1, 0, 1])
    both = inspection.held_out_spread(
        features, labels, 2, np.concatenate([held_out, held_out[:n_held_out]]), [0] * 6 + [1] * n_held_out
    )
    alone = inspection.held_out_spread(features[labels == 0], [0, 0], 1, held_out, [0] * 6)
    assert both.classes.tolist() == [0, 1]
    # Features of the other class cover whatever they cover: they are no shots of the class alone.
    assert np.isfinite(both.covered_by_others[0])
    assert np.isnan(both.covered_by_others[1])
    for name in ("covered_by_shots", "covered", "variance_ratio", "precision"):
        values = getattr(both, name)
        assert values[0] == getattr(alone, name)[0]
        assert np.isnan(values[1])


def test_no_features_are_refused() -> None:
    with pytest.raises(InputError, match="non-empty"):
        inspection.nearest_real(np.eye(2), np.eye(2)[:0])
