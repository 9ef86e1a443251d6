"""The part of the page on the training of representations: the variance between trainings beside that between draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from lowshot.benchmark.significance import variance_components
from lowshot.report.page import Section
from lowshot.report.table_data import Cell, Row, TableData
from lowshot.report.tables import NAMES, TextTable, csv_text, file_stem

TITLE = "Would another training change it?"
_HEAD = ("n", "mean", "±", "SD trainings", "SD draws", "SD residual", "lowest", "highest", "trainings, draws")
_CAPTION = (
    "The mean over trainings and draws of the shots, and half its 95 % interval over both. SD: standard deviations, in "
    "points, of what the training adds to an accuracy, of what the draw of the shots adds, and of the residual, which "
    "neither explains (variance components of the two-way analysis of variance, 0 where the estimate is negative). "
    "Lowest and highest: the means of single trainings. Last column: the numbers of trainings and of draws."
)
_ONE_NETWORK = (
    "these results are of one trained network for each representation, so the intervals say nothing about another "
    "training. For a representation that the recipe trains, seeds: 3 trains it three times and shows here how far the "
    "trainings differ. How the features of another program, or of a pretrained network, would come out of another "
    "training is not known."
)


def training_section(tables: Sequence[TableData]) -> Section:
    """The variance between trainings beside that between draws, or why the results cannot tell the first.

    Args:
        tables (sequence of TableData): The main tables, at least one.
    """
    parts, saved = [], []
    for number, table in enumerate(tables):
        if rows := _rows(table):
            texts = TextTable(table.title, [*NAMES, *_HEAD], rows, name=file_stem("trainings", table.metric))
            html = Markup("<details{}><summary>{}</summary>{}</details>")
            parts.append(html.format(Markup(" open" if number == 0 else ""), table.title, texts.html()))
            saved.append(replace(texts, caption=_CAPTION))
    once = trained_once(tables[0])
    html = Markup("")
    if not parts:
        html += Markup("<p><strong>This report cannot tell</strong>: {}</p>").format(_ONE_NETWORK)
    elif once:
        unknown = "This report cannot tell for {}: {}"
        html += Markup("<p>{}</p>").format(unknown.format(", ".join(once), _ONE_NETWORK))
    if parts:
        html += Markup('<p class="quiet">{}</p>{}').format(_CAPTION, Markup("").join(parts))
    return Section(TITLE, html, tables=saved)


def trained_once(table: TableData) -> list[str]:
    """The representations of a table whose results are all of one network: nothing says what another training gives."""
    several = {row.representation for row, _, _ in _several(table)}
    return [name for name in table.groups if name not in several]


def trainings_csv(tables: Sequence[TableData]) -> str:
    """A line per accuracy, method and number of shots with several trainings, in per cent and points."""
    head = ["metric", "setup", "representation", "method", "n_shots", "mean", "interval95", "sd_trainings", "sd_draws"]
    lines: list[list[object]] = [[*head, "sd_rest", "trainings", "experiments"]]
    for table in tables:
        for row, n, cell in _several(table):
            numbers = [cell.mean, cell.half_width, *_components(cell)]
            texts = ["" if number is None else f"{number:.4f}" for number in numbers]
            about = [table.metric, table.setup, row.representation, row.method, n]
            lines.append([*about, *texts, len(cell.trainings), len(cell.accuracies)])
    return csv_text(lines)


def _rows(table: TableData) -> list[list[str]]:
    rows = []
    for row, n, cell in _several(table):
        means = [np.mean(list(values.values())) for values in cell.trainings.values()]
        parts = ["–" if sd is None else f"{sd:.1f}" for sd in _components(cell)]
        interval = "–" if cell.half_width is None else f"{cell.half_width:.1f}"
        counts = f"{len(cell.trainings)}, {len(cell.accuracies)}"
        ends = [f"{min(means):.1f}", f"{max(means):.1f}"]
        rows.append([row.representation, row.method, str(n), cell.mean_text, interval, *parts, *ends, counts])
    return rows


def _several(table: TableData) -> list[tuple[Row, int, Cell]]:
    return [
        (row, n, cell)
        for row in table.rows
        for n, cell in zip(table.n_shots, row.cells)
        if cell is not None and cell.trainings
    ]


def _components(cell: Cell) -> tuple[float | None, ...]:
    """Standard deviations between trainings, between draws, and of the rest; none of them from a single draw."""
    if len(cell.accuracies) < 2:
        return None, None, None
    values = np.array([list(values.values()) for values in cell.trainings.values()])
    return tuple(float(np.sqrt(variance)) for variance in variance_components(values))
