"""Accuracy against the number of shots, a line with 95 % intervals per method."""

from __future__ import annotations

import math
from collections.abc import Iterable

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lowshot.report.figures.chart import Chart, Line, Panel, Point
from lowshot.report.figures.style import LineStyle, Plot, Theme, line_style, new_figure, wrapped
from lowshot.report.table_data import Row, TableData

SHOTS = "shots per novel class"
FEW = 6
"""The most lines on one pair of axes; with more, each representation gets axes of its own."""

LABEL_WIDTH = 40
"""The most characters on a line of the vertical axis's label: what fits beside the axes of the lowest figure."""


def accuracy_plot(table: TableData) -> Plot:
    """The plot of a table: accuracy in per cent against n on a logarithmic axis.

    Up to :data:`FEW` lines share one pair of axes: a colour per method, a dash pattern per representation (colours
    per representation where there is one method). More lines get a panel per representation on a common scale.
    """
    first, last = table.n_shots[0], table.n_shots[-1]
    ends = "; ".join(
        f"{row.representation}, {row.method}: {row.cells[0] or 'not run'} at n={first}, "
        f"{row.cells[-1] or 'not run'} at n={last}"
        for row in table.rows
    )
    chart = accuracy_chart(table)
    caption = "Bars are the 95 % intervals of the table; points of one n are side by side so that none hides."
    guess = ""
    if chart.guess is not None and chart.guess_is_far:
        guess = f" A guess is right in {chart.guess:.3g} %, far below the lines."
        caption += guess
    elif chart.guess is not None:
        guess = f" A dashed line at {chart.guess:.3g}: a guess."
    return Plot(
        name=f"accuracy_{table.metric}",
        caption=caption,
        alt=f"Line chart of accuracy in per cent against the number of shots. {ends}.{guess}",
        draw=lambda theme: _draw(chart, theme),
        chart=chart,
    )


def accuracy_chart(table: TableData) -> Chart:
    """The numbers of :func:`accuracy_plot`."""
    groups = table.groups
    methods = {method: i for i, method in enumerate(dict.fromkeys(row.method for row in table.rows))}
    places = {id(row): place for place, row in enumerate(table.rows)}
    if len(table.rows) <= FEW or len(groups) == 1:
        lines = []
        for place, row in enumerate(table.rows):
            group = list(groups).index(row.representation)
            style = line_style(group, 0) if len(methods) == 1 else line_style(methods[row.method], group)
            names = [row.representation] if len(groups) > 1 else []
            names += [row.method] if len(methods) > 1 or len(groups) == 1 else []
            lines.append(_line(table, row, place, (place, len(table.rows)), " · ".join(names), style))
        panels = [Panel("", tuple(lines))]
    else:
        panels = [
            Panel(
                representation,
                tuple(
                    _line(table, row, places[id(row)], (i, len(rows)), row.method, line_style(methods[row.method], 0))
                    for i, row in enumerate(rows)
                ),
            )
            for representation, rows in groups.items()
        ]
    return Chart(
        tuple(panels),
        x_label=SHOTS,
        x_name="n",
        y_label=f"{table.title} (%)",
        x_ticks=table.n_shots,
        guess=table.chance,
        share_y=True,
    )


def _line(table: TableData, row: Row, number: int, place: tuple[int, int], label: str, style: LineStyle) -> Line:
    """One method: points moved sideways by at most 6 %, so that the intervals of one n do not cover each other.

    Args:
        table (TableData): The table.
        row (Row): The row to draw.
        number (int): Its number in the table.
        place (pair of int): Its number among the lines of its panel, and how many these are.
        label (str): Its name in the legend.
        style (LineStyle): Its colour, marker and dash pattern.
    """
    i, n_lines = place
    step = min(0.025, 0.12 / max(1, n_lines - 1))
    points = tuple(
        Point(n, cell.mean, str(cell), cell.half_width)
        for n, cell in zip(table.n_shots, row.cells, strict=True)
        if cell is not None
    )
    return Line(label, style, points, shift=math.exp(step * (i - (n_lines - 1) / 2)), row=number)


def _draw(chart: Chart, theme: Theme) -> Figure:
    return _draw_together(chart, theme) if len(chart.panels) == 1 else _draw_panels(chart, theme)


def _draw_together(chart: Chart, theme: Theme) -> Figure:
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    _draw_lines(axes, chart, chart.panels[0], theme)
    axes.set(xlabel=chart.x_label, ylabel=wrapped(chart.y_label, LABEL_WIDTH))
    _legend(figure, [axes], len(chart.panels[0].lines) + 1)
    return figure


def _draw_panels(chart: Chart, theme: Theme) -> Figure:
    n_panels, n_labels = len(chart.panels), len({line.label for line in chart.lines})
    n_columns = 2 if n_panels in (2, 4) else 3
    n_rows = -(-n_panels // n_columns)
    figure = new_figure(7.6 if n_columns == 2 else 9.6, 0.9 + 2.6 * n_rows + 0.16 * n_labels / n_columns)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, panel in zip(grid, chart.panels, strict=False):
        _draw_lines(axes, chart, panel, theme)
        axes.set_title(wrapped(panel.title, 40))
        axes.tick_params(labelbottom=True)
    for axes in grid[n_panels:]:
        axes.set_axis_off()
    for i, axes in enumerate(grid):
        axes.set_xlabel(chart.x_label if i + n_columns >= n_panels else "")
    figure.supylabel(wrapped(chart.y_label, LABEL_WIDTH), fontsize=9)
    _legend(figure, grid, n_labels + 1)
    return figure


def _draw_lines(axes: Axes, chart: Chart, panel: Panel, theme: Theme) -> None:
    """The lines of a panel, and one at the accuracy of a guess, where it is known; in words where it is far below."""
    for line in panel.lines:
        axes.errorbar(
            [point.x * line.shift for point in line.points],
            [point.y for point in line.points],
            yerr=[math.nan if point.half_width is None else point.half_width for point in line.points],
            label=wrapped(line.label, 48),
            capsize=2,
            elinewidth=1,
            **line.style.drawn(theme),
        )
    if chart.guess is not None and chart.guess_is_far:
        words = f"a guess: {chart.guess:.3g} (below)"
        axes.text(0.99, 0.02, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=8, color=theme.muted)
    elif chart.guess is not None:
        axes.axhline(chart.guess, color=theme.text, linewidth=1.2, linestyle=(0, (6, 3)), label="a guess")
    _shots_axis(axes, chart.x_ticks)


def _shots_axis(axes: Axes, n_shots: tuple[int, ...]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(n_shots))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(n) for n in n_shots])
    axes.set_xlim(n_shots[0] / 1.15, n_shots[-1] * 1.15)


def _legend(figure: Figure, all_axes: Iterable[Axes], n_labels: int) -> None:
    """One legend below the axes, each label once."""
    handles: dict[str, Artist] = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    longest = max(len(line) for label in handles for line in label.splitlines())
    room = int(figure.get_figwidth() * 11 / (longest + 7))
    n_columns = max(1, min(room, n_labels, 4))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=n_columns)
