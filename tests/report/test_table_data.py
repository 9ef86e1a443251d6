from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.benchmark import summarise
from lowshot.errors import InputError
from lowshot.report.table_data import METRIC_TITLES, Cell, best_first, build_tables, informative, mean_cell, primary
from lowshot.report.winners import winners
from tests.reference import significance as reference

from .conftest import make_records


def record(experiment, accuracy, representation="R", method="m", n=1, setup="test"):
    names = {"representation": representation, "method": method, "setup": setup}
    return {**names, "n_shots": n, "experiment": experiment, "novel_top5": accuracy}


def test_a_cell_is_the_mean_and_the_t_interval_worked_out_by_hand():
    # Deviations −4, 0, −2, 6, 0 from 44: s² = 56/4, t(0.975, 4) = 2.776445, half-width = t·√(14/5).
    records = [record(i, accuracy) for i, accuracy in enumerate([0.40, 0.44, 0.42, 0.50, 0.44], start=1)]
    [table] = build_tables(records)
    [cell] = table.rows[0].cells
    assert cell.mean == pytest.approx(44.0)
    assert cell.half_width == pytest.approx(2.776445 * math.sqrt(2.8), rel=1e-6)
    assert str(cell) == "44.0 ±4.6"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=12))
def test_the_interval_is_the_one_of_scipy(accuracies):
    cell = Cell(dict(enumerate(accuracies)))
    mean, error = np.mean(accuracies), scipy.stats.sem(accuracies)
    assert cell.mean == pytest.approx(mean)
    half_width = 0 if error == 0 else scipy.stats.t.interval(0.95, len(accuracies) - 1, scale=error)[1]
    assert cell.half_width == pytest.approx(half_width, abs=1e-9)


def test_one_experiment_has_no_interval_and_the_caption_says_so():
    [table] = build_tables([record(1, 0.5)])
    [cell] = table.rows[0].cells
    assert cell.half_width is None
    assert str(cell) == "50.0"
    assert "one experiment" in table.caption
    assert "±" not in table.caption


def test_the_caption_counts_the_experiments():
    [table] = build_tables(make_records(metrics=["all_top5"], experiments=4))
    assert "mean over 4 experiments" in table.caption
    [table] = build_tables([record(1, 0.5), record(1, 0.4, n=2), record(2, 0.3, n=2)])
    assert "mean over 1 to 2 experiments" in table.caption


def test_the_order_of_records_changes_no_number():
    records = make_records(metrics=["all_top5"], experiments=7)
    [table] = build_tables(records)
    cells = {(row.representation, row.method): row.cells for row in table.rows}
    [turned] = build_tables(records[::-1])
    for row in turned.rows:
        expected = cells[row.representation, row.method]
        assert [(c.mean, c.half_width) for c in row.cells] == [(c.mean, c.half_width) for c in expected]


def test_rows_and_tables_keep_the_order_of_the_paper():
    records = make_records(metrics=["base_top1", "all_top5", "novel_top5", "all_prior_top5"])
    tables = build_tables(records)
    assert [table.metric for table in tables] == ["novel_top5", "all_top5", "all_prior_top5", "base_top1"]
    assert [(row.representation, row.method) for row in tables[0].rows] == [
        ("Baseline", "logistic"),
        ("Baseline", "nearest mean"),
        ("SGM", "logistic"),
        ("SGM", "nearest mean"),
    ]


def test_what_was_not_run_is_none_and_an_unmeasured_accuracy_is_left_out():
    records = [record(1, 0.5), record(1, 0.6, n=2), record(1, 0.7, method="other", n=2), record(2, None)]
    [table] = build_tables(records)
    assert table.n_shots == (1, 2)
    assert table.rows[1].cells[0] is None
    assert table.rows[0].cells[0].accuracies == {1: 50.0}


def test_numbers_are_those_of_summarise():
    records = make_records(metrics=["all_top5"], experiments=4)
    [table] = build_tables(records)
    for one in summarise(records, "all_top5"):
        [row] = [row for row in table.rows if (row.representation, row.method) == (one.representation, one.method)]
        cell = row.cells[table.n_shots.index(one.n_shots)]
        assert (cell.mean, cell.half_width) == pytest.approx((100 * one.mean, 100 * one.half_width))
    for one in summarise(records, "all_top5", over_shots=True):
        [row] = [row for row in table.rows if (row.representation, row.method) == (one.representation, one.method)]
        cell = mean_cell(row.cells)
        assert (cell.mean, cell.half_width) == pytest.approx((100 * one.mean, 100 * one.half_width))


def test_several_trainings_are_one_row_whose_interval_is_over_both():
    rng = np.random.default_rng(0)
    grid = rng.uniform(0.3, 0.7, (3, 4, 2))
    records = [
        {**record(e, grid[t - 1, e - 1, n // 5]), "n_shots": n, "training": t}
        for t in (1, 2, 3)
        for e in (1, 2, 3, 4)
        for n in (1, 5)
    ]
    [table] = build_tables(records)
    [row] = table.rows
    for column, cell in enumerate(row.cells):
        assert cell.mean == pytest.approx(100 * grid[:, :, column].mean())
        by_hand = reference.crossed_half_width((100 * grid[:, :, column]).tolist())
        assert cell.half_width == pytest.approx(by_hand, rel=1e-5)
    over_n = mean_cell(row.cells)
    assert over_n.half_width == pytest.approx(
        reference.crossed_half_width((100 * grid.mean(axis=2)).tolist()), rel=1e-5
    )
    assert "mean over 3 trainings and 4 experiments" in table.caption
    for one in summarise(records, "novel_top5", over_shots=True):
        assert (one.mean, one.half_width) == pytest.approx((over_n.mean / 100, over_n.half_width / 100))
        assert (one.n_experiments, one.n_trainings) == (4, 3)


def test_a_training_that_lacks_an_experiment_leaves_it_out_for_all():
    records = [{**record(e, 0.1 * e * t), "training": t} for t in (1, 2) for e in (1, 2, 3) if (t, e) != (2, 3)]
    [cell] = build_tables(records)[0].rows[0].cells
    assert dict(cell.accuracies) == pytest.approx({1: 15, 2: 30})


def test_a_guess_is_right_in_k_of_the_classes_that_compete():
    records = sized(20)
    found = {t.metric: t.chance for t in build_tables(records)}
    assert found == {"novel_top5": 25, "novel_top1": 5, "all_top5": 25, "all_top1": 5, "base_top5": 25, "base_top1": 5}
    assert "A guess is right in 25 %." in build_tables(records)[0].caption
    novel_only = [{**r, "novel_only_top1": 0.5} for r in records]
    assert build_tables(novel_only, ["novel_only_top1"])[0].chance == pytest.approx(100 / 3)
    assert build_tables(make_records())[0].chance is None


def test_of_few_classes_readers_see_no_top_5():
    assert {table.metric[-1] for table in informative(build_tables(sized(10)))} == {"1"}
    assert len(informative(build_tables(sized(11)))) == 6


@pytest.mark.parametrize(("n_novel", "k"), [(3, 1), (10, 1), (11, 5)])
def test_among_novel_classes_their_number_decides_about_top_5(n_novel, k):
    metrics = [f"{scope}_top{k}" for scope in ("all", "novel_only") for k in (1, 5)]
    records = [{**one, "data": {"base": 40, "novel": n_novel, "classes": 99}} for one in make_records(metrics=metrics)]
    tables = build_tables(records)
    assert [table.metric for table in primary(tables)] == ["all_top5", f"novel_only_top{k}"]
    assert ("novel_only_top5" in {table.metric for table in informative(tables)}) == (k == 5)


def test_the_best_row_at_a_number_of_shots_comes_first_and_one_not_run_there_last():
    records = [record(1, p, n=n, method=m) for m, n, p in [("a", 1, 0.1), ("b", 1, 0.3), ("a", 5, 0.9), ("c", 5, 0.2)]]
    [table] = build_tables(records)
    assert [method for _, method in best_first(table, 0)] == ["b", "a", "c"]
    assert [method for _, method in best_first(table, 1)] == ["a", "c", "b"]


def test_setups_never_mix():
    records = [record(1, 0.5), record(1, 0.9, setup="val")]
    assert build_tables(records)[0].rows[0].cells[0].mean == 50
    assert build_tables(records, setup="val")[0].rows[0].cells[0].mean == 90


def test_a_plugin_metric_is_shown_under_its_own_name_when_asked_for():
    [table] = build_tables([{**record(1, 0.5), "my_metric": 0.25}], ["my_metric"])
    assert (table.title, table.meaning, table.rows[0].cells[0].mean) == ("my_metric", "", 25)


@pytest.mark.parametrize(
    ("records", "changes", "says"),
    [
        ([], {}, "lowshot evaluate"),
        ([record(1, 0.5, setup="val")], {}, "only of 'val'"),
        ([record(1, 0.5)], {"metrics": ["novel_top"]}, "Did you mean 'novel_top5'"),
        ([record(1, None)], {}, "holds an accuracy"),
        ([{"method": "m", "setup": "test"}], {}, "lacks representation, n_shots, experiment"),
        ([record(1, 0.5), record(1, 0.6)], {}, "experiment 1 twice"),
    ],
)
def test_unusable_results_are_refused_with_the_reason(records, changes, says):
    with pytest.raises(InputError, match=says):
        build_tables(records, **changes)


def test_every_metric_of_the_benchmark_has_a_title_of_its_own():
    assert len(METRIC_TITLES) == len({metric.title for metric in METRIC_TITLES.values()}) == 10


def test_a_winner_leads_by_the_paired_difference():
    # Draws differ by 20 points, the methods by 1 or 2 on each draw: only the paired interval can tell them apart.
    better = [record(i, a, method="better") for i, a in enumerate([0.31, 0.52, 0.71], start=1)]
    worse = [record(i, a, method="worse") for i, a in enumerate([0.30, 0.50, 0.70], start=1)]
    [best] = winners(build_tables(worse + better)[0]).values()
    assert (best.row.method, best.second.method) == ("better", "worse")
    assert best.lead.mean == pytest.approx(4 / 3)
    assert best.lead.half_width == pytest.approx(4.302653 * math.sqrt(1 / 3 / 3), rel=1e-5)
    assert not best.is_clear
    longer = [record(i, 0.5 + 0.01 * (i % 2), method=m) for m in ("a", "b") for i in range(8)]
    longer = [{**r, "novel_top5": r["novel_top5"] + 0.1 * (r["method"] == "b")} for r in longer]
    assert winners(build_tables(longer)[0])[1].is_clear


def test_a_method_alone_wins_without_a_lead():
    [best] = winners(build_tables([record(1, 0.5)])[0]).values()
    assert (best.second, best.lead, best.is_clear) == (None, None, False)


def sized(n_classes):
    return [
        {**one, "data": {"base": n_classes - 3, "novel": 3, "classes": 99}}
        for one in make_records(metrics=[f"{scope}_top{k}" for scope in ("novel", "all", "base") for k in (1, 5)])
    ]


@pytest.mark.parametrize(("n_classes", "k"), [(4, 1), (10, 1), (11, 5), (1000, 5)])
def test_the_first_tables_are_of_the_accuracy_that_tells_methods_apart(n_classes, k):
    tables = build_tables(sized(n_classes))
    assert {table.n_classes for table in tables} == {n_classes}
    assert [table.metric for table in primary(tables)] == [f"novel_top{k}", f"all_top{k}"]
    assert len(tables) == 6  # the others follow


def test_results_of_unknown_or_different_sizes_are_shown_in_top_5():
    assert [table.metric for table in primary(build_tables(make_records()))] == ["novel_top5", "all_top5"]
    for odd in ({"base": "many", "novel": 3}, {"base": 3}, "text", None):
        records = [{**one, "data": odd} for one in make_records()]
        assert {table.n_classes for table in build_tables(records)} == {None}
    mixed = [{**one, "data": {"base": 2, "novel": 2 + 20 * (one["method"] == "logistic")}} for one in make_records()]
    assert {table.n_classes for table in build_tables(mixed)} == {24}
    assert [table.metric for table in primary(build_tables(mixed))] == ["novel_top5", "all_top5"]
