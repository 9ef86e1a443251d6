"""Result stores: files of results that lie anywhere, each with the recipe that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowshot.benchmark.results import Record, read_records
from lowshot.errors import InputError
from lowshot.files import is_file, read_text, resolved
from lowshot.recipe import recipe_tree
from lowshot.report.published import RepresentationKind

_KEYS = {"representation", "method", "setup", "n_shots", "experiment", "task"}
_ORIGIN_KEYS = {"data", "features", "shots"}
"""Together in every record but those converted from the original program, whose files do not say any of them."""
_EPISODE_KEYS = {"representation", "method", "setup", "n_shots", "accuracy", "task"}


@dataclass(frozen=True)
class Store:
    """One file of results.

    Attributes:
        name (str): The name in messages and tables: that of its recipe, or its path where several stores are of that
            recipe.
        path (Path): The file.
        records (list of mappings): The results, with the names of representations and methods that tables show.
        episodes (list of mappings): The results on episodes of ``episodes.jsonl`` in the same folder, with the same
            names.
        kinds (mapping): The kind of each representation.
        recipe_yaml (str): The text of its ``recipe.yaml``; empty where there is none of that name.
        recipe (mapping): The plain content of that file.
    """

    name: str
    path: Path
    records: list[Record]
    episodes: list[Record]
    kinds: Mapping[str, RepresentationKind]
    recipe_yaml: str
    recipe: Mapping[str, Any]


def open_stores(sources: Sequence[str | Path]) -> list[Store]:
    """Open the stores behind folders and files; one named twice counts once.

    Args:
        sources (sequence of paths): Folders with ``results.jsonl``, and ``.jsonl`` files.

    Raises:
        InputError: There is no such file, its records are not results, or it is empty.
    """
    files: dict[Path, str] = {}
    for source in sources:
        path = Path(source)
        file = path if path.suffix == ".jsonl" else path / "results.jsonl"
        if not is_file(file):
            raise InputError(
                f"there are no results in {source}: expected a folder with results.jsonl, or a .jsonl file, as "
                "`lowshot evaluate` writes them"
            )
        files.setdefault(resolved(file), str(source))
    found = [(source, file, read_records(file)) for file, source in files.items()]
    for source, _, records in found:
        if not records:
            raise InputError(f"{source} holds no finished results: run `lowshot evaluate` first")
        _check_keys(source, records, _KEYS, "`lowshot evaluate`, not the grid of `lowshot tune`")
        _check_keys(source, [r for r in records if _ORIGIN_KEYS & r.keys()], _ORIGIN_KEYS, "`lowshot evaluate`")
    recipes = [str(records[0].get("recipe") or file.parent.name) for _, file, records in found]
    return [
        _store(recipe if recipes.count(recipe) == 1 else source, file, records, recipe)
        for (source, file, records), recipe in zip(found, recipes)
    ]


def _store(name: str, file: Path, records: list[Record], recipe: str) -> Store:
    recipe_file = _recipe_file(file, recipe)
    tree, text = (recipe_tree(recipe_file), read_text(recipe_file)) if recipe_file is not None else ({}, "")
    representations, methods = tree.get("representations"), (tree.get("evaluate") or {}).get("methods")
    episode_file = file.with_name("episodes.jsonl")
    episodes = read_records(episode_file) if file.name == "results.jsonl" and is_file(episode_file) else []
    _check_keys(str(episode_file), episodes, _EPISODE_KEYS, "`lowshot run`")
    kinds = {
        _label(representations, key): RepresentationKind.from_recipe(tree, key)
        for key in dict.fromkeys(record["representation"] for record in records)
    }
    records, episodes = (
        [
            {
                **record,
                "representation": _label(representations, record["representation"]),
                "method": _label(methods, record["method"]),
            }
            for record in some
        ]
        for some in (records, episodes)
    )
    return Store(name, file, records, episodes, kinds, text, tree)


def _label(sections: Mapping[str, Any] | None, key: str) -> str:
    """The name that tables show in place of a key of some sections of a recipe."""
    return str(((sections or {}).get(key) or {}).get("label") or key)


def _check_keys(source: str, records: Sequence[Record], keys: set[str], program: str) -> None:
    """Refuse records that are of something else: those of a grid, for one, have no ``task``."""
    if missing := next((sorted(keys - record.keys()) for record in records if keys - record.keys()), None):
        raise InputError(f"a record of {source} lacks {', '.join(missing)}: expected those of {program}")


def _recipe_file(file: Path, name: str) -> Path | None:
    """The ``recipe.yaml`` of the run that a results file is of: in its folder, or above ``results/REPRESENTATION/``."""
    for folder in list(file.parents)[:3]:
        path = folder / "recipe.yaml"
        if is_file(path):
            return path if recipe_tree(path).get("name") == name else None
    return None
