"""The table of times holds the means of the recorded seconds."""

from __future__ import annotations

from lowshot.report.timing import time_markdown, time_rows, time_section


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
    ridge, mean = time_rows(RECORDS)
    assert (ridge.method, ridge.base, ridge.runs) == ("ridge", 3.0, {1: 1.0, 5: 20.0})
    assert mean.runs == {1: 0.25}


def test_the_markdown_table_marks_what_was_not_run() -> None:
    lines = time_markdown(time_rows(RECORDS)).splitlines()
    assert "| A\\|B | ridge | 3.00 | 1.00 | 20 |" in lines
    assert "| A\\|B | mean | 3.00 | 0.25 | – |" in lines


def test_what_stops_of_their_own_took_has_a_column_where_there_are_any() -> None:
    records = [{**RECORDS[0], "stop_seconds": 75.5}, RECORDS[4], RECORDS[3]]
    lines = time_markdown(time_rows(records)).splitlines()
    assert "| Representation | Low-shot phase | stops | base | n=1 |" in lines
    assert "| A\\|B | ridge | 76 | 3.00 | 0.50 |" in lines
    assert "| A\\|B | mean | – | 3.00 | 0.25 |" in lines


def test_the_section_escapes_names() -> None:
    html = time_section(time_rows([{**RECORDS[0], "method": "<b>"}])).html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
