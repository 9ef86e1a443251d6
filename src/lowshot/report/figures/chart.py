"""The numbers of a line figure: matplotlib draws them for paper, and the page's script draws them for the pointer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lowshot.report.figures.style import LineStyle

FAR = 0.25
"""A guess is far below the lines where the gap to them is more than this share of their own range."""


@dataclass(frozen=True)
class Point:
    """A point of a line.

    Attributes:
        x (float): The number of shots, or the epoch.
        y (float): The value.
        text (str): The value as the page shows it.
        half_width (float or None): Half the 95 % interval of the value, where it has one.
    """

    x: float
    y: float
    text: str
    half_width: float | None = None


@dataclass(frozen=True)
class Line:
    """A line of a panel.

    Attributes:
        label (str): The entry of the legend that it belongs to, whose lines are shown and hidden together.
        style (LineStyle): The colour, the marker and the dash pattern.
        points (tuple of Point): The points, in order of x.
        part (str): The quantity, where a panel shows several of one label.
        shift (float): The factor of x that keeps the intervals of one x beside each other.
        row (int or None): The row of the table whose numbers these are.
        has_markers (bool): True where the points are marked.
    """

    label: str
    style: LineStyle
    points: tuple[Point, ...]
    part: str = ""
    shift: float = 1.0
    row: int | None = None
    has_markers: bool = True


@dataclass(frozen=True)
class Panel:
    """Lines on one pair of axes; ``title`` is empty where the figure has only one."""

    title: str
    lines: tuple[Line, ...]
    y_is_log: bool = False


@dataclass(frozen=True)
class Chart:
    """A figure of one or several panels.

    Attributes:
        panels (tuple of Panel): The panels.
        x_label (str): The label of the horizontal axes.
        x_name (str): The short name of x, before its value.
        y_label (str): The label of the vertical axes; empty where the titles of the panels say it.
        x_ticks (tuple of int): The values that a logarithmic horizontal axis names; empty for a linear one.
        guess (float or None): The accuracy of a guess, drawn as a line unless :attr:`guess_is_far`.
        share_y (bool): True where all panels have the same vertical axis.
    """

    panels: tuple[Panel, ...]
    x_label: str
    x_name: str
    y_label: str = ""
    x_ticks: tuple[int, ...] = ()
    guess: float | None = None
    share_y: bool = False

    @property
    def lines(self) -> Iterator[Line]:
        """The lines of all panels."""
        return (line for panel in self.panels for line in panel.lines)

    @property
    def guess_is_far(self) -> bool:
        """True where a guess lies so far below all lines that drawing it would flatten them."""
        ends = [p.y + sign * (p.half_width or 0.0) for line in self.lines for p in line.points for sign in (-1, 1)]
        if self.guess is None or not ends:
            return False
        return min(ends) - self.guess > FAR * (max(ends) - min(ends))

    def as_json(self) -> dict[str, Any]:
        """The chart as the page's script reads it; a point is [x, y, half the interval, text]."""
        return {
            "panels": [
                {"title": panel.title, "logY": panel.y_is_log, "lines": [_line_as_json(line) for line in panel.lines]}
                for panel in self.panels
            ],
            "xLabel": self.x_label,
            "xName": self.x_name,
            "yLabel": self.y_label,
            "xTicks": list(self.x_ticks),
            "guess": self.guess,
            "guessIsFar": self.guess_is_far,
            "shareY": self.share_y,
        }


def _line_as_json(line: Line) -> dict[str, Any]:
    return {
        "label": line.label,
        "part": line.part,
        "row": line.row,
        "colour": line.style.colour,
        "marker": line.style.marker if line.has_markers else "",
        "dash": list(line.style.dash),
        "shift": round(line.shift, 5),
        "points": [[p.x, _short(p.y), _short(p.half_width), p.text] for p in line.points],
    }


def _short(value: float | None) -> float | None:
    """A number with the digits that a figure can show."""
    return None if value is None else float(f"{value:.5g}")
