"""A tuned grid as a table: every point, the best one marked, and a word where the range was too narrow."""

from __future__ import annotations

from typing import Any

from lowshot.benchmark.parameter_grid import Tuning
from lowshot.report.text_table import Grid

BEST = "◀ best"


def tuning_table(tuning: Tuning, title: str) -> Grid:
    """A row for each point of the grid: the target with its 95 % interval, then each number of shots, in per cent."""
    best = tuning.best
    rows = [
        [
            *(_text(value) for value in point.params.values()),
            _percent(point.value),
            "" if point.half_width is None else f"± {100 * point.half_width:.2f}",
            *(_percent(value) for value in point.by_n_shots.values()),
            BEST if point is best else "",
        ]
        for point in tuning.points
    ]
    head = [*tuning.grid, tuning.target, "", *(f"n={n}" for n in tuning.n_shots), ""]
    return Grid(title, head, rows, _caption(tuning), names=len(tuning.grid))


def _caption(tuning: Tuning) -> str:
    experiments = f"{tuning.n_experiments} experiment{'s' if tuning.n_experiments > 1 else ''}"
    lines = [f"Per cent on setup val, {experiments}; ± half of a 95 % interval."]
    if any(point.value is None for point in tuning.points):
        lines.append("NaN: the training diverged, or scores were no numbers; such a point never wins.")
    for name, edge in tuning.edges.items():
        beyond = "larger" if edge == "largest" else "smaller"
        lines.append(
            f"{name}={_text(tuning.best.params[name])} is the {edge} value tried: a {beyond} one may be better."
        )
    return "\n".join(lines)


def _percent(fraction: float | None) -> str:
    return "NaN" if fraction is None else f"{100 * fraction:.2f}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
