"""A tiny network in place of a pretrained one, and photos of plain colours that it tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lowshot.data.preprocessing import Preprocessing
from lowshot.representation import Pretrained
from lowshot.representation.backbones import Backbone

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200), "grey": (120, 120, 120)}
DIM = 12


class TinyTrunk(torch.nn.Module):
    """The mean and the variance of each channel, and of its left half: twelve numbers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left = images[..., : images.shape[-1] // 2]
        parts = [images.mean((2, 3)), images.var((2, 3)), left.mean((2, 3)), left.var((2, 3))]
        return torch.cat(parts, 1) + 1


def tiny_network(name: str, pretrained: object = True, **options: object) -> Pretrained:
    backbone = Backbone(TinyTrunk(), DIM, 2)
    backbone.config = {"name": name, "num_classes": 2, "kwargs": dict(options)}
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
    return Pretrained(backbone.eval(), Preprocessing.square(16), "package", None)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every recogniser of the test has the tiny network."""
    monkeypatch.setattr("lowshot.recogniser.embedding.load_pretrained", tiny_network)
    monkeypatch.setattr("lowshot.representation.load_pretrained", tiny_network)


def photo(colour: str, seed: int, size: int = 40) -> Image.Image:
    """A photo of a colour; every seed gives another picture."""
    rng = np.random.default_rng([sum(map(ord, colour)), seed])
    coarse = rng.integers(-60, 60, (5, 5, 3)).repeat(size // 5, 0).repeat(size // 5, 1)
    pixels = np.array(COLOURS.get(colour, (90, 90, 20))) + coarse + rng.integers(-8, 8, (size, size, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_photos(folder: Path, counts: dict[str, int], first: int = 0) -> Path:
    """A folder with a folder of photos per class."""
    for colour, count in counts.items():
        (folder / colour).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            photo(colour, seed).save(folder / colour / f"{seed:02d}.png")
    return folder
