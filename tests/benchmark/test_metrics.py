from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.benchmark import Summary, low_shot_metrics, metrics, summarise
from lowshot.errors import InputError
from tests.reference import metrics as reference


@st.composite
def runs(draw, least_columns=2):
    """Scores with many ties, some columns that are neither base nor novel, queries of both groups or of one."""
    columns = draw(st.integers(least_columns, 9))
    order = draw(st.permutations(range(columns)))
    ends = sorted(draw(st.lists(st.integers(1, columns), min_size=2, max_size=2)))
    base, novel = order[: ends[0]], order[ends[0] : ends[1]]
    labels = draw(st.lists(st.sampled_from([*base, *novel]), min_size=1, max_size=12))
    values = st.sampled_from([-math.inf, -1.5, 0.0, 0.25, 1.0, 2.0, math.inf])
    scores = draw(
        st.lists(st.lists(values, min_size=columns, max_size=columns), min_size=len(labels), max_size=len(labels))
    )
    return scores, labels, base, novel


@settings(deadline=None, max_examples=200)
@given(runs())
def test_they_are_the_definition(run):
    assert low_shot_metrics(*run) == pytest.approx(reference.low_shot_metrics(*run))


@settings(deadline=None, max_examples=20)
@given(runs())
def test_blocks_of_queries_change_nothing(run):
    whole = low_shot_metrics(*run)
    size, metrics._BLOCK_ELEMENTS = metrics._BLOCK_ELEMENTS, 1
    try:
        assert low_shot_metrics(*run) == whole
    finally:
        metrics._BLOCK_ELEMENTS = size


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_arrays_and_lists_of_any_number_type_are_accepted(dtype):
    scores = [[3, 1, 2], [0, 5, 1], [9, 8, 7]]
    lists = low_shot_metrics(scores, [0, 1, 2], [0, 1], [2])
    assert low_shot_metrics(np.array(scores, dtype), np.array([0, 1, 2]), np.array([0, 1]), np.array([2])) == lists
    assert lists["base_top1"] == 1
    assert lists["novel_top1"] == 0
    assert lists["all_top1"] == pytest.approx(2 / 3)
    assert lists["novel_only_top1"] == 1


def test_fewer_than_five_columns_are_all_in_the_top_five():
    found = low_shot_metrics(np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 4, [0, 1], [2, 3])
    assert {found[f"{scope}_top5"] for scope in ("base", "novel", "all", "novel_only")} == {1.0}


def test_all_is_the_mean_over_images_and_not_over_groups():
    scores = np.eye(3)[[0, 0, 0, 1, 0]]
    found = low_shot_metrics(scores, [0, 0, 0, 1, 2], [0, 1], [2])
    assert (found["base_top1"], found["novel_top1"], found["all_top1"]) == (1.0, 0.0, 0.8)


def test_equal_scores_go_to_the_lower_column():
    assert low_shot_metrics(np.zeros((6, 6)), np.arange(6), [1, 3, 5], [0, 2, 4]) == pytest.approx(
        {
            "novel_top1": 1 / 3,
            "novel_top5": 1.0,
            "base_top1": 0.0,
            "base_top5": 2 / 3,
            "all_top1": 1 / 6,
            "all_top5": 5 / 6,
            "novel_only_top1": 1 / 3,
            "novel_only_top5": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [0], [0], [1]), "expected"),
        ((np.zeros((3, 2)), [0, 1], [0], [1]), "expected"),
        ((np.zeros((0, 2)), [], [0], [1]), "at least one query"),
        (([[0.0, math.nan]], [0], [0], [1]), "query 0 for class 1 is NaN"),
        ((np.zeros((2, 3)), [0, 2], [0], [1]), "query 1 has label 2, which is neither"),
        ((np.zeros((2, 3)), [0, 3], [0], [1]), "query 1 has label 3, which is neither"),
        ((np.zeros((1, 3)), [-1], [0], [1, 2]), "query 0 has label -1"),
        ((np.zeros((1, 3)), [0.5], [0], [1, 2]), "labels must be integers"),
        ((np.zeros((1, 3)), [0], [0, 1], [1]), "class 1 is base and novel"),
        ((np.zeros((1, 3)), [0], [0], [3]), "novel class 3 has no column"),
        ((np.zeros((1, 3)), [0], [-1], [1]), "base class -1 has no column"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        low_shot_metrics(*arguments)


def record(n_shots: int, experiment: int, value: float | None, method: str = "logistic") -> dict:
    return {
        "representation": "sgm",
        "method": method,
        "setup": "test",
        "n_shots": n_shots,
        "experiment": experiment,
        "all_top5": value,
    }


def test_the_interval_is_students_t() -> None:
    # t(0.975, 4) = 2.776445; the standard deviation of 1..5 is sqrt(2.5).
    found = summarise([record(1, e, e / 10) for e in range(1, 6)], "all_top5")
    assert found == [
        Summary("sgm", "logistic", "test", 1, "all_top5", pytest.approx(0.3), pytest.approx(0.1963243, abs=1e-6), 5)
    ]


def test_methods_and_shots_are_kept_apart_in_order() -> None:
    records = [record(5, 1, 0.5), record(1, 1, 0.1), record(5, 2, 0.7), record(5, 1, 0.9, "ridge")]
    found = summarise(records, "all_top5")
    assert [(s.method, s.n_shots, s.n_experiments) for s in found] == [
        ("logistic", 5, 2),
        ("logistic", 1, 1),
        ("ridge", 5, 1),
    ]
    assert found[0].mean == pytest.approx(0.6)
    assert found[1].half_width is None


def test_the_mean_over_shots_is_taken_within_each_experiment() -> None:
    records = [record(n, e, value) for n, e, value in [(1, 1, 0.1), (5, 1, 0.5), (1, 2, 0.3), (5, 2, 0.7)]]
    (found,) = summarise(records, "all_top5", over_shots=True)
    assert (found.n_shots, found.n_experiments, found.mean) == (None, 2, pytest.approx(0.4))
    # The means 0.3 and 0.5 have the standard error 0.1; t(0.975, 1) = 12.7062.
    assert found.half_width == pytest.approx(1.27062, abs=1e-5)


def test_missing_values_are_left_out() -> None:
    (found,) = summarise([record(1, 1, 0.2), record(1, 2, None)], "all_top5")
    assert (found.mean, found.n_experiments) == (0.2, 1)
    with pytest.raises(InputError, match="no result has the metric 'all_prior_top5'"):
        summarise([record(1, 1, 0.2)], "all_prior_top5")


def test_experiments_that_lack_a_number_of_shots_have_no_mean_over_shots() -> None:
    records = [record(1, 1, 0.2), record(1, 2, 0.4), record(5, 1, 0.6)]
    (summary,) = summarise(records, "all_top5", over_shots=True)
    assert (summary.mean, summary.half_width, summary.n_experiments) == (pytest.approx(0.4), None, 1)
