"""The table of a tuned grid, and the table of times with the means of the recorded seconds."""

from __future__ import annotations

from rich.console import Console

from lowshot.benchmark.parameter_grid import GridPoint, Tuning
from lowshot.report.further_tables import time_table, tuning_table


def _record(method: str, n: int, experiment: int, seconds: float, setup: str = "test") -> dict:
    return {
        "representation": "A|B",
        "method": method,
        "setup": setup,
        "n_shots": n,
        "experiment": experiment,
        "seconds": seconds,
        "base_seconds": 3.0,
    }


RECORDS = [
    _record("ridge", 1, 1, 0.5),
    _record("ridge", 1, 2, 1.5),
    _record("ridge", 5, 1, 20.0),
    _record("mean", 1, 1, 0.25),
    _record("ridge", 1, 1, 99.0, setup="val"),
]


def test_times_are_means_over_experiments_of_the_setup() -> None:
    table = time_table(RECORDS)
    assert table.head == ["Representation", "Method", "base", "n=1", "5"]
    assert table.rows == [["A|B", "ridge", "3.00", "1.00", "20"], ["A|B", "mean", "3.00", "0.25", "–"]]


def test_the_markdown_table_marks_what_was_not_run() -> None:
    lines = time_table(RECORDS).markdown().splitlines()
    assert "| A\\|B | ridge | 3.00 | 1.00 | 20 |" in lines
    assert "| A\\|B | mean | 3.00 | 0.25 | – |" in lines


def test_the_seconds_of_stages_have_a_column_where_there_are_any() -> None:
    records = [{**RECORDS[0], "stage_seconds": 75.5}, RECORDS[4], RECORDS[3]]
    lines = time_table(records).markdown().splitlines()
    assert "| Representation | Method | stages | base | n=1 |" in lines
    assert "| A\\|B | ridge | 76 | 3.00 | 0.50 |" in lines
    assert "| A\\|B | mean | – | 3.00 | 0.25 |" in lines


def test_results_without_times_have_no_row() -> None:
    converted = {key: value for key, value in RECORDS[0].items() if not key.endswith("seconds")}
    assert time_table([converted]).rows == []
    assert time_table([converted, RECORDS[3]]).rows == [["A|B", "mean", "3.00", "0.25"]]


def test_the_table_for_the_page_escapes_names() -> None:
    html = time_table([{**RECORDS[0], "method": "<b>"}]).html()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_a_tuned_grid_shows_every_point_marks_the_best_and_names_an_edge() -> None:
    points = [
        GridPoint({"lr": 0.1, "kind": "a"}, 0.5, 0.01, {"1": 0.4, "5": 0.6}),
        GridPoint({"lr": 0.1, "kind": "b"}, None, None, {"1": None, "5": 0.6}),
        GridPoint({"lr": 1.0, "kind": "a"}, 0.75, 0.02, {"1": 0.7, "5": 0.8}),
        GridPoint({"lr": 1.0, "kind": "b"}, 0.75, 0.02, {"1": 0.7, "5": 0.8}),
    ]
    grid = {"lr": (0.1, 1.0), "kind": ("a", "b")}
    tuning = Tuning("logistic", None, "mean_all_top5", (1, 5), 3, 0, "", grid, tuple(points))
    table = tuning_table(tuning, "Baseline, linear")
    assert table.head == ["lr", "kind", "mean_all_top5", "", "n=1", "n=5", ""]
    assert table.rows == [
        ["0.1", "a", "50.00", "± 1.00", "40.00", "60.00", ""],
        ["0.1", "b", "NaN", "", "NaN", "60.00", ""],
        ["1", "a", "75.00", "± 2.00", "70.00", "80.00", "◀ best"],
        ["1", "b", "75.00", "± 2.00", "70.00", "80.00", ""],
    ]
    assert table.caption.endswith("lr=1 is the largest value tried: a larger one may be better.")
    console = Console(width=100, record=True)
    console.print(table.rich())
    assert "◀ best" in console.export_text()
