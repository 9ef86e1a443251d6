"""The section about a generator says what was measured and shows it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.hallucination.inspection import Projection, Spread
from lowshot.report.figures.style import render
from lowshot.report.generators import GeneratedClass, GeneratorView, Neighbour, generator_section

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def view() -> GeneratorView:
    rng = np.random.default_rng(0)

    def image() -> Image.Image:
        return Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))

    plane = Projection(rng.random((1, 2)), rng.random((3, 2)), rng.random((5, 2)), np.array([0.6, 0.2]))
    neighbours = [Neighbour(image(), "Ж <b>", True), Neighbour(image(), "other", False)]
    spread = Spread(
        classes=np.array([3, 7]),
        covered_by_shots=np.array([0.1, 0.3]),
        covered=np.array([0.5, 0.7]),
        variance_ratio=np.array([0.5, np.nan]),
        precision=np.array([1.0, 0.5]),
    )
    return GeneratorView(
        "analogies", "SGM", "sgm_analogies", 1, 5, [GeneratedClass("Ж <b>", [image()], neighbours, plane)], spread
    )


def test_the_text_holds_the_means_over_classes(view: GeneratorView) -> None:
    section = generator_section(view)
    assert section.title == "Generator analogies on SGM"
    for number in ("20.0 %", "60.0 %", "75.0 %", "0.50"):
        assert number in section.html
    assert "2 novel classes to 5 examples" in section.html


def test_the_alternative_text_counts_the_right_neighbours(view: GeneratorView) -> None:
    neighbours, _ = generator_section(view).plots
    assert neighbours.alt == "Ж <b>: 1 of 2 neighbours of its class"


def test_the_figures_are_drawn_and_the_same_each_time(view: GeneratorView) -> None:
    for plot in generator_section(view).plots:
        first, second = (render(plot, formats=("png", "pdf")) for _ in range(2))
        assert first == second
        assert first["png"].startswith(b"\x89PNG")


def digests() -> list[str]:
    """The digests of the figures of a generator, with images of few and of many colours."""
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, most, (40, 30, 3), dtype=np.uint8) for most in (2, 256) for _ in range(3)]
    images = [Image.fromarray(one) for one in pixels]
    plane = Projection(rng.random((2, 2)), rng.random((3, 2)), rng.random((5, 2)), np.array([0.6, 0.2]))
    neighbours = [Neighbour(image, "Ж <b>", row % 2 == 0) for row, image in enumerate(images[2:])]
    classes = [GeneratedClass(name, images[:2], neighbours, plane) for name in ("Ж <b>", "猫", "_x")]
    ones = np.ones(3)
    view = GeneratorView("analogies", "SGM", "sgm", 1, 5, classes, Spread(np.arange(3), ones, ones, ones, ones))
    files = [render(plot, formats=("png", "pdf")) for plot in generator_section(view).plots]
    return [hashlib.sha256(one[kind]).hexdigest() for one in files for kind in sorted(one)]


def test_another_process_draws_the_same_bytes() -> None:
    code = "import tests.report.test_generators as t; print(*t.digests())"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == digests()
