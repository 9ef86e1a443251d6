"""The published tables of Hariharan & Girshick.

``published.json`` holds the numbers of the README that came with their PyTorch release: a row per metric,
representation and low-shot phase, in per cent. That README prints no mean over n; the means here are computed from its
rows. It agrees with itself: every ``all`` is (311 novel + 196 base) / 507 of its row's other two tables, to the last
digit printed, which the tests check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

MEAN = "mean"
_NAMES = {"none": "Baseline", "sgm": "SGM", "batch_sgm": "Batch SGM", "feature_l2": "L2"}
_BACKBONES = {"resnet10": "ResNet-10", "resnet50": "ResNet-50"}


@dataclass(frozen=True)
class Nature:
    """What a representation is, by names of the registries: ``loss`` "none" is the baseline, None is not known."""

    backbone: str | None
    loss: str | None


@dataclass(frozen=True)
class PublishedRow:
    """One published row: ``percent`` {n: accuracy}, with the mean over n under :data:`MEAN`."""

    metric: str
    nature: Nature
    classifier: str
    generator: str | None
    percent: Mapping[int | str, float]

    @property
    def representation(self) -> str:
        return f"{_NAMES[str(self.nature.loss)]} ({_BACKBONES[str(self.nature.backbone)]})"

    @property
    def method(self) -> str:
        if self.classifier == "matching_network":
            return "matching networks"
        return "linear" if self.generator is None else "generation"


@dataclass(frozen=True)
class Publication:
    """All published rows, and what they were measured on.

    Attributes:
        source: paper and page.
        data: images and classes, in words.
        classes: {"base", "novel", "classes"}: how many take part in the test setup, and how many labels there are.
        experiments: draws of the shots that each number is the mean of.
        n_shots: the columns.
    """

    source: str
    data: str
    classes: Mapping[str, int]
    experiments: int
    n_shots: tuple[int, ...]
    rows: tuple[PublishedRow, ...]


@cache
def publication() -> Publication:
    """The published tables."""
    content = json.loads(resources.files(__package__).joinpath("published.json").read_text("utf-8"))
    n_shots = tuple(content["n_shots"])
    return Publication(
        content["source"],
        content["data"],
        content["classes"],
        content["experiments"],
        n_shots,
        tuple(_row(row, n_shots) for row in content["rows"]),
    )


def _row(row: Mapping[str, Any], n_shots: Sequence[int]) -> PublishedRow:
    percent: dict[int | str, float] = dict(zip(n_shots, row["percent"], strict=True))
    percent[MEAN] = sum(row["percent"]) / len(n_shots)
    nature = Nature(row["backbone"], row["loss"])
    return PublishedRow(row["metric"], nature, row["classifier"], row["generator"], percent)


def nature_of_name(name: str) -> Nature:
    """What the name of a representation says, such as the original's ``ResNet50_sgm``; nothing is guessed."""
    letters = "".join(letter for letter in name.lower() if letter.isalnum())
    backbone = next((known for known in _BACKBONES if known in letters and f"{known}1" not in letters), None)
    rest = letters.replace(backbone, "") if backbone else letters
    losses = {"batchsgm": "batch_sgm", "sgm": "sgm", "featurel2": "feature_l2", "l2": "feature_l2"}
    loss = next((loss for word, loss in losses.items() if word in rest), None)
    if loss is None and (rest in ("", "baseline") and letters):
        loss = "none"
    return Nature(backbone, loss)


def nature_in_recipe(recipe: Mapping[str, Any], representation: str) -> Nature:
    """What a representation is: as the plain content of a recipe trains it, else what its name says."""
    section = (recipe.get("representations") or {}).get(representation)
    if section is None or section.get("features") or section.get("checkpoint"):
        return nature_of_name(representation)
    train = {**(recipe.get("train") or {}), **(section.get("train") or {})}
    return Nature(train.get("backbone"), train.get("loss") or "none")
