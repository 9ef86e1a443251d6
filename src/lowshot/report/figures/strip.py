"""A strip of test images, each with its true and its predicted class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL.Image import Image, Resampling

from lowshot.report.figures.style import Plot, Theme, drawable, new_figure

SMALL = 96
"""The longest side, in pixels, up to which an image is shown pixel by pixel."""
LARGEST = 192
"""The longest side, in pixels, of the copies of larger images that reports hold."""
PER_LINE = 10
GAP = 0.12  # between tiles, in widths of a tile
BELOW = 0.42  # room for two lines of caption
SMALLEST = 5.0  # points, of a long caption


@dataclass(frozen=True)
class Example:
    """A test image with its true and its predicted class, by one method at one number of shots."""

    image: Image
    true: str
    predicted: str
    representation: str
    method: str
    n_shots: int

    @property
    def is_right(self) -> bool:
        """True where the predicted class is the true one."""
        return self.true == self.predicted

    @property
    def is_photo(self) -> bool:
        """True where the image is too large to be shown pixel by pixel."""
        return max(self.image.size) > SMALL

    @property
    def thumbnail(self) -> Image:
        """The image in RGB, reduced to :data:`LARGEST`."""
        image = self.image.convert("RGB")
        image.thumbnail((LARGEST, LARGEST), Resampling.LANCZOS)
        return image

    @property
    def source(self) -> str:
        """The representation, the method and the number of shots that the prediction was made with."""
        return f"{self.representation} · {self.method} · n={self.n_shots}"


def by_source(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """The examples of each :attr:`Example.source`, in order of first appearance."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.source, []).append(example)
    return groups


def strip_plot(examples: Sequence[Example]) -> Plot:
    """Tiles with the true class, the predicted one, and ✓ or ✗ beside the colour of the frame."""
    lines = "; ".join(
        f"{source}: {sum(example.is_right for example in group)} of {len(group)} right"
        for source, group in by_source(examples).items()
    )
    return Plot(
        name="examples",
        caption="Test images with their class and the predicted one.",
        alt=f"Test images with true and predicted class. {lines}.",
        draw=lambda theme: _draw(examples, theme),
    )


def _draw(examples: Sequence[Example], theme: Theme) -> Figure:
    groups = by_source(examples)
    step_x, step_y, head = 1 + GAP, 1 + BELOW + GAP, 0.32
    n_lines = {source: -(-len(group) // PER_LINE) for source, group in groups.items()}
    height = sum(head + lines * step_y for lines in n_lines.values())
    width = PER_LINE * step_x
    figure = new_figure(0.9 * width, 0.9 * height)
    axes = figure.add_subplot()
    axes.set(xlim=(-GAP / 2, width), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.0
    for source, group in groups.items():
        axes.text(0, top + 0.2, drawable(source, 90), fontsize=9, fontweight="bold", va="baseline")
        for i, example in enumerate(group):
            _tile(axes, example, i % PER_LINE * step_x, top + head + i // PER_LINE * step_y, theme)
        top += head + n_lines[source] * step_y
    axes.set_aspect("equal")
    return figure


def _tile(axes: Axes, example: Example, left: float, top: float, theme: Theme) -> None:
    colour, mark = (theme.right, "✓") if example.is_right else (theme.wrong, "✗")
    pixels = np.asarray(example.thumbnail)
    smooth = "antialiased" if example.is_photo else "nearest"
    height, width = (side / max(pixels.shape[:2]) for side in pixels.shape[:2])
    x, y = left + (1 - width) / 2, top + (1 - height) / 2
    axes.imshow(pixels, extent=(x, x + width, y + height, y), interpolation=smooth, clip_on=False)
    dashes = "-" if example.is_right else (0, (2, 1))
    frame = Rectangle((left, top), 1, 1, fill=False, edgecolor=colour, linewidth=2, linestyle=dashes, clip_on=False)
    axes.add_patch(frame)
    axes.text(left, top + 1.17, color=theme.text, **_fitting(f"is {example.true}"))
    axes.text(left, top + 1.36, color=colour, **_fitting(f"{mark} said {example.predicted}"))


def _fitting(text: str) -> dict[str, Any]:
    """A text that is no wider than an image: longer ones are written smaller, and cut where that is not enough."""
    size = max(SMALLEST, 7 * min(1, 15 / len(text)))
    return {"s": drawable(text, round(15 * 7 / size)), "fontsize": size}
