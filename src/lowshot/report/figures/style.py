"""The style of all figures: two themes, a palette safe for colour blindness, and files that depend on nothing else.

A figure is a :class:`Plot`: a name, what it shows, and a function that draws it in a theme. It is drawn on
matplotlib's object interface under matplotlib's own defaults, so neither pyplot's state nor a user's ``matplotlibrc``
nor the time of day reaches the file.
"""

from __future__ import annotations

import io
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

if TYPE_CHECKING:
    from lowshot.report.figures.chart import Chart


@dataclass(frozen=True)
class Theme:
    """The colours of a figure; ``right`` and ``wrong`` are always drawn together with ✓ and ✗."""

    name: str
    background: str
    text: str
    muted: str
    grid: str
    lines: tuple[str, ...]
    right: str
    wrong: str


# Okabe & Ito's palette without its yellow, which vanishes on white; lightened for the dark page.
LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#1c2024",
    muted="#5c6570",
    grid="#dde1e6",
    lines=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2024"),
    right="#00795a",
    wrong="#c44f00",
)
DARK = Theme(
    name="dark",
    background="#1b1f24",
    text="#e6e9ed",
    muted="#9aa4af",
    grid="#343b44",
    lines=("#4ba3e3", "#f58a4b", "#2fbf96", "#e39ac4", "#f2bd4a", "#a5d8f7", "#e6e9ed"),
    right="#2fbf96",
    wrong="#f58a4b",
)

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.5), (5, 1.5, 1, 1.5), (8, 2), (3, 1, 1, 1, 1, 1))
"""Lengths of dashes and gaps in widths of the line; empty for a solid line."""


@dataclass(frozen=True)
class LineStyle:
    """The place of a line's colour in :attr:`Theme.lines`, its marker as matplotlib names it, and its dashes."""

    colour: int
    marker: str
    dash: tuple[float, ...] = ()

    def drawn(self, theme: Theme) -> dict[str, Any]:
        """The style as keyword arguments of matplotlib's lines."""
        dashes = {"linestyle": (0, self.dash) if self.dash else "-"}
        return {"color": theme.lines[self.colour], "marker": self.marker, **dashes}


@dataclass(frozen=True)
class Plot:
    """A figure that a report can save and embed.

    Attributes:
        name (str): The stem of its files, such as ``accuracy_novel_top5``.
        caption (str): The sentence below it.
        alt (str): The content in words, for someone who cannot see it.
        draw (callable): The function that draws it in a :class:`Theme`.
        chart (Chart or None): Its numbers, from which the page's script draws a figure that shows values on hover; None
            where there is only the drawing.
    """

    name: str
    caption: str
    alt: str
    draw: Callable[[Theme], Figure]
    chart: Chart | None = None


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, whose parts make room for each other."""
    return Figure(figsize=(width, height), layout="constrained")


def render(plot: Plot, theme: Theme = LIGHT, formats: Sequence[str] = ("png",)) -> dict[str, bytes]:
    """Draw a plot; the same plot gives the same bytes.

    Args:
        plot (Plot): The plot.
        theme (Theme): The colours.
        formats (sequence of str): The file formats, of "png" and "pdf".

    Returns:
        The bytes of the file in each format.
    """
    with matplotlib.style.context(["default", _settings(theme)]):
        figure = plot.draw(theme)
        return {format: _saved(figure, format) for format in formats}


def line_style(line: int, dash: int) -> LineStyle:
    """Colour and marker of the ``line``-th line, which repeat after 56, and the dash pattern of its group."""
    dashes = DASHES[(dash + line // len(LIGHT.lines)) % len(DASHES)]
    return LineStyle(line % len(LIGHT.lines), MARKERS[line % len(MARKERS)], dashes)


def drawable(text: str) -> str:
    """``text`` as matplotlib can show it: code points that the font lacks become [U+4E2D], the rest stays.

    An empty label, or one that starts with an underscore, would be left out of a legend and gets a space in front.
    """
    known = _known_code_points()
    letters = [c if ord(c) in known else f"[U+{ord(c):04X}]" for c in unicodedata.normalize("NFC", text)]
    text = "".join(letters)
    return f" {text}" if text[:1] in ("", "_") else text


def wrapped(text: str, width: int) -> str:
    """``text`` as matplotlib can show it, whole, in lines of at most ``width`` characters."""
    return "\n".join(textwrap.wrap(drawable(text), width)) or " "


def _saved(figure: Figure, format: str) -> bytes:
    dated = {"png": ["Software"], "pdf": ["CreationDate", "Creator", "Producer"]}[format]
    file = io.BytesIO()
    figure.savefig(file, format=format, metadata=dict.fromkeys(dated))
    return file.getvalue()


def _settings(theme: Theme) -> dict[str, Any]:
    return {
        "figure.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.text,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "text.color": theme.text,
        "text.parse_math": False,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.text,
        "ytick.labelcolor": theme.text,
        "font.size": 9,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "legend.frameon": False,
        "legend.handlelength": 3.2,
        "savefig.dpi": 150,
        "pdf.fonttype": 42,
    }


@lru_cache(maxsize=1)
def _known_code_points() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())
