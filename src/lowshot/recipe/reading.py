"""From a YAML file and overrides to a checked recipe, or to every mistake in it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from lowshot.errors import InputError, did_you_mean
from lowshot.files import read_text
from lowshot.recipe.complaints import complaints, cross_complaints, registry_complaints
from lowshot.recipe.interpolation import check_interpolations
from lowshot.recipe.schema import Recipe
from lowshot.trees import MAX_DEPTH, parse_yaml


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and check a recipe, and import the plugins it names.

    Args:
        path (path): A YAML file, or the name of a recipe that comes with lowshot (``glyphs``).
        overrides (sequence of str): Changes ``key.subkey=value`` as on the command line; values are YAML.

    Raises:
        InputError: The recipe has mistakes, named one line each.
    """
    recipe, wrong = read_recipe(path, overrides)
    if wrong or recipe is None:
        raise InputError("\n".join([f"recipe {find_recipe(path)} has mistakes:", *wrong]))
    return recipe


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe | None, list[str]]:
    """Read and override a recipe, and collect every mistake in it that shows without looking at the data.

    Args:
        path (path): A YAML file, or the name of a recipe that comes with lowshot.
        overrides (sequence of str): Changes ``key.subkey=value`` as on the command line.

    Returns:
        The recipe without what is wrong, None where too much is, and a line for each mistake.

    Raises:
        InputError: There is no such file, or it is not YAML.
    """
    from lowshot.plugins import import_plugin

    source = find_recipe(path)
    recipe, wrong = _checked(_tree(source, overrides))
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
    while True:
        try:
            return Recipe.model_validate(tree), wrong
        except ValidationError as error:
            wrong += [line for line in complaints(error, Recipe) if line not in wrong]
            set_aside = [_set_aside(tree, mistake["loc"], mistake["type"]) for mistake in error.errors()]
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
    elif kind == "value_error" and key == "train" and tree.get("loss") is not None:
        tree["loss_weight"] = 1.0  # so that the name of the loss is checked as well
    else:
        del parent[key]
    return True


def find_recipe(path: str | Path) -> Path:
    """The file behind a recipe's path or, when there is no such file, behind the name of an embedded recipe."""
    path = Path(path)
    if path.is_file():
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
    tree: dict[str, Any] = _tree(Path(path), ())
    return tree


def embedded_recipes() -> list[Path]:
    """The recipes that come with lowshot."""
    return sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


def _tree(source: Path, overrides: Sequence[str]) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    what = f"recipe {source}"
    try:
        tree: Any = parse_yaml(read_text(source, "recipe"), what, _omegaconf)
        if not OmegaConf.is_dict(tree):
            raise InputError(f"{what} must be a mapping of sections such as data: and train:")
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals or not key or key.count(".") >= MAX_DEPTH:
                raise InputError(f"override {_short(override)!r} must have the form key.subkey=value")
            parse_yaml(value, f"override {_short(override)!r}")
            try:
                tree = OmegaConf.merge(tree, OmegaConf.from_dotlist([override]))
            except TypeError:  # a list for a mapping, or the other way round
                raise InputError(f"override {override!r}: {key} is of another kind in {source}") from None
        check_interpolations(cast(dict[str, Any], OmegaConf.to_container(tree)), what)
        return OmegaConf.to_container(tree, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(f"{what} with {list(overrides)}: {str(error).splitlines()[0]}") from None


def _omegaconf(text: str) -> Any:
    """The text as OmegaConf parses it: numbers such as 1e-3, and no key twice; an empty one has no keys."""
    from omegaconf import OmegaConf

    # parse_yaml has a bound of its own, which no environment variable changes.
    has_bound = "max_yaml_expanded_nodes" in inspect.signature(OmegaConf.create).parameters
    return OmegaConf.create(text or "{}", **({"max_yaml_expanded_nodes": None} if has_bound else {}))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
