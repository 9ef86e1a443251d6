from __future__ import annotations

import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.hallucination import inspection


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


@pytest.mark.parametrize("n_held_out", [0, 1])
def test_a_class_without_spread_has_no_numbers_and_leaves_the_others_theirs(n_held_out: int) -> None:
    held_out = np.arange(6.0)[:, None]
    features, labels = np.array([[0.0], [0], [1], [1]]), np.array([0, 1, 0, 1])
    both = inspection.held_out_spread(
        features, labels, 2, np.concatenate([held_out, held_out[:n_held_out]]), [0] * 6 + [1] * n_held_out
    )
    alone = inspection.held_out_spread(features[labels == 0], [0, 0], 1, held_out, [0] * 6)
    assert both.classes.tolist() == [0, 1]
    for name in ("covered_by_shots", "covered", "variance_ratio", "precision"):
        values = getattr(both, name)
        assert values[0] == getattr(alone, name)[0]
        assert np.isnan(values[1])


def test_no_features_are_refused() -> None:
    with pytest.raises(InputError, match="non-empty"):
        inspection.nearest_real(np.eye(2), np.eye(2)[:0])
