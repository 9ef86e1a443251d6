"""Training curves: losses and accuracies against the epoch, for each representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from lowshot.report.figures.chart import Chart, Line, Panel, Point
from lowshot.report.figures.style import DASHES, LIGHT, LineStyle, Plot, Theme, new_figure, wrapped

Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Quantities:
    """The quantities of the training log that share axes: {key: label}, multiplied by ``scale``."""

    title: str
    curves: Mapping[str, str]
    scale: float = 1
    logarithmic: bool = False


PANELS = (
    Quantities("loss", {"loss": "total", "cross_entropy": "cross-entropy"}),
    # Auxiliary losses of different kinds differ by orders of magnitude.
    Quantities("auxiliary loss, before its weight", {"auxiliary": "training"}, logarithmic=True),
    Quantities("top-1 accuracy (%)", {"val_top1": "validation", "train_top1": "training"}, scale=100),
    Quantities("top-5 accuracy (%)", {"val_top5": "validation"}, scale=100),
)


def training_plot(logs: Mapping[str, Log]) -> Plot | None:
    """A colour per representation, a dash pattern per quantity, a panel per kind that was logged.

    Args:
        logs (mapping): The records of the ``log.jsonl`` of each representation, with ``epoch`` and the keys of
            :data:`PANELS`; values that were not measured are None or absent.

    Returns:
        The plot, or None where no log holds such a quantity, as for representations that were not trained here.
    """
    panels = [panel for panel in PANELS if any(_points(log, key) for log in logs.values() for key in panel.curves)]
    if not panels:
        return None
    ends = "; ".join(f"{name}: {_end(log, panels)}" for name, log in logs.items() if log)
    chart = _chart(logs, panels)
    return Plot(
        name="training",
        caption="A colour per representation, a dash pattern per quantity.",
        alt=f"Line charts of losses and accuracies against the epoch of training. Last values: {ends}.",
        draw=lambda theme: _draw(chart, list(logs), theme),
        chart=chart,
    )


def _points(log: Log, key: str) -> list[tuple[int, float]]:
    """The (epoch, value) pairs of the epochs at which the quantity was measured."""
    return [(record["epoch"], record[key]) for record in log if record.get(key) is not None]


def _end(log: Log, panels: Sequence[Quantities]) -> str:
    measured = {key: points[-1][1] for panel in panels for key in panel.curves if (points := _points(log, key))}
    return ", ".join(f"{key} {value:.3g}" for key, value in measured.items())


def _chart(logs: Mapping[str, Log], panels: Sequence[Quantities]) -> Chart:
    return Chart(tuple(_panel(logs, panel) for panel in panels), x_label="epoch", x_name="epoch")


def _panel(logs: Mapping[str, Log], panel: Quantities) -> Panel:
    lines = []
    for i, (name, log) in enumerate(logs.items()):
        for dash, (key, part) in zip(DASHES, panel.curves.items(), strict=False):
            points = [(epoch, panel.scale * value) for epoch, value in _points(log, key)]
            style = LineStyle(i % len(LIGHT.lines), "o", dash)
            drawn = tuple(Point(epoch, value, f"{value:.3g}") for epoch, value in points)
            part = part if len(panel.curves) > 1 else ""
            lines.append(Line(name, style, drawn, part, has_markers=len(points) == 1))
    is_log = panel.logarithmic and min(point.y for line in lines for point in line.points) > 0
    return Panel(panel.title, tuple(lines), is_log)


def _draw(chart: Chart, names: Sequence[str], theme: Theme) -> Figure:
    n_columns = 3 if len(chart.panels) == 3 else min(2, len(chart.panels))
    n_rows = -(-len(chart.panels) // n_columns)
    figure = new_figure(3.3 * n_columns + 0.6, 2.6 * n_rows + 0.5)
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, panel in zip(grid, chart.panels, strict=True):
        _draw_panel(axes, panel, theme)
    for axes in grid[-n_columns:]:
        axes.set_xlabel(chart.x_label)
    colours = [Line2D([], [], color=theme.lines[i % len(theme.lines)], linewidth=2.5) for i in range(len(names))]
    labels = [wrapped(name, 32) for name in names]
    figure.legend(colours, labels, loc="outside lower center", ncols=min(4, len(names)))
    return figure


def _draw_panel(axes: Axes, panel: Panel, theme: Theme) -> None:
    axes.set_title(panel.title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for line in panel.lines:
        style = line.style.drawn(theme) | ({} if line.has_markers else {"marker": ""})
        axes.plot([point.x for point in line.points], [point.y for point in line.points], **style)
    if panel.y_is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    dashes = {line.part: line.style.drawn(theme)["linestyle"] for line in panel.lines if line.part}
    if dashes:
        handles = [Line2D([], [], color=theme.muted, linestyle=dash) for dash in dashes.values()]
        axes.legend(handles, list(dashes), fontsize=8)
