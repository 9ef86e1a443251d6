"""One generator as the report shows it: the numbers of its features, the images nearest to them, and projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL.Image import Image

from lowshot.hallucination.inspection import Landing, Projection, Spread
from lowshot.report.figures.style import Plot, Theme, new_figure, wrapped
from lowshot.report.figures.tiles import Strip, Tile, draw_tiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_CLASS = 8
"""The most images of each class that are shown as nearest to its generated features."""


@dataclass(frozen=True)
class Neighbour:
    """A real image that is nearest to generated features of a class.

    Attributes:
        image (PIL image): The image.
        name (str): The name of the class that it shows.
        is_same (bool): True where that is the class that was meant.
        times (int): The number of generated features of the class to which no other image is nearer.
    """

    image: Image
    name: str
    is_same: bool
    times: int = 1

    @property
    def caption(self) -> str:
        """``×3 ✓``, or ``×3 ✗ fox`` where another class was meant."""
        return f"×{self.times} {'✓' if self.is_same else f'✗ {self.name}'}"


@dataclass(frozen=True)
class GeneratedClass:
    """One novel class: its shots, the neighbours of its generated features, and all of them in a plane.

    ``shots`` and ``neighbours`` are empty without images at hand, and where nothing is generated.

    Attributes:
        name (str): The name of the class.
        shots (sequence of images): Its shots.
        neighbours (sequence of Neighbour): Up to :data:`PER_CLASS` images, those nearest to most features first.
        projection (Projection): Shots, generated and held-out features in a common plane.
        n_nearest (int): The number of images that are nearest to any of its generated features, those shown included.
    """

    name: str
    shots: Sequence[Image]
    neighbours: Sequence[Neighbour]
    projection: Projection
    n_nearest: int = 0


@dataclass(frozen=True)
class Measures:
    """The measures of a generator's features, shares as fractions; NaN for what is not known.

    All but the last two are means over classes, of the arrays of :class:`~lowshot.hallucination.inspection.Spread` and
    :class:`~lowshot.hallucination.inspection.Landing`.
    """

    covered_by_shots: float
    covered: float
    covered_by_others: float
    precision: float
    variance_ratio: float
    shots_near_own: float
    shots_near_novel: float
    shots_near_base: float
    near_own: float
    near_novel: float
    near_base: float
    shots_worth: float
    worth: float


@dataclass(frozen=True)
class GeneratorView:
    """The content of the report about one generator on one representation.

    Attributes:
        generator (str): The name of the generator for people.
        representation (str): The name of the representation for people.
        key (str): The stem of the figures' file names, of this generator and representation alone.
        n_shots (int): The real shots per class.
        n_per_class (int): The number of examples that the generator brings each class to.
        classes (sequence of GeneratedClass): A few novel classes.
        spread (Spread): The coverage and the variance of the generated features, for all novel classes of the setup.
        shots_landing (Landing): The classes of the held-out features nearest to the shots of all novel classes.
        landing (Landing or None): The same for the generated features; None where nothing is generated.
        shots_worth (float): The number of real images that the mean of the shots is worth, by
            :func:`~lowshot.hallucination.inspection.worth_in_images`.
        worth (float): The same for the mean of shots and generated features.
    """

    generator: str
    representation: str
    key: str
    n_shots: int
    n_per_class: int
    classes: Sequence[GeneratedClass]
    spread: Spread
    shots_landing: Landing
    landing: Landing | None
    shots_worth: float
    worth: float

    @property
    def title(self) -> str:
        """The generator and the representation."""
        return f"{self.generator} on {self.representation}"

    @cached_property
    def measures(self) -> Measures:
        """The means over classes."""
        spread, shots, made = self.spread, self.shots_landing, self.landing
        return Measures(
            covered_by_shots=_mean(spread.covered_by_shots),
            covered=_mean(spread.covered),
            covered_by_others=_mean(spread.covered_by_others),
            precision=_mean(spread.precision),
            variance_ratio=_mean(spread.variance_ratio),
            shots_near_own=_mean(shots.own),
            shots_near_novel=_mean(shots.novel),
            shots_near_base=_mean(shots.base),
            near_own=np.nan if made is None else _mean(made.own),
            near_novel=np.nan if made is None else _mean(made.novel),
            near_base=np.nan if made is None else _mean(made.base),
            shots_worth=self.shots_worth,
            worth=self.worth,
        )


def _mean(values: np.ndarray) -> float:
    """The mean over the classes that have a value; NaN without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def neighbours_plot(view: GeneratorView) -> Plot | None:
    """The shots of each class, and the images nearest to its generated features; None without images."""
    classes = [one for one in view.classes if one.neighbours]
    if not classes:
        return None
    strips = [
        Strip(
            one.name,
            [
                *(Tile(image, ("shot",)) for image in one.shots),
                *(Tile(found.image, (found.caption,), found.is_same) for found in one.neighbours),
            ],
        )
        for one in classes
    ]
    return Plot(
        name=f"generator_{view.key}_neighbours",
        caption="Shots, and the test images nearest to generated features, with the number of features.",
        alt="; ".join(neighbours_in_words(one) for one in classes),
        draw=lambda theme: draw_tiles(strips, theme),
    )


def neighbours_in_words(one: GeneratedClass) -> str:
    """The number of shown neighbours that are of the class."""
    return f"{one.name}: {sum(n.is_same for n in one.neighbours)} of {len(one.neighbours)} neighbours of its class"


def projection_plot(view: GeneratorView) -> Plot:
    """Shots, generated and held-out features of each class in a plane; the axes say how much of the variance it has."""
    shares = "; ".join(
        f"{one.name}: {_share(one.projection, 0)} and {_share(one.projection, 1)}" for one in view.classes
    )
    return Plot(
        name=f"generator_{view.key}_projection",
        caption="Shots, generated and held-out features of a class, in the plane in which they vary most (PCA). What "
        "is apart in other directions can lie together here: the axes say which share of the variance they show.",
        alt=f"Scatter plots of shots, generated and held-out features of {len(view.classes)} novel classes. "
        f"Shares of the variance on both axes: {shares}.",
        draw=lambda theme: _draw_projections(view.classes, theme),
    )


def _share(projection: Projection, axis: int) -> str:
    return f"{100 * projection.explained[axis]:.0f} %"


def _draw_projections(classes: Sequence[GeneratedClass], theme: Theme) -> Figure:
    figure = new_figure(2.6 * len(classes), 3.2)
    for axes, one in zip(figure.subplots(1, len(classes), squeeze=False)[0], classes):
        points = one.projection
        axes.scatter(*points.held_out.T, s=9, marker="o", color=theme.muted, alpha=0.6, label="held out")
        axes.scatter(*points.generated.T, s=22, marker="^", color=theme.lines[1], label="generated")
        axes.scatter(*points.real.T, s=60, marker="*", color=theme.lines[0], label="shots", zorder=3)
        axes.set_title(wrapped(one.name, 26), fontsize=8)
        axes.set(xticks=[], yticks=[])
        for axis, write in enumerate((axes.set_xlabel, axes.set_ylabel)):
            write(f"component {axis + 1}: {_share(points, axis)}", fontsize=8)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
