"""Training curves: losses and accuracies against the epoch, for each representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from lowshot.report.figures.style import DASHES, Plot, Theme, new_figure, wrapped

Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """The quantities of the training log that share axes: {key: label}, multiplied by ``scale``."""

    title: str
    curves: Mapping[str, str]
    scale: float = 1
    logarithmic: bool = False


PANELS = (
    Panel("loss", {"loss": "total", "cross_entropy": "cross-entropy"}),
    # Auxiliary losses of different kinds differ by orders of magnitude.
    Panel("auxiliary loss, before its weight", {"auxiliary": "training"}, logarithmic=True),
    Panel("top-1 accuracy (%)", {"val_top1": "validation", "train_top1": "training"}, scale=100),
    Panel("top-5 accuracy (%)", {"val_top5": "validation"}, scale=100),
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
    return Plot(
        name="training",
        caption="A colour per representation, a dash pattern per quantity.",
        alt=f"Line charts of losses and accuracies against the epoch of training. Last values: {ends}.",
        draw=lambda theme: _draw(logs, panels, theme),
    )


def _points(log: Log, key: str) -> list[tuple[int, float]]:
    """The (epoch, value) pairs of the epochs at which the quantity was measured."""
    return [(record["epoch"], record[key]) for record in log if record.get(key) is not None]


def _end(log: Log, panels: Sequence[Panel]) -> str:
    measured = {key: points[-1][1] for panel in panels for key in panel.curves if (points := _points(log, key))}
    return ", ".join(f"{key} {value:.3g}" for key, value in measured.items())


def _draw(logs: Mapping[str, Log], panels: Sequence[Panel], theme: Theme) -> Figure:
    n_columns = 3 if len(panels) == 3 else min(2, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = new_figure(3.3 * n_columns + 0.6, 2.6 * n_rows + 0.5)
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, logs, panel, theme)
    for axes in grid[-n_columns:]:
        axes.set_xlabel("epoch")
    colours = [Line2D([], [], color=theme.lines[i % len(theme.lines)], linewidth=2.5) for i in range(len(logs))]
    figure.legend(colours, [wrapped(name, 32) for name in logs], loc="outside lower center", ncols=min(4, len(logs)))
    return figure


def _draw_panel(axes: Axes, logs: Mapping[str, Log], panel: Panel, theme: Theme) -> None:
    axes.set_title(panel.title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for line, log in enumerate(logs.values()):
        for dash, key in enumerate(panel.curves):
            points = _points(log, key)
            axes.plot(
                [epoch for epoch, _ in points],
                [panel.scale * value for _, value in points],
                color=theme.lines[line % len(theme.lines)],
                linestyle=DASHES[dash],
                marker="o" if len(points) == 1 else "",
            )
    measured = [value for log in logs.values() for key in panel.curves for _, value in _points(log, key)]
    if panel.logarithmic and min(measured) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    if len(panel.curves) > 1:
        handles = [Line2D([], [], color=theme.muted, linestyle=DASHES[i]) for i in range(len(panel.curves))]
        axes.legend(handles, list(panel.curves.values()), fontsize=8)
