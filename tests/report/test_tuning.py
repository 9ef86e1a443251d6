"""The table of a tuned grid."""

from __future__ import annotations

from rich.console import Console

from lowshot.benchmark.parameter_grid import GridPoint, Tuning
from lowshot.report.tuning import tuning_table


def test_the_table_shows_every_point_marks_the_best_and_points_out_an_edge() -> None:
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
