"""The papers to cite for a recipe: those that its parts name, and that of the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lowshot.benchmark.results import Record
from lowshot.citations import bibliography
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import is_file
from lowshot.papers import HARIHARAN_2017, VINYALS_2016
from lowshot.registry import BACKBONES, CLASSIFIERS, DATASETS, GENERATORS, LOSSES, OBJECTIVES, Registry

Tree = Mapping[str, Any]


def references(recipes: Iterable[Tree], records: Iterable[Record] = (), backbones: Iterable[str] = ()) -> str:
    """The content of ``references.bib``: the benchmark's paper, then those of the parts that were used.

    Args:
        recipes (iterable of mappings): The plain content of resolved recipes; one may be empty, where none is known.
        records (iterable of mappings): Results, whose classifiers and generators count as well.
        backbones (iterable of str): The names of further backbones, as :func:`checkpoint_backbones` finds them.

    Returns:
        str: BibTeX, each entry once. A plug-in's part that is not registered in this process adds nothing.
    """
    recipes = list(recipes)
    texts = [HARIHARAN_2017]
    if any(recipe.get("episodes") for recipe in recipes):
        texts.append(VINYALS_2016)
    used = [part for recipe in recipes for part in used_parts(recipe)]
    used += [(BACKBONES, name) for name in backbones]
    for record in records:
        used += [(CLASSIFIERS, record.get("classifier") or ""), (GENERATORS, record.get("generator") or "")]
    texts += [registry.entry(name).bibtex for registry, name in dict.fromkeys(used) if name in registry]
    return bibliography(texts)


def used_parts(recipe: Tree) -> Iterator[tuple[Registry, str]]:
    """The registered parts that a recipe uses: each kind's registry and a name.

    Args:
        recipe (mapping): The plain content of a resolved recipe; it may lack any section.
    """
    shared = recipe.get("train") or {}
    sections = [section or {} for section in (recipe.get("representations") or {}).values()]
    if any(not section.get("features") for section in sections):
        yield DATASETS, (recipe.get("data") or {}).get("dataset") or "auto"
    for section in sections:
        if section.get("backbone"):
            yield BACKBONES, section["backbone"]
        elif not any(section.get(key) for key in ("features", "checkpoint", "network")):
            train = {**shared, **(section.get("train") or {})}
            yield BACKBONES, train.get("backbone") or ""
            yield LOSSES, train.get("loss") or ""
            yield from ((OBJECTIVES, name) for name in _objectives(train.get("objective")))
    generators = recipe.get("generators") or {}
    for method in ((recipe.get("evaluate") or {}).get("methods") or {}).values():
        yield CLASSIFIERS, method.get("classifier") or "logistic"
        if method.get("generator"):
            yield GENERATORS, (generators.get(method["generator"]) or {}).get("generator") or "analogies"


def checkpoint_backbones(recipe: Tree, folder: Path) -> list[str]:
    """The backbones of the representations that come from checkpoints, which the recipe need not name.

    Args:
        recipe (mapping): The plain content of a resolved recipe; it may lack any section.
        folder (Path): Its output folder, whose features files say which network made them; one that is missing or
            cannot be read adds nothing.
    """
    found = []
    for name, section in (recipe.get("representations") or {}).items():
        path = folder / "features" / str(name) / "train.hdf5"
        if section and section.get("checkpoint") and is_file(path):
            with suppress(InputError):
                found.append(str(FeatureStore.open(path).attributes.get("backbone", "")))
    return found


def _objectives(value: Any) -> Iterator[str]:
    """The names in a list of objectives, as resolved or as a recipe writes it: names alone, or with parameters."""
    for one in value if isinstance(value, list | tuple) else [value] if value else []:
        yield from one if isinstance(one, Mapping) else [str(one)]
