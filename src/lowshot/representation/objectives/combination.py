"""The objectives of a training together: building them, and what does not fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowshot.errors import InputError
from lowshot.registry import LOSSES, OBJECTIVES
from lowshot.representation.objectives.base import Objective
from lowshot.representation.settings import TrainSettings

Named = Sequence[Mapping[str, Mapping[str, Any]]]
"""Objectives as a recipe has them: a mapping from the one name to its parameters for each."""


def named(objectives: Named) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name and the parameters of each objective."""
    for one in objectives:
        yield from one.items()


def build_objectives(objectives: Named) -> dict[str, Objective]:
    """Build objectives by their registered names, in order.

    Raises:
        InputError: A name or a parameter is unknown, or a value cannot be used.
    """
    return {OBJECTIVES.entry(name).name: OBJECTIVES.build(name, **params) for name, params in named(objectives)}


def objective_complaints(settings: TrainSettings) -> list[str]:
    """The mistakes in the objectives of a training, one line each, and in how they go with its loss."""
    wrong: list[str] = []
    parts: dict[str, Objective] = {}
    for one in settings.objective:
        try:
            parts |= build_objectives([one])
        except InputError as error:
            wrong.append(str(error))
    for kind, count in Counter(part.kind for part in parts.values() if part.kind).items():
        if count > 1:
            same = " and ".join(name for name, part in parts.items() if part.kind == kind)
            wrong.append(f"{same} cannot be combined: a training has one {kind}. Keep one of them")
    if settings.loss is not None and settings.loss in LOSSES:
        wrong += _loss_complaints(settings.loss, parts)
    return wrong


def _loss_complaints(loss: str, parts: Mapping[str, Objective]) -> Iterator[str]:
    factory = LOSSES.entry(loss).factory
    for name, part in parts.items():
        if part.makes_distributions and not getattr(factory, "takes_distributions", False):
            yield (
                f"loss {loss!r} takes numbers of classes as labels, and {name} makes distributions of them: leave one "
                "of the two out, or let the loss take distributions (takes_distributions = True)"
            )
        head = part.make_head(1, 1)
        if head is not None and not head.uses_length and getattr(factory, "uses_length", False):
            yield (
                f"loss {loss!r} acts on the length of features, on which no score depends with {name}: leave one of "
                "the two out"
            )


def checkpoint_parameters(objectives: Named) -> Iterator[tuple[str, str, str]]:
    """The parameters that name a checkpoint: the objective, the parameter and its value, each as given."""
    for name, params in named(objectives):
        if name in OBJECTIVES:
            for key in getattr(OBJECTIVES.entry(name).factory, "checkpoint_parameters", ()):
                if isinstance(params.get(key), str):
                    yield name, key, params[key]


def with_checkpoints(settings: TrainSettings, files: Mapping[str, str]) -> TrainSettings:
    """Return settings with files in place of the names of representations in the parameters that name a checkpoint."""
    named_here = {(name, key) for name, key, value in checkpoint_parameters(settings.objective) if value in files}
    objective = tuple(
        {name: {key: files[value] if (name, key) in named_here else value for key, value in params.items()}}
        for name, params in named(settings.objective)
    )
    return settings.model_copy(update={"objective": objective})
