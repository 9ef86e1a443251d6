"""The tables of a report for the terminal, for Markdown and for CSV, in the layout of the original's README."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lowshot.report.table_data import Cell, Record, TableData, build_tables, primary
from lowshot.report.text_table import drawn, in_markdown

MISSING = "–"


def paper_tables(
    records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test", width: int | None = None
) -> list[Table]:
    """One rich table per metric; where a row is too wide, intervals close up to their means, then go below them.

    Args:
        records: results of the benchmark, one per task.
        metrics: accuracies to show; by default those of :data:`~lowshot.report.table_data.PRIMARY` that were measured.
        setup: "test" or "val".
        width: columns to fit into; the terminal's by default.

    Raises:
        InputError: as :func:`~lowshot.report.table_data.build_tables`.
    """
    console = Console(width=width)
    tables = build_tables(records, metrics, setup)
    return [_fitting(table, console) for table in (primary(tables) if metrics is None else tables)]


def to_markdown(records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test") -> str:
    """All tables as GitHub Markdown, the best mean of a column in bold."""
    return "\n".join(_markdown(table) for table in build_tables(records, metrics, setup))


def to_csv(records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test") -> str:
    """All tables as one long CSV: a line per entry, per cent with four decimals, empty where there is no interval."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["metric", "setup", "representation", "method", "n_shots", "mean", "interval95", "experiments"])
    for table in build_tables(records, metrics, setup):
        for row in table.rows:
            for n, cell in zip(table.n_shots, row.cells, strict=True):
                if cell is not None:
                    half_width = "" if cell.half_width is None else f"{cell.half_width:.4f}"
                    numbers = [n, f"{cell.mean:.4f}", half_width, len(cell.accuracies)]
                    writer.writerow([table.metric, table.setup, row.representation, row.method, *numbers])
    return file.getvalue()


def _fitting(table: TableData, console: Console) -> Table:
    unlimited = console.options.update(max_width=10_000)
    for between in (" ", ""):
        drawn = _rich(table, between)
        if Measurement.get(console, unlimited, drawn).maximum <= console.width:
            return drawn
    return _rich(table, between="\n")


def _rich(table: TableData, between: str) -> Table:
    rows: list[list[str | Text]] = [
        [
            row.representation,
            row.method,
            *(_rich_cell(cell, best, between) for cell, best in zip(row.cells, table.best, strict=True)),
        ]
        for group in table.groups.values()
        for row in group
    ]
    return drawn(table.title, _head(table), rows, table.caption)


def _rich_cell(cell: Cell | None, best: float, between: str) -> Text:
    if cell is None:
        return Text(MISSING, style="dim")
    text = Text(cell.mean_text, style="bold" if cell.mean == best else "")
    if cell.interval_text:
        text.append(between).append(cell.interval_text, style="not bold dim")
    return text


def _markdown(table: TableData) -> str:
    rows = [
        [
            row.representation,
            row.method,
            *(_markdown_cell(cell, best) for cell, best in zip(row.cells, table.best, strict=True)),
        ]
        for row in table.rows
    ]
    return in_markdown(table.title, _head(table), rows, table.caption)


def _head(table: TableData) -> list[str]:
    return ["Representation", "Low-shot phase", *table.columns]


def _markdown_cell(cell: Cell | None, best: float) -> str:
    if cell is None:
        return MISSING
    return f"**{cell}**" if cell.mean == best else str(cell)
