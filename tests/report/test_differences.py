"""The report says which rows differ, over draws and classes where it can, and which are the same."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

from lowshot.report import write_report
from lowshot.report.difference_views import MOST_ROWS, difference_section
from lowshot.report.differences import differences_csv, find_differences
from lowshot.report.table_data import build_tables
from lowshot.report.winners import winners
from tests.reference import significance as reference
from tests.report.class_records import N_BASE, QUERIES, class_records, copied
from tests.report.conftest import make_records, report_input
from tests.report.reading import Page

FAR = {("Base", "good"): 0.8, ("Base", "bad"): 0.2}
NEAR = {("Base", "one"): 0.5, ("Base", "other"): 0.5}


def differences(records, metric="all_top1"):
    [table] = build_tables(records, [metric])
    return find_differences(records, table)


def without_counts(records):
    return [{k: v for k, v in r.items() if "class" not in k and k != "answers"} for r in records]


def test_a_difference_is_that_of_the_accuracies_within_the_same_draws() -> None:
    records = class_records(FAR)
    for n, found in differences(records).items():
        means = [
            np.mean([r["all_top1"] for r in records if r["method"] == m and r["n_shots"] == n]) for m in ("good", "bad")
        ]
        one = found.between(0, 1)
        assert one.mean == pytest.approx(100 * (means[0] - means[1]))
        assert found.between(1, 0).mean == pytest.approx(-one.mean)
        assert one.sources == ("draws", "classes")
        assert one.n_draws == 5
        assert one.is_real
        assert found.ties == {0}


def test_the_interval_of_equally_large_classes_is_that_of_the_crossed_effects() -> None:
    novel = QUERIES[N_BASE:]
    records = class_records(NEAR)
    for record in records:
        record["top1_by_class"][N_BASE:] = [min(10, x) for x in record["top1_by_class"][N_BASE:]]
        record["novel_top1"] = sum(record["top1_by_class"][N_BASE:]) / 40
        if "queries_by_class" in record:
            record["queries_by_class"] = [10, 20, 10, 10, 10, 10]
    assert len(novel) == 4
    one = differences(records, "novel_top1")[1].between(0, 1)
    first, second = (
        np.array([r["top1_by_class"][N_BASE:] for r in records if r["method"] == m and r["n_shots"] == 1]) / 10
        for m in ("one", "other")
    )
    assert one.mean == pytest.approx(100 * (first - second).mean())
    by_hand = reference.crossed_half_width((100 * (first - second)).tolist())
    assert one.half_width == pytest.approx(by_hand, rel=1e-5)


def test_results_without_counts_are_compared_over_draws_alone() -> None:
    records = without_counts(class_records(NEAR))
    one = differences(records)[1].between(0, 1)
    assert one.sources == ("draws",)
    accuracies = [
        [100 * r["all_top1"] for r in records if r["method"] == m and r["n_shots"] == 1] for m in ("one", "other")
    ]
    paired = reference.paired_half_width((np.array(accuracies[0]) - accuracies[1]).tolist())
    assert one.half_width == pytest.approx(paired, rel=1e-6)


def test_rows_that_cannot_be_told_apart_tie_with_the_best() -> None:
    found = differences(class_records({**NEAR, ("Base", "bad"): 0.05}))[1]
    assert found.ties == {0, 1}
    [table] = build_tables(class_records(NEAR, experiments=1), ["all_top1"])
    single = find_differences(class_records(NEAR, experiments=1), table)[1]
    assert len(single.ties) == 1
    assert single.between(0, 1).half_width is None


def test_a_generator_that_adds_nothing_is_the_same_row_and_no_winner_of_its_own() -> None:
    plain = class_records({("Base", "linear"): 0.8}, n_shots=(1, 20))
    worse = class_records({("Base", "bad"): 0.2}, seed=1)
    idle = copied(plain, "linear + generated", generator="difference", n_per_class=20)
    for record in idle:
        if record["n_shots"] == 1:
            record["answers"] += " other"
    for records in (plain + idle + worse, idle + plain + worse):
        found = differences(records)
        names = [row.method for row in found[20].table.rows]
        copy, original = names.index("linear + generated"), names.index("linear")
        assert found[20].copies == {copy: (original, "generates nothing at n = 20")}
        assert found[1].copies == {}
        assert found[20].between(copy, original).half_width is None
        best = winners(found[20].table, found)[20]
        assert (best.row.method, best.second.method) == ("linear", "bad")
        assert [(row.method, why) for row, why in best.copies] == [
            ("linear + generated", "generates nothing at n = 20")
        ]
        assert best.is_clear
        text = difference_section([found]).html
        assert "Base · linear + generated is the same as Base · linear: generates nothing at n = 20." in text


def test_rows_of_the_same_answers_are_the_same_for_other_reasons_too() -> None:
    plain = class_records({("Base", "linear"): 0.8})
    assert differences(plain + copied(plain, "again"))[1].copies == {1: (0, "the same answers in every draw")}
    old = without_counts(plain)
    assert differences(old + copied(old, "again"))[1].copies == {1: (0, "the same accuracies in every draw")}
    other = [{**r, "all_top5": r["all_top5"] / 2} for r in copied(old, "again")]
    assert differences(old + other)[1].copies == {}


def test_more_rows_need_larger_differences() -> None:
    few = differences(class_records({("Base", "a"): 0.5, ("Base", "b"): 0.7}))[1].between(0, 1)
    many = {("Base", "a"): 0.5, ("Base", "b"): 0.7, **{("Base", f"m{i}"): 0.5 for i in range(8)}}
    found = differences(class_records(many))[1].between(0, 1)
    assert found.p_value == pytest.approx(few.p_value)
    assert found.adjusted > few.adjusted == few.p_value


def test_several_trainings_widen_the_interval() -> None:
    records = class_records({("Base", "a"): 0.5, ("SGM", "a"): 0.6}, trainings=3)
    one = differences(records)[1].between(0, 1)
    assert one.sources == ("draws", "classes", "trainings")
    single = [{k: v for k, v in r.items() if k != "training"} for r in records if r["training"] == 1]
    assert differences(single)[1].between(0, 1).sources == ("draws", "classes")
    shifted = [{**r, "all_top1": r["all_top1"] + 0.1 * r["training"] * (r["representation"] == "SGM")} for r in records]
    assert differences(shifted)[1].between(0, 1).half_width > one.half_width


def test_the_csv_holds_each_pair_once_the_better_row_first() -> None:
    found = differences(class_records(FAR))
    lines = list(csv.DictReader(io.StringIO(differences_csv([found]))))
    assert len(lines) == 2
    for line in lines:
        assert line["over"] == "draws and classes"
        assert line["beats"] == "1"
        assert (line["method"], line["than_method"]) == ("good", "bad")
        assert float(line["difference"]) == pytest.approx(found[int(line["n_shots"])].between(0, 1).mean, abs=0.005)
        assert float(line["p"]) <= float(line["p_holm"])


def test_the_csv_holds_every_pair() -> None:
    records = make_records(methods=[f"m{i}" for i in range(9)], metrics=["all_top5"], n_shots=(1, 5))
    found = differences(records, "all_top5")
    lines = list(csv.DictReader(io.StringIO(differences_csv([found]))))
    assert len(lines) == 2 * (18 * 17 // 2)
    pairs = {
        (n, frozenset([(a, b), (c, d)]))
        for line in lines
        for n, a, b, c, d in [
            [line[k] for k in ("n_shots", "representation", "method", "than_representation", "than_method")]
        ]
    }
    assert len(pairs) == len(lines)
    assert all(float(line["difference"]) >= 0 for line in lines)


def test_the_page_has_a_matrix_per_number_of_shots_and_shades_ties(tmp_path) -> None:
    records = class_records({**NEAR, ("Base", "bad"): 0.05})
    text = write_report(tmp_path, **report_input(records=records, training_logs={}, examples=[])).read_text("utf-8")
    page = Page(text)
    matrices = [rows for title, rows in page.tables if rows[0][:1] == ["Row minus column"]]
    assert len(matrices) == 2 * 2  # novel and all, n = 1 and 20
    assert all(len(rows) == 1 + 3 for rows in matrices)
    assert all(mark in text for mark in "▲▼○")
    assert text.count('<td class="number tie">') >= 2 * 2
    assert "draws of the shots and classes" in page.text
    assert (tmp_path / "comparisons.csv").read_text("utf-8").startswith("metric,setup,n_shots")
    found = differences(records, "novel_top1")[1]
    cells = {cell for rows in matrices for row in rows[1:] for cell in row[2:] if cell}
    assert all(re.fullmatch(r"[+−]\d+\.\d\s[▲▼○] ?±\d+\.\d", cell) for cell in cells)
    [best, second, *_] = found.ranking
    with (tmp_path / "tables" / "differences_novel_top1_n1.csv").open(encoding="utf-8") as file:
        line = next(csv.DictReader(file))
    assert float(line["2"]) == pytest.approx(found.between(best, second).mean, abs=0.051)
    assert float(line["2 ±"]) == pytest.approx(found.between(best, second).half_width, abs=0.051)
    assert line["2 verdict"] in ("beats", "tied")


def test_comparisons_are_made_in_every_accuracy_of_the_page(tmp_path) -> None:
    write_report(tmp_path, **report_input(training_logs={}, examples=[]))
    with (tmp_path / "comparisons.csv").open(encoding="utf-8") as file:
        assert {line["metric"] for line in csv.DictReader(file)} == {"novel_top5", "all_top5", "novel_top1"}


def test_of_many_rows_the_page_shows_the_best() -> None:
    records = make_records(methods=[f"m{i}" for i in range(MOST_ROWS)], metrics=["all_top5"], n_shots=(1,))
    html = difference_section([differences(records, "all_top5")]).html
    assert html.count('<th scope="row"') == MOST_ROWS
    assert f"The best {MOST_ROWS} of {2 * MOST_ROWS} rows" in html


def test_one_draw_is_said_to_tell_nothing() -> None:
    html = difference_section([differences(class_records(NEAR, experiments=1))]).html
    assert "nothing tells chance from a real difference" in html


def test_names_are_escaped() -> None:
    html = difference_section([differences(class_records({("<b>", "a"): 0.5, ("<b>", '"x'): 0.6}))]).html
    assert "<b>" not in html
    assert '"x' not in html.replace('="x', "")
