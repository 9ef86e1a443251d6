"""Accuracy against the number of shots, a line with 95 % intervals per method."""

from __future__ import annotations

import math
from collections.abc import Iterable

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lowshot.report.figures.style import Plot, Theme, line_style, new_figure, wrapped
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
    guess = "" if table.chance is None else f" A dashed line at {table.chance:.3g}: a guess."
    return Plot(
        name=f"accuracy_{table.metric}",
        caption="Bars are the 95 % intervals of the table; points of one n stand side by side so that none hides.",
        alt=f"Line chart of accuracy in per cent against the number of shots. {ends}.{guess}",
        draw=lambda theme: _draw(table, theme),
    )


def _draw(table: TableData, theme: Theme) -> Figure:
    groups = table.groups
    methods = {method: i for i, method in enumerate(dict.fromkeys(row.method for row in table.rows))}
    if len(table.rows) <= FEW or len(groups) == 1:
        return _draw_together(table, groups, methods, theme)
    return _draw_panels(table, groups, methods, theme)


def _draw_together(table: TableData, groups: dict[str, list[Row]], methods: dict[str, int], theme: Theme) -> Figure:
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    for place, row in enumerate(table.rows):
        group = list(groups).index(row.representation)
        style = line_style(group, 0, theme) if len(methods) == 1 else line_style(methods[row.method], group, theme)
        names = [row.representation] if len(groups) > 1 else []
        names += [row.method] if len(methods) > 1 or len(groups) == 1 else []
        label = " · ".join(names)
        _line(axes, table, row, place, len(table.rows), label, style)
    _guess(axes, table, theme)
    _shots_axis(axes, table.n_shots)
    axes.set(xlabel=SHOTS, ylabel=_accuracy(table))
    _legend(figure, [axes], len(table.rows) + 1)
    return figure


def _draw_panels(table: TableData, groups: dict[str, list[Row]], methods: dict[str, int], theme: Theme) -> Figure:
    n_columns = 2 if len(groups) in (2, 4) else 3
    n_rows = -(-len(groups) // n_columns)
    figure = new_figure(7.6 if n_columns == 2 else 9.6, 0.9 + 2.6 * n_rows + 0.16 * len(methods) / n_columns)
    grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (representation, rows) in zip(grid, groups.items(), strict=False):
        for place, row in enumerate(rows):
            _line(axes, table, row, place, len(rows), row.method, line_style(methods[row.method], 0, theme))
        _guess(axes, table, theme)
        axes.set_title(wrapped(representation, 40))
        axes.tick_params(labelbottom=True)
        _shots_axis(axes, table.n_shots)
    for axes in grid[len(groups) :]:
        axes.set_axis_off()
    for i, axes in enumerate(grid):
        axes.set_xlabel(SHOTS if i + n_columns >= len(groups) else "")
    figure.supylabel(_accuracy(table), fontsize=9)
    _legend(figure, grid, len(methods) + 1)
    return figure


def _line(axes: Axes, table: TableData, row: Row, place: int, n_lines: int, label: str, style: dict) -> None:
    """One method: points moved sideways by at most 6 %, so that the intervals of one n do not cover each other."""
    step = min(0.025, 0.12 / max(1, n_lines - 1))
    shift = math.exp(step * (place - (n_lines - 1) / 2))
    measured = [(n, cell) for n, cell in zip(table.n_shots, row.cells, strict=True) if cell is not None]
    axes.errorbar(
        [n * shift for n, _ in measured],
        [cell.mean for _, cell in measured],
        yerr=[math.nan if cell.half_width is None else cell.half_width for _, cell in measured],
        label=wrapped(label, 48),
        capsize=2,
        elinewidth=1,
        **style,
    )


def _guess(axes: Axes, table: TableData, theme: Theme) -> None:
    """A line at the accuracy of a guess, where it is known."""
    if table.chance is not None:
        axes.axhline(table.chance, color=theme.text, linewidth=1.2, linestyle=(0, (6, 3)), label="a guess")


def _accuracy(table: TableData) -> str:
    return wrapped(f"{table.title} (%)", LABEL_WIDTH)


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
