"""Strips of small images with captions below them, whole however long they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL.Image import Image, Resampling

from lowshot.report.figures.style import Theme, new_figure, wrapped

SMALL = 96
"""The longest side, in pixels, up to which an image is shown pixel by pixel."""
LARGEST = 192
"""The longest side, in pixels, of the copies of larger images that reports hold."""
PER_LINE = 10
INCHES = 0.9  # a tile; all lengths below are in tiles
GAP = 0.12
HEAD_LINE, CAPTION_LINE, CAPTION_GAP = 0.22, 0.105, 0.03
HEAD_WIDTH, CAPTION_WIDTH = 90, 17  # characters


@dataclass(frozen=True)
class Tile:
    """An image with its captions.

    Attributes:
        image (PIL image): The image.
        captions (sequence of str): The captions, one below the other; the last one has the colour of the frame.
        is_right (bool or None): True for a solid frame in the colour of what is right, False for a dashed one in that
            of what is wrong, None for no frame.
    """

    image: Image
    captions: Sequence[str]
    is_right: bool | None = None


@dataclass(frozen=True)
class Strip:
    """Tiles in lines of :data:`PER_LINE` below a heading."""

    title: str
    tiles: Sequence[Tile]

    @property
    def lines(self) -> list[Sequence[Tile]]:
        """The tiles of each line."""
        return [self.tiles[start : start + PER_LINE] for start in range(0, len(self.tiles), PER_LINE)]


def reduced(image: Image) -> Image:
    """The image in RGB, no larger than :data:`LARGEST`."""
    image = image.convert("RGB")
    image.thumbnail((LARGEST, LARGEST), Resampling.LANCZOS)
    return image


def is_photo(image: Image) -> bool:
    """True where an image is too large to be shown pixel by pixel."""
    return max(image.size) > SMALL


def draw_tiles(strips: Sequence[Strip], theme: Theme) -> Figure:
    """Draw strips one below the other; a line is as high as its longest caption needs."""
    height = sum(_head_height(strip) + sum(_line_height(line) for line in strip.lines) for strip in strips)
    width = PER_LINE * (1 + GAP)
    figure = new_figure(INCHES * width, INCHES * height)
    axes = figure.add_subplot()
    axes.set(xlim=(-GAP / 2, width), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.0
    for strip in strips:
        axes.text(0, top + 0.05, wrapped(strip.title, HEAD_WIDTH), fontsize=9, fontweight="bold", va="top")
        top += _head_height(strip)
        for line in strip.lines:
            for i, tile in enumerate(line):
                _draw(axes, tile, i * (1 + GAP), top, theme)
            top += _line_height(line)
    axes.set_aspect("equal")
    return figure


def _head_height(strip: Strip) -> float:
    return HEAD_LINE * _n_lines(strip.title, HEAD_WIDTH) + GAP


def _line_height(line: Sequence[Tile]) -> float:
    return 1 + 2 * GAP + max(sum(map(_caption_height, tile.captions)) for tile in line)


def _caption_height(caption: str) -> float:
    return CAPTION_GAP + CAPTION_LINE * _n_lines(caption, CAPTION_WIDTH)


def _n_lines(text: str, width: int) -> int:
    return len(wrapped(text, width).splitlines())


def _draw(axes: Axes, tile: Tile, left: float, top: float, theme: Theme) -> None:
    pixels = np.asarray(reduced(tile.image))
    smooth = "antialiased" if is_photo(tile.image) else "nearest"
    height, width = (side / max(pixels.shape[:2]) for side in pixels.shape[:2])
    x, y = left + (1 - width) / 2, top + (1 - height) / 2
    axes.imshow(pixels, extent=(x, x + width, y + height, y), interpolation=smooth, clip_on=False)
    colour = theme.text if tile.is_right is None else theme.right if tile.is_right else theme.wrong
    if tile.is_right is not None:
        dashes = "-" if tile.is_right else (0, (2, 1))
        frame = Rectangle((left, top), 1, 1, fill=False, edgecolor=colour, linewidth=2, linestyle=dashes, clip_on=False)
        axes.add_patch(frame)
    below = top + 1.05
    for place, caption in enumerate(tile.captions, start=1):
        own = colour if place == len(tile.captions) else theme.text
        axes.text(left, below, wrapped(caption, CAPTION_WIDTH), fontsize=6, color=own, va="top", linespacing=1.1)
        below += _caption_height(caption)
