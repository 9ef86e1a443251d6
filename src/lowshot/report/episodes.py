"""The table of N-way K-shot episodes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from lowshot.report.html import Section
from lowshot.report.table_data import Record
from lowshot.report.text_table import Grid

_DESIGN = ("n_way", "n_shots", "n_query", "n_tasks")


def episode_grid(records: Sequence[Record], setup: str = "test") -> Grid | None:
    """A row per representation and method, a column per design; None where no episodes of the setup were run."""
    records = [record for record in records if record["setup"] == setup]
    if not records:
        return None
    designs = sorted({tuple(record[key] for key in _DESIGN) for record in records})
    names = [f"{n_way}-way {n_shots}-shot" for n_way, n_shots, *_ in designs]
    heads = [
        name if names.count(name) == 1 else f"{name}, {n_query} queries, {n_tasks} tasks"
        for name, (*_, n_query, n_tasks) in zip(names, designs)
    ]
    cells: dict[tuple[str, str], dict[tuple[int, ...], str]] = {}
    for record in records:
        row = cells.setdefault((record["representation"], record["method"]), {})
        row[tuple(record[key] for key in _DESIGN)] = _cell(record)
    rows = [[*labels, *(row.get(design, "–") for design in designs)] for labels, row in cells.items()]
    tasks, queries = (sorted({design[i] for design in designs}) for i in (3, 2))
    parts = sorted({record["part"] for record in records})
    same = len({(record["data"]["test"], record["tasks"]) for record in records}) <= len(designs)
    caption = (
        f"Per cent on novel classes of the {setup} setup, images of the {' and '.join(parts)} part: mean over "
        f"{_or(tasks)} tasks of {_or(queries)} queries a class ± 1.96 standard errors. The classes of a task alone "
        "compete, so these numbers are far above those of the joint space and not comparable with them. "
        + ("All rows met the same tasks." if same else "NOT ALL ROWS MET THE SAME TASKS.")
    )
    return Grid("N-way K-shot episodes", ["Representation", "Low-shot phase", *heads], rows, caption)


def episode_section(grid: Grid) -> Section:
    """The table for the page."""
    return Section("Episodes", grid.html())


def episode_csv(records: Sequence[Record], setup: str = "test") -> str:
    """A line per method and design, per cent with four decimals."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["setup", "representation", "method", *_DESIGN, "part", "mean", "interval95"])
    for record in records:
        if record["setup"] == setup:
            half_width = "" if record["half_width"] is None else f"{100 * record['half_width']:.4f}"
            numbers = [*(record[key] for key in _DESIGN), record["part"], f"{100 * record['accuracy']:.4f}", half_width]
            writer.writerow([setup, record["representation"], record["method"], *numbers])
    return file.getvalue()


def _cell(record: Record) -> str:
    interval = "" if record["half_width"] is None else f" ±{100 * record['half_width']:.2f}"
    return f"{100 * record['accuracy']:.2f}{interval}"


def _or(numbers: Sequence[int]) -> str:
    return " or ".join(str(number) for number in numbers)
