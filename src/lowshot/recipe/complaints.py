"""The mistakes in a recipe in words, one line each, all of them."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from lowshot.errors import InputError, did_you_mean
from lowshot.recipe.schema import MethodSection, PartSection, Recipe
from lowshot.representation.settings import TrainSettings


def complaints(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """The mistakes that pydantic found, one line each: the dotted key, the mistake, the key that was meant.

    Args:
        error (ValidationError): The mistakes.
        model (type): The section that was checked.
    """
    lines = []
    for mistake in error.errors(include_url=False):
        location = [str(part) for part in mistake["loc"]]
        key = ".".join(location)
        if mistake["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key. {did_you_mean(location[-1], _possible_keys(model, location))}")
        elif mistake["type"] == "missing":
            lines.append(f"{key}: is missing and has no default")
        elif mistake["type"] == "value_error":
            lines += [f"{key}: {line}" if key else line for line in str(mistake["ctx"]["error"]).splitlines()]
        else:
            message = mistake["msg"][0].lower() + mistake["msg"][1:]
            lines.append(f"{key}: {message}, got {mistake['input']!r}")
    return lines


def cross_complaints(recipe: Recipe) -> list[str]:
    """The parts of a recipe that do not fit together, one line each."""
    wrong: list[str] = []
    for name in recipe.representations:
        try:
            recipe.train_settings(name)
        except ValidationError as error:
            wrong += [f"representations.{name}.train.{line}" for line in complaints(error, TrainSettings)]
    parts: dict[str, PartSection] = {f"generators.{name}": part for name, part in recipe.generators.items()}
    for name, method in recipe.evaluate.methods.items():
        parts[f"evaluate.methods.{name}"] = method
        if method.generator is not None and method.generator not in recipe.generators:
            wrong.append(
                f"evaluate.methods.{name}.generator: {method.generator!r} is not in the generators section. "
                f"{did_you_mean(method.generator, recipe.generators)}"
            )
    wrong += [
        f"{where}.per_representation.{key}: no such representation. {did_you_mean(key, recipe.representations)}"
        for where, part in parts.items()
        for key in part.per_representation
        if key not in recipe.representations
    ]
    wrong += [
        f"episodes.methods: {method!r} is not in evaluate.methods. {did_you_mean(method, recipe.evaluate.methods)}"
        for method in (recipe.episodes.methods if recipe.episodes else ())
        if method not in recipe.evaluate.methods
    ]
    if max(recipe.evaluate.n_shots) > recipe.split.max_shots:
        wrong.append(
            f"evaluate.n_shots: {max(recipe.evaluate.n_shots)} shots are asked for but split.max_shots "
            f"is {recipe.split.max_shots}"
        )
    if max(recipe.tune_n_shots) > recipe.split.max_shots and recipe.tune.n_shots is not None:
        wrong.append(
            f"tune.n_shots: {max(recipe.tune_n_shots)} shots are asked for but split.max_shots "
            f"is {recipe.split.max_shots}"
        )
    if (recipe.tune.experiments or 0) > recipe.split.experiments:
        wrong.append(
            f"tune.experiments: {recipe.tune.experiments} draws are asked for but split.experiments "
            f"is {recipe.split.experiments}"
        )
    return wrong


def registry_complaints(recipe: Recipe) -> list[str]:
    """The unknown registry names and parameters of a recipe, one line each."""
    from lowshot.data import PRESETS
    from lowshot.registry import BACKBONES, CLASSIFIERS, DATASETS, GENERATORS, LOSSES, Registry

    lines: list[str] = []

    def check(key: str, found: Iterable[str]) -> None:
        lines.extend(f"{key}: {line}" for line in found)

    check("data.dataset", DATASETS.complaints(recipe.data.dataset, recipe.data.options))
    check("data.preset and data.transform", PRESETS.complaints(recipe.data.preset, recipe.data.transform))
    for name, section in recipe.representations.items():
        if section.features or section.checkpoint:
            continue
        try:
            settings = recipe.train_settings(name)
        except ValidationError:
            continue  # named by cross_complaints
        where = f"representations.{name}.train" if section.train else "train"
        check(f"{where}.backbone", BACKBONES.complaints(settings.backbone, settings.backbone_options))
        if settings.loss is not None:
            check(f"{where}.loss", LOSSES.complaints(settings.loss, settings.loss_options))

    def check_part(where: str, registry: Registry, name: str, part: PartSection) -> None:
        check(f"{where}.{registry.kind}", registry.complaints(name, part.params))
        if name in registry:
            for key, params in part.per_representation.items():
                check(f"{where}.per_representation.{key}", registry.complaints(name, params))

    for name, generator in recipe.generators.items():
        check_part(f"generators.{name}", GENERATORS, generator.generator, generator)
    for name, method in recipe.evaluate.methods.items():
        check_part(f"evaluate.methods.{name}", CLASSIFIERS, method.classifier, method)
        check(f"evaluate.methods.{name}.grid", _grid_complaints(method))
    check("tune.target", _target_complaints(recipe))
    return list(dict.fromkeys(lines))


def _grid_complaints(method: MethodSection) -> list[str]:
    from lowshot.benchmark.parameter_grid import declared_grid, grid_complaints
    from lowshot.registry import CLASSIFIERS

    if method.grid is None or method.classifier not in CLASSIFIERS:
        return []
    if method.grid == "default":
        if declared_grid(method.classifier):
            return []
        return [f"classifier {method.classifier!r} declares no grid of its own: write out the values to try"]
    return grid_complaints(method.classifier, method.grid, has_generator=method.generator is not None)


def _target_complaints(recipe: Recipe) -> list[str]:
    from lowshot.benchmark.parameter_grid import Target

    try:
        Target.parse(recipe.tune.target, recipe.tune_n_shots)
    except InputError as error:
        return [str(error)]
    return []


def _possible_keys(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """The keys of the section that the last part of ``location`` is in."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
        else:
            values = [a for a in typing.get_args(current) if isinstance(a, type) and issubclass(a, BaseModel)]
            current = values[0] if values else current
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
