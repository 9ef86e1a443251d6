"""From a YAML file and overrides to a checked recipe, or to every mistake in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lowshot.errors import InputError, did_you_mean
from lowshot.files import is_file
from lowshot.recipe.complaints import cross_complaints, lines_of, registry_complaints
from lowshot.recipe.schema import Recipe
from lowshot.recipe.tree import read_tree


def load_recipe(path: str | Path, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> Recipe:
    """Read, override and check a recipe, and import the plugins it names.

    Args:
        path (path): A YAML file, or the name of a recipe that comes with lowshot (``glyphs``).
        overrides (sequence of str): Changes ``key.subkey=value`` as on the command line; values are YAML.
        values (mapping): Dotted key → value that is taken as it is, such as a path that another option gave.

    Raises:
        InputError: The recipe has mistakes, named one line each.
    """
    recipe, wrong = read_recipe(path, overrides, values)
    if wrong or recipe is None:
        raise InputError("\n".join([f"recipe {find_recipe(path)} has mistakes:", *wrong]))
    return recipe


def read_recipe(
    path: str | Path, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None
) -> tuple[Recipe | None, list[str]]:
    """Read and override a recipe, and collect every mistake in it that shows without looking at the data.

    Args:
        path (path): A YAML file, or the name of a recipe that comes with lowshot.
        overrides (sequence of str): Changes ``key.subkey=value`` as on the command line.
        values (mapping): Dotted key → value that is taken as it is.

    Returns:
        The recipe without what is wrong, None where too much is, and a line for each mistake.

    Raises:
        InputError: There is no such file, or it is not YAML.
    """
    from lowshot.plugins import import_plugin

    source = find_recipe(path)
    recipe, wrong = _checked(read_tree(source, overrides, values or {}, Recipe))
    if recipe is None:
        return None, wrong
    recipe = recipe.model_copy(update={"plugins": tuple(source.parent / plugin for plugin in recipe.plugins)})
    for plugin in recipe.plugins:
        try:
            import_plugin(plugin, in_use=recipe.plugins)
        except InputError as error:
            wrong.append(f"plugins: {error}")
    return recipe, [*wrong, *cross_complaints(recipe), *registry_complaints(recipe)]


def _checked(tree: dict[str, Any]) -> tuple[Recipe | None, list[str]]:
    """Check types and keys; a wrong value is set aside and the rest checked again: no mistake hides another."""
    wrong: list[str] = []
    named: set[tuple[str | int, ...]] = set()
    while True:
        try:
            return Recipe.model_validate(tree), wrong
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
            for mistake in mistakes:
                # A key whose value was set aside is missing now, and a section may be empty: that is no second mistake.
                if mistake["type"] not in ("missing", "too_short") or mistake["loc"] not in named:
                    wrong += [line for line in lines_of(mistake, Recipe) if line not in wrong]
            named |= {mistake["loc"][: n + 1] for mistake in mistakes for n in range(len(mistake["loc"]))}
            set_aside = [_set_aside(tree, mistake["loc"], mistake["type"]) for mistake in mistakes]
            if not any(set_aside):
                return None, wrong


def _set_aside(tree: Any, location: Sequence[str | int], kind: str) -> bool:
    """Remove the value that a mistake is about, or put a stand-in where one is missing; False if neither can be."""
    if kind == "missing":
        stand_in: dict[tuple[str | int, ...], Any] = {("name",): "unnamed", ("representations",): {"unnamed": {}}}
        if tuple(location) in stand_in:
            tree[location[0]] = stand_in[tuple(location)]
            return True
        return False
    parent, key = None, None
    for part in location:  # the last parts may name a member of a union, not a key
        if not isinstance(tree, dict) or part not in tree:
            break
        parent, key, tree = tree, part, tree[part]
    if parent is None:
        return False
    if kind == "too_short" and key == "representations":
        parent[key] = {"unnamed": {}}
    elif kind == "value_error" and key == "train" and isinstance(tree, dict) and tree.get("loss") is not None:
        tree["loss_weight"] = 1.0  # so that the name of the loss is checked as well
    else:
        del parent[key]
    return True


def find_recipe(path: str | Path) -> Path:
    """The file behind a recipe's path or, when there is no such file, behind the name of an embedded recipe.

    Raises:
        InputError: There is neither.
    """
    path = Path(path)
    if is_file(path):
        return path
    embedded = {file.stem: file for file in embedded_recipes()}
    if str(path) in embedded:
        return embedded[str(path)]
    raise InputError(f"recipe {path} does not exist. {did_you_mean(path.stem, embedded)}")


def recipe_tree(path: str | Path) -> dict[str, Any]:
    """The plain content of a recipe file, unchecked, such as of the one in a folder of results.

    Raises:
        InputError: There is no such file, or it is not a YAML mapping.
    """
    return read_tree(Path(path), (), {}, Recipe)


def embedded_recipes() -> list[Path]:
    """The recipes that come with lowshot."""
    return sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
