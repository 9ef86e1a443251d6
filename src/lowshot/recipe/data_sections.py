"""The sections of a recipe on its images, classes and draws of shots."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from lowshot.data.experiments import MOST_EXPERIMENTS
from lowshot.recipe.section import Section
from lowshot.recipe.texts import Halves, PathPattern, RecipePath

MOST_WORKERS = 1024
"""The largest number of loader processes: more than any machine has cores."""


class DataSection(Section):
    """The images, and how they are transformed and loaded."""

    dataset: str = Field("auto", description="registry name; auto picks folder, zip, JSON or CSV list by what root is")
    root: RecipePath | None = Field(None, description="folder, zip, JSON or CSV file; none for embedded data sets")
    options: dict[str, Any] = Field({}, description="parameters of the data set, such as class_depth or test_per_class")
    preset: str = Field(
        "imagenet",
        description="image transforms: imagenet, small or a plug-in's; where it is not given, pretrained weights have "
        "their own",
    )
    transform: dict[str, Any] = Field(
        {},
        description="parameters of the preset, or of pretrained weights' own, such as image_size, flip, mean, std",
    )
    on_bad_image: Literal["error", "skip"] = Field("error", description="skip leaves unreadable images out everywhere")
    workers: int | Literal["auto"] = Field("auto", description="loader processes per training or extraction process")

    @field_validator("workers", mode="before")
    @classmethod
    def _a_number_of_processes(cls, value: Any) -> Any:
        if value != "auto" and not (isinstance(value, int) and 0 <= value <= MOST_WORKERS and value is not True):
            raise ValueError(f"expected auto, or a number of processes from 0 to {MOST_WORKERS}, got {value!r}")
        return value


class SplitSection(Section):
    """The base and novel classes, and the draws of shots."""

    file: RecipePath | None = Field(
        None, description="label_idx.json to use, of the sizes below where given; none draws one"
    )
    base: Halves | None = Field(
        None,
        description="base classes of the validation and of the test half: their number, a fraction of the classes, or "
        "a list of names; 0.5 alone: half of the classes, for both together",
    )
    novel: Halves | None = Field(
        None,
        description="novel classes of the validation and of the test half: their number, a fraction of the classes, or "
        "a list of names; 0.5 alone: half of the classes, for both together",
    )
    experiments: int = Field(5, ge=1, le=MOST_EXPERIMENTS, description="number of draws of shots")
    experiment_files: PathPattern | None = Field(
        None, description="pattern such as splitfile_{:d}.json; none draws from seed"
    )
    max_shots: int = Field(20, ge=1, description="shots drawn per class and experiment; the first n are the n shots")
