"""The mistakes in a recipe in words, one line each, all of them."""

from __future__ import annotations

import typing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lowshot.errors import InputError, did_you_mean
from lowshot.files import is_file
from lowshot.parameters import keyword_parameters
from lowshot.recipe.method_sections import MethodSection
from lowshot.recipe.schema import Recipe
from lowshot.recipe.section import PartSection
from lowshot.recipe.texts import KEPT_RUNS, NAME_RULE, alike
from lowshot.representation.settings import TrainSettings

_SHOWN = 40


def complaints(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """The mistakes that pydantic found, one line each: the dotted key, the mistake, the key that was meant.

    Args:
        error (ValidationError): The mistakes.
        model (type): The section that was checked.
    """
    return [line for mistake in error.errors(include_url=False) for line in lines_of(mistake, model)]


def lines_of(mistake: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """The lines for one of pydantic's mistakes; more than one where a check of ours found several."""
    location = [str(part) for part in mistake["loc"]]
    key, kind = ".".join(location), mistake["type"]
    if location[-1:] == ["[key]"] and kind.startswith("string"):  # a key of a mapping that is no name
        return [f"{'.'.join(location[:-2])}: {_no_name(mistake['input'])}"]
    if kind in ("string_pattern_mismatch", "string_too_long"):
        return [f"{key}: {_no_name(mistake['input'])}"]
    if kind == "extra_forbidden":
        return [f"{key}: unknown key. {_meant(model, location)}"]
    if kind == "missing":
        return [f"{key}: is missing and has no default"]
    if kind == "value_error":
        return [f"{key}: {line}" if key else line for line in str(mistake["ctx"]["error"]).splitlines()]
    return [f"{key}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}, got {mistake['input']!r}"]


def _meant(model: type[BaseModel], location: Sequence[str]) -> str:
    """The keys that an unknown one may have been meant for: in its section, or of its name in another."""
    elsewhere = _keys_called(location[-1]) if model is Recipe else []
    if not elsewhere:
        return did_you_mean(location[-1], _possible_keys(model, location))
    return f"Did you mean {' or '.join(repr(key) for key in elsewhere)}?"


def _keys_called(name: str) -> list[str]:
    """The dotted keys of a recipe whose last part is ``name``, the options of data sets and transforms among them."""
    from lowshot.data import PRESETS
    from lowshot.recipe.keys import recipe_keys
    from lowshot.registry import BACKBONES, DATASETS, Registry

    found = [key.name for key in recipe_keys() if key.name.rpartition(".")[2] == name]
    options: list[tuple[str, Registry]] = [
        *(("data.options", DATASETS), ("data.transform", PRESETS), ("train.backbone_options", BACKBONES))
    ]
    return found + [
        f"{where}.{name}"
        for where, registry in options
        if any(name in keyword_parameters(entry.factory) for entry in registry)
    ]


def _no_name(value: Any) -> str:
    if not isinstance(value, str):
        return f"{value!r} is no name: write it in quotes, {str(value)!r}, so that YAML does not read something else"
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    return f"{shown!r} is no name: expected {NAME_RULE}"


def cross_complaints(recipe: Recipe) -> list[str]:
    """The parts of a recipe that do not fit together, one line each."""
    wrong = _ambiguous_names(recipe)
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
        f"evaluate.methods.{name}.representations: {key!r} is no representation. "
        f"{did_you_mean(key, recipe.representations)}"
        for name, method in recipe.evaluate.methods.items()
        for key in method.representations or ()
        if key not in recipe.representations
    ]
    wrong += _network_complaints(recipe)
    wrong += _teacher_complaints(recipe)
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
    if (shown := recipe.report.examples_of) is not None and shown not in recipe.evaluate.methods:
        wrong.append(
            f"report.examples_of: {shown!r} is not in evaluate.methods. {did_you_mean(shown, recipe.evaluate.methods)}"
        )
    most = recipe.split.max_shots
    wrong += [
        f"{key}: {max(n_shots)} shots are asked for but split.max_shots is {most}: set split.max_shots={max(n_shots)} "
        f"or {key}={fitting_shots(n_shots, most)}"
        for key, n_shots in (
            ("evaluate.n_shots", recipe.evaluate.n_shots),
            ("tune.n_shots", recipe.tune.n_shots or (1,)),
        )
        if max(n_shots, default=0) > most
    ]
    draws = recipe.split.experiments
    if (recipe.tune.experiments or 0) > draws:
        wrong.append(
            f"tune.experiments: {recipe.tune.experiments} draws are asked for but split.experiments is {draws}: set "
            f"split.experiments={recipe.tune.experiments} or tune.experiments={draws}"
        )
    return wrong


def _teacher_complaints(recipe: Recipe) -> list[str]:
    """Checkpoints of objectives that are neither files nor representations with a network before them."""
    wrong = []
    for name, section in recipe.representations.items():
        try:
            if section.features or section.backbone or section.checkpoint or section.network:
                continue
            if not (objectives := recipe.train_settings(name).objective):
                continue
            from lowshot.representation.objectives.combination import checkpoint_parameters

            checkpoints = list(checkpoint_parameters(objectives))
            learned_from = {value: _learned_from(recipe, value) for _, _, value in checkpoints}
        except ValidationError:
            continue  # named by cross_complaints
        for objective, key, value in checkpoints:
            where = f"representations.{name}.train.objective.{objective}.{key}"
            other = recipe.representations.get(value)
            if other is None and not is_file(Path(value).expanduser()):
                known = [one for one in recipe.representations if one != name]
                wrong.append(f"{where}: {value!r} is no representation and no file. {did_you_mean(value, known)}")
            elif other is not None and (other.features or other.backbone):
                wrong.append(f"{where}: {value} has no network that was trained on the classes of this recipe")
            elif name in learned_from[value]:
                wrong.append(f"{where}: {value} is not trained before {name}: it is the same, or learns from it")
    return wrong


def _network_complaints(recipe: Recipe) -> list[str]:
    """Networks of other representations that this recipe does not train, or not as often."""
    wrong = []
    for name, section in recipe.representations.items():
        if (named := section.network) is None:
            continue
        where, other = f"representations.{name}.network", recipe.representations.get(named)
        if other is None:
            known = [one for one in recipe.representations if one != name]
            wrong.append(f"{where}: {named!r} is no representation. {did_you_mean(named, known)}")
        elif named == name or other.features or other.backbone or other.checkpoint or other.network:
            wrong.append(f"{where}: {named} is not trained by this recipe: name one that is, or give its checkpoint")
        elif section.seeds > other.seeds:
            wrong.append(
                f"representations.{name}.seeds: {section.seeds} trainings are asked for but {named} has {other.seeds}: "
                f"set representations.{named}.seeds={section.seeds}"
            )
    return wrong


def _learned_from(recipe: Recipe, name: str) -> set[str]:
    """A representation, and all those that it learns from."""
    found: set[str] = set()
    left = [name]
    while left:
        if (one := left.pop()) not in found and one in recipe.representations:
            found.add(one)
            left += recipe.teachers(one)
    return found


def fitting_shots(n_shots: Sequence[int], most: int) -> str:
    """The numbers of shots that are no more than ``most``, or that number alone, as a recipe has them."""
    return str([n for n in n_shots if n <= most] or [most]).replace(" ", "")


def _ambiguous_names(recipe: Recipe) -> list[str]:
    """Keys that could become one file, and labels that would become one row of a table."""
    sections: dict[str, Mapping[str, Any]] = {
        "representations": recipe.representations,
        "generators": recipe.generators,
        "evaluate.methods": recipe.evaluate.methods,
    }
    wrong = [
        f"{where}: {' and '.join(same)} differ by case alone, so that their files could be the same"
        for where, section in sections.items()
        if (same := alike(section))
    ]
    if KEPT_RUNS in {name.casefold() for name in recipe.representations}:
        wrong.append(f"representations.{KEPT_RUNS}: trainings that were replaced are kept in a folder of this name")
    for where, labels in (
        ("representations", {name: recipe.label(name) for name in recipe.representations}),
        ("evaluate.methods", {name: recipe.method_label(name) for name in recipe.evaluate.methods}),
    ):
        for label, count in Counter(labels.values()).items():
            if count > 1:
                same = [name for name, own in labels.items() if own == label]
                wrong.append(
                    f"{where}: {' and '.join(same)} have the label {label!r}, so tables could not tell them apart"
                )
    return wrong


def registry_complaints(recipe: Recipe) -> list[str]:
    """The unknown registry names and parameters of a recipe, one line each."""
    from lowshot.data import PRESETS
    from lowshot.registry import BACKBONES, CLASSIFIERS, DATASETS, GENERATORS, LOSSES, Registry
    from lowshot.representation.objectives.combination import objective_complaints

    lines: list[str] = []

    def check(key: str, found: Iterable[str]) -> None:
        lines.extend(f"{key}: {line}" for line in found)

    def weighted(name: str) -> bool:
        try:
            return recipe.has_weights(name)
        except ValidationError:
            return False  # named by cross_complaints

    check("data.dataset", DATASETS.complaints(recipe.data.dataset, recipe.data.options))
    if "preset" in recipe.data.model_fields_set or not all(map(weighted, recipe.representations)):
        check("data.preset and data.transform", PRESETS.complaints(recipe.data.preset, recipe.data.transform))
    for name, section in recipe.representations.items():
        if section.preset not in (None, "weights"):
            check(f"representations.{name}.preset", PRESETS.complaints(section.preset, section.transform))
        if section.backbone is not None:
            found = BACKBONES.complaints(section.backbone, section.backbone_options)
            check(f"representations.{name}.backbone", found)
            continue
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
        if settings.objective:
            check(f"{where}.objective", objective_complaints(settings))

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
