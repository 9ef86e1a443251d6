"""Plug-ins of a recipe that break the contract of their kind, found on small data before anything is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lowshot.errors import InputError
from lowshot.plugins import plugin_of
from lowshot.recipe import Recipe
from lowshot.registry import CLASSIFIERS, GENERATORS, LOSSES, OBJECTIVES, Registry


def plugin_mistakes(recipe: Recipe) -> list[str]:
    """Run the quick conformance checks of :mod:`lowshot.testing` on the parts of plug-ins.

    Backbones are built, and so checked, elsewhere; classifiers that are trained on episodes take too long.

    Args:
        recipe (Recipe): A recipe whose names and parameters are known to be right.

    Returns:
        list of str: A line for each finding, which begins with the key.
    """
    found: list[str] = []
    for key, registry, name, params, check in _parts(recipe):
        factory = registry.get(name)
        if plugin_of(factory) is None or getattr(factory, "trained_on_episodes", False):
            continue
        try:
            check(registry.build(name, **params))
        except InputError as error:
            found += [f"{key}: {line}" for line in str(error).splitlines()]
    return found


def _parts(recipe: Recipe) -> Iterator[tuple[str, Registry, str, dict[str, Any], Callable[[Any], None]]]:
    from lowshot.testing import check_classifier, check_generator, check_loss, check_objective

    for name, method in recipe.evaluate.methods.items():
        key = f"evaluate.methods.{name}.classifier"
        yield key, CLASSIFIERS, method.classifier, method.params, lambda one: check_classifier(one, thorough=False)
    for name, generator in recipe.generators.items():
        key = f"generators.{name}.generator"
        yield key, GENERATORS, generator.generator, generator.params, lambda one: check_generator(one, thorough=False)
    for name, section in recipe.representations.items():
        if section.backbone is None and not section.features and not section.checkpoint:
            settings = recipe.train_settings(name)
            if settings.loss is not None:
                key = f"representations.{name}.train.loss"
                yield key, LOSSES, settings.loss, settings.loss_options, check_loss
            for one in settings.objective:
                for objective, params in one.items():
                    yield f"representations.{name}.train.objective", OBJECTIVES, objective, params, check_objective
