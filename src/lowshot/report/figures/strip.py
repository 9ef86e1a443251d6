"""A strip of test images, each with its true and its predicted class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from lowshot.report.figures.style import Plot
from lowshot.report.figures.tiles import Strip, Tile, draw_tiles, is_photo, reduced


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
        return is_photo(self.image)

    @property
    def thumbnail(self) -> Image:
        """The image in RGB, no larger than reports hold it."""
        return reduced(self.image)

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
        draw=lambda theme: draw_tiles(_strips(examples), theme),
    )


def _strips(examples: Sequence[Example]) -> list[Strip]:
    return [
        Strip(
            source,
            [
                Tile(
                    example.image,
                    (f"is {example.true}", f"{'✓' if example.is_right else '✗'} said {example.predicted}"),
                    example.is_right,
                )
                for example in group
            ],
        )
        for source, group in by_source(examples).items()
    ]
