"""The section about one generator: the images nearest to its features, a projection, and the coverage of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape
from PIL.Image import Image

from lowshot.hallucination.inspection import Projection, Spread
from lowshot.report.figures.strip import LARGEST, SMALL
from lowshot.report.figures.style import Plot, Theme, drawable, new_figure
from lowshot.report.page import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_CLASS = 8
"""The number of generated features shown of each class."""


@dataclass(frozen=True)
class Neighbour:
    """The real image most like a generated feature; ``is_same`` where it shows the class that was meant."""

    image: Image
    name: str
    is_same: bool


@dataclass(frozen=True)
class GeneratedClass:
    """One novel class: its shots, the neighbours of its generated features, and all of them in a plane.

    ``shots`` and ``neighbours`` are empty without images at hand, and where nothing is generated.
    """

    name: str
    shots: Sequence[Image]
    neighbours: Sequence[Neighbour]
    projection: Projection


@dataclass(frozen=True)
class GeneratorView:
    """The content of the section about one generator.

    Attributes:
        generator (str): The name of the generator for people.
        representation (str): The name of the representation for people.
        key (str): The stem of the figures' file names, of this generator and representation alone.
        n_shots (int): The real shots per class.
        n_per_class (int): The number of examples that the generator brings each class to.
        classes (sequence of GeneratedClass): A few novel classes.
        spread (Spread): The coverage and the variance of the generated features, for all novel classes of the setup.
    """

    generator: str
    representation: str
    key: str
    n_shots: int
    n_per_class: int
    classes: Sequence[GeneratedClass]
    spread: Spread


def generator_section(view: GeneratorView) -> Section:
    """The section about a generator: text, a table of the coverage, and two figures."""
    title = f"Generator {view.generator} on {view.representation}"
    neighbours = Plot(
        name=f"generator_{view.key}_neighbours",
        caption=(
            f"On the left the real shots (n={view.n_shots}), on the right, framed, the test image most like each of up "
            f"to {PER_CLASS} generated features. A solid frame and ✓: an image of the same class."
        ),
        alt="; ".join(
            f"{one.name}: {sum(n.is_same for n in one.neighbours)} of {len(one.neighbours)} neighbours of its class"
            for one in view.classes
        ),
        draw=lambda theme: _draw_neighbours(view.classes, theme),
    )
    plane = Plot(
        name=f"generator_{view.key}_projection",
        caption="Shots, generated and held-out features of a class, in the plane in which they vary most (PCA).",
        alt=f"Scatter plots of shots, generated and held-out features of {len(view.classes)} novel classes.",
        draw=lambda theme: _draw_projections(view.classes, theme),
    )
    has_images = any(one.neighbours for one in view.classes)
    return Section(title, _text(view), [neighbours, plane] if has_images else [plane])


def _text(view: GeneratorView) -> Markup:
    spread = view.spread
    rows = (
        ("covered by the real shots alone", spread.covered_by_shots, 100, "%"),
        ("covered by shots and generated features", spread.covered, 100, "%"),
        ("generated features that lie near a held-out one", spread.precision, 100, "%"),
        ("variance of the generated over that of the held-out", spread.variance_ratio, 1, ""),
    )
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format(name, _mean(values, scale, unit))
        for name, values, scale, unit in rows
    )
    return Markup(
        "<p>With n={} the generator brings each of {} novel classes to {} examples. A held-out test feature is covered "
        "when a shot or a generated feature lies no farther from it than its fifth neighbour of the same class. "
        'Mean over classes:</p><div class="scroll"><table><tbody>{}</tbody></table></div>'
    ).format(view.n_shots, len(spread.classes), view.n_per_class, body)


def _mean(values: np.ndarray, scale: float, unit: str) -> Markup:
    known = values[np.isfinite(values)]
    return escape(f"{scale * known.mean():.{1 if unit else 2}f} {unit}".strip() if len(known) else "–")


def _draw_neighbours(classes: Sequence[GeneratedClass], theme: Theme) -> Figure:
    from matplotlib.patches import Rectangle  # after the figures, whose package imports matplotlib safely

    most_shots = max(len(one.shots) for one in classes)
    most_neighbours = max(len(one.neighbours) for one in classes)
    gap = 0.35  # of a tile, between the shots and the neighbours
    widths = [1.0] * most_shots + [gap] + [1.0] * most_neighbours
    figure = new_figure(0.95 * sum(widths), 1.38 * len(classes))
    grid = figure.subplots(len(classes), len(widths), squeeze=False, width_ratios=widths)
    for line, one in zip(grid, classes):
        for axes in line:
            axes.set_axis_off()
        line[0].set_title(drawable(one.name, 40), fontsize=8).set_in_layout(False)
        for axes, image in zip(line, one.shots):
            _show(axes, image)
        for axes, neighbour in zip(line[most_shots + 1 :], one.neighbours):
            _show(axes, neighbour.image)
            colour = theme.right if neighbour.is_same else theme.wrong
            dashes = "-" if neighbour.is_same else (0, (2, 1))
            where = {"transform": axes.transAxes, "clip_on": False}
            axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, lw=2, linestyle=dashes, **where))
            label = drawable("✓" if neighbour.is_same else f"✗ {neighbour.name}", 14)
            axes.text(0, -0.07, label, fontsize=6.5, color=colour, va="top", **where).set_in_layout(False)
    return figure


def _draw_projections(classes: Sequence[GeneratedClass], theme: Theme) -> Figure:
    figure = new_figure(2.6 * len(classes), 2.9)
    for axes, one in zip(figure.subplots(1, len(classes), squeeze=False)[0], classes):
        points = one.projection
        axes.scatter(*points.held_out.T, s=9, marker="o", color=theme.muted, alpha=0.6, label="held out")
        axes.scatter(*points.generated.T, s=22, marker="^", color=theme.lines[1], label="generated")
        axes.scatter(*points.real.T, s=60, marker="*", color=theme.lines[0], label="shots", zorder=3)
        axes.set_title(drawable(one.name, 24), fontsize=8)
        axes.set(xticks=[], yticks=[])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _show(axes: Axes, image: Image) -> None:
    thumbnail = image.convert("RGB")
    thumbnail.thumbnail((LARGEST, LARGEST))
    axes.imshow(np.asarray(thumbnail), interpolation="nearest" if max(image.size) <= SMALL else "antialiased")
