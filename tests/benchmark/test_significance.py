"""The test of two methods holds its rate of errors with few draws, with and without effects of draws and classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.benchmark.significance import (
    LEVEL,
    holm,
    over_draws,
    over_draws_and_classes,
    over_draws_and_trainings,
    variance_components,
)
from tests.reference import significance as reference

REPEATS = 3000
# Three standard errors of a rate of 5 % over the repetitions.
NOISE = 3 * np.sqrt(LEVEL * (1 - LEVEL) / REPEATS)
EFFECTS = [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1), (0.3, 2, 0.3), (1, 1, 0.1)]
"""Standard deviations of the effects of draws and of classes, and of the noise."""


def crossed(draws, classes, effects, seed=0, repeats=REPEATS):
    """Differences of two methods that are equally good, (repeats, draws, classes)."""
    rng = np.random.default_rng(seed)
    of_draw, of_class, noise = effects
    return (
        rng.normal(0, of_draw, (repeats, draws, 1))
        + rng.normal(0, of_class, (repeats, 1, classes))
        + rng.normal(0, noise, (repeats, draws, classes))
    )


def one_group(values):
    classes = values.shape[-1]
    return over_draws_and_classes(values, np.full(classes, 10), np.zeros(classes, dtype=int))


def error_rate(means):
    return float((np.abs(means.mean) > means.half_width()).mean())


@pytest.mark.parametrize("draws", [2, 3, 5, 10])
@pytest.mark.parametrize("classes", [4, 10, 50])
@pytest.mark.parametrize("effects", EFFECTS)
def test_equal_methods_are_told_apart_in_at_most_five_per_cent(draws, classes, effects):
    assert error_rate(one_group(crossed(draws, classes, effects))) <= LEVEL + NOISE


@pytest.mark.parametrize("draws", [2, 5])
def test_the_rate_holds_for_two_groups_of_unequal_classes_whose_effects_cancel(draws):
    rng = np.random.default_rng(1)
    groups, queries = np.repeat([0, 1], [8, 20]), rng.integers(5, 60, 28)
    shift = np.where(groups == 0, 1, -queries[groups == 0].sum() / queries[groups == 1].sum())
    for effects in EFFECTS:
        means = over_draws_and_classes(crossed(draws, 28, effects) + 3 * shift, queries, groups)
        assert error_rate(means) <= LEVEL + 1.5 * NOISE


def test_over_draws_and_classes_has_the_power_that_few_draws_allow():
    values = crossed(5, 50, (0.1, 1, 1)) + 1
    means = one_group(values)
    assert (np.abs(means.mean) > means.half_width()).mean() > 0.98


def test_each_draw_and_class_as_an_observation_of_its_own_errs_far_more_often():
    for effects in EFFECTS[1:4]:
        values = crossed(5, 50, effects)
        flat = values.reshape(REPEATS, -1)
        assert error_rate(over_draws(flat)) > 4 * LEVEL


def test_draws_alone_err_where_classes_differ_and_classes_alone_where_draws_do():
    assert error_rate(over_draws(crossed(5, 50, (0, 1, 1)).mean(axis=2))) > 4 * LEVEL
    assert error_rate(over_draws(crossed(5, 50, (1, 0, 1)).mean(axis=1))) > 4 * LEVEL


def test_draws_alone_hold_their_rate_for_the_classes_that_were_measured():
    rate = error_rate(over_draws(crossed(3, 50, (1, 0, 1)).mean(axis=2)))
    assert abs(rate - LEVEL) <= NOISE


@pytest.mark.parametrize("trainings", [2, 3, 5])
def test_the_rate_holds_over_trainings_and_draws(trainings):
    for effects in EFFECTS:
        assert error_rate(over_draws_and_trainings(crossed(trainings, 5, effects))) <= LEVEL + NOISE


def test_a_further_source_widens_the_interval():
    means = one_group(crossed(5, 10, (1, 1, 1), repeats=20))
    wider = means.and_over(np.full(20, 0.5), np.full(20, 2))
    assert (wider.half_width() > means.half_width()).all()
    assert (wider.p_values() > means.p_values()).all()


@settings(deadline=None)  # the quantiles of t are integrated
@given(st.integers(2, 6), st.integers(2, 8), st.integers(0, 10**6))
def test_the_interval_is_that_of_the_sums_of_squares(draws, classes, seed):
    values = np.random.default_rng(seed).normal(size=(draws, classes)) + np.arange(classes) * (seed % 3)
    means = one_group(values[None])
    assert means.mean[0] == pytest.approx(values.mean(), abs=1e-12)
    assert means.half_width()[0] == pytest.approx(reference.crossed_half_width(values.tolist()), rel=1e-5)
    over_both = over_draws_and_trainings(values[None])
    assert over_both.half_width()[0] == pytest.approx(reference.crossed_half_width(values.tolist()), rel=1e-5)


@given(st.integers(2, 5), st.integers(2, 6), st.integers(0, 10**6))
def test_variance_components_solve_the_expected_mean_squares(rows, columns, seed):
    values = np.random.default_rng(seed).normal(size=(rows, columns)) + np.arange(rows)[:, None]
    assert variance_components(values) == pytest.approx(reference.components(values.tolist()), abs=1e-9)


def test_variance_components_are_those_the_values_were_drawn_with():
    many = [variance_components(one) for one in crossed(6, 8, (2, 1, 0.5), repeats=600)]
    assert np.mean(many, axis=0) == pytest.approx([4, 1, 0.25], rel=0.1)


def test_over_draws_is_the_paired_t_test():
    values = np.random.default_rng(0).normal(size=(1, 5))
    assert over_draws(values).half_width()[0] == pytest.approx(
        reference.paired_half_width(values[0].tolist()), rel=1e-6
    )


def test_the_interval_agrees_with_a_bootstrap_of_draws_and_classes_where_there_are_many():
    rng = np.random.default_rng(2)
    values = crossed(40, 60, (0.5, 1, 1), seed=3, repeats=1)[0]
    resampled = [values[rng.integers(0, 40, 40)][:, rng.integers(0, 60, 60)].mean() for _ in range(4000)]
    assert one_group(values[None]).half_width()[0] == pytest.approx(1.96 * np.std(resampled), rel=0.15)


def test_the_mean_is_that_over_all_queries():
    rng = np.random.default_rng(4)
    queries, right = np.array([3, 30, 12]), rng.integers(0, 3, (1, 4, 3))
    means = over_draws_and_classes(right / queries, queries, np.zeros(3, dtype=int))
    assert means.mean[0] == pytest.approx(right.sum() / (4 * queries.sum()))


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_an_interval_leaves_zero_out_where_its_p_value_is_below_the_level(seed):
    values = np.random.default_rng(seed).normal(0.5, 1, (30, 3, 6))
    means = one_group(values)
    assert ((means.p_values() < LEVEL) == (np.abs(means.mean) > means.half_width())).all()


def test_no_difference_has_p_one_and_a_constant_one_has_p_zero():
    means = one_group(np.stack([np.zeros((3, 4)), np.ones((3, 4))]))
    assert means.half_width().tolist() == [0, 0]
    p = means.p_values()
    assert p[0] == 1
    assert p[1] < 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_going_through_the_hypotheses_in_order_rejects(p_values, level):
    assert set(np.flatnonzero(holm(p_values) <= level)) == reference.holm_rejects(p_values, level)


def test_holm_holds_the_rate_of_any_error_in_a_matrix_of_twenty_methods():
    rng = np.random.default_rng(5)
    first, second = np.triu_indices(20, 1)
    wrong = 0
    for _ in range(200):
        scores = rng.normal(0, 0.3, (20, 1, 30)) + rng.normal(size=(20, 5, 30))
        p_values = one_group(scores[first] - scores[second]).p_values()
        wrong += bool((holm(p_values) <= LEVEL).any())
    assert wrong / 200 <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 200)
