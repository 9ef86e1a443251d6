"""Several result stores as one: no run counted twice, names told apart, and every difference in how they were made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from lowshot.benchmark.results import Record, read_records
from lowshot.errors import InputError
from lowshot.files import read_text
from lowshot.recipe import recipe_tree
from lowshot.report.published import Nature, nature_in_recipe

_KEYS = {"representation", "method", "setup", "n_shots", "experiment", "task"}
_EPISODE_KEYS = {"representation", "method", "setup", "n_shots", "accuracy", "task"}


@dataclass(frozen=True)
class Store:
    """One file of results with the recipe that lies beside it.

    Attributes:
        name: what messages and tables call it: its recipe, or its path where several stores are of that recipe.
        path: the file.
        records: as they stand there.
        recipe: the content of its ``recipe.yaml``; empty where there is none of that name.
        recipe_yaml: its text.
        episodes: the records of ``episodes.jsonl`` beside ``results.jsonl``, if it is there.
    """

    name: str
    path: Path
    records: Sequence[Record]
    recipe: Mapping[str, Any]
    recipe_yaml: str
    episodes: Sequence[Record] = ()

    def label(self, kind: str, key: str) -> str:
        """What tables call a representation (``kind`` "representations") or a method ("methods")."""
        sections = self.recipe if kind == "representations" else self.recipe.get("evaluate") or {}
        section = (sections.get(kind) or {}).get(key) or {}
        return str(section.get("label") or key)


@dataclass(frozen=True)
class Comparison:
    """What several stores hold together.

    Attributes:
        setup: that the tables are of.
        records: of that setup, each run once, with the names that tables show.
        natures: what each representation is.
        episodes: results on episodes of that setup, each once, with the same names.
        warnings: what makes the numbers differ besides the methods.
    """

    setup: str
    records: list[Record]
    natures: dict[str, Nature]
    episodes: list[Record]
    warnings: list[str]


def open_stores(sources: Sequence[str | Path]) -> list[Store]:
    """The stores behind folders (with ``results.jsonl``) and ``.jsonl`` files; one named twice counts once.

    Raises:
        InputError: there is no such file, it is not of results, or it is empty.
    """
    files: dict[Path, str] = {}
    for source in sources:
        path = Path(source)
        file = path if path.suffix == ".jsonl" else path / "results.jsonl"
        if not file.is_file():
            raise InputError(
                f"there are no results in {source}: expected a folder with results.jsonl, or a .jsonl file, as "
                "`lowshot evaluate` writes them"
            )
        files.setdefault(file.resolve(), str(source))
    found = [(source, file, read_records(file)) for file, source in files.items()]
    for source, _, records in found:
        if not records:
            raise InputError(f"{source} holds no finished results: run `lowshot evaluate` first")
        _check_keys(source, records, _KEYS, "`lowshot evaluate`, not the grid of `lowshot tune`")
    recipes = [str(records[0].get("recipe") or file.parent.name) for _, file, records in found]
    stores = []
    for (source, file, records), recipe in zip(found, recipes):
        name = recipe if recipes.count(recipe) == 1 else source
        beside = _recipe_beside(file, recipe)
        tree, text = (recipe_tree(beside), read_text(beside)) if beside is not None else ({}, "")
        beside = file.with_name("episodes.jsonl")
        episodes = read_records(beside) if file.name == "results.jsonl" and beside.is_file() else []
        _check_keys(str(beside), episodes, _EPISODE_KEYS, "`lowshot run`")
        stores.append(Store(name, file, records, tree, text, episodes))
    return stores


def _check_keys(source: str, records: Sequence[Record], keys: set[str], whose: str) -> None:
    """Refuse records that are of something else: those of a grid, for one, have no ``task``."""
    if missing := next((sorted(keys - record.keys()) for record in records if keys - record.keys()), None):
        raise InputError(f"a record of {source} lacks {', '.join(missing)}: expected those of {whose}")


def compare(stores: Sequence[Store], setup: str | None = None) -> Comparison:
    """Bring the stores together.

    A run is known by its ``task``, the digest of everything that it depends on; the same run under the same names
    counts once, however many stores hold it. Where several stores give one name to different things, the name is
    followed by the store's: a representation's when the features differ, else the method's.

    Args:
        stores: at least one.
        setup: "test" or "val"; by default "test" where any store has it.
    """
    setup = setup or ("test" if any(r["setup"] == "test" for s in stores for r in s.records) else "val")
    parts = [_part(store, setup) for store in stores]
    warnings = [
        f"{part.store.name} has no result of setup {setup!r}: it has no row in these tables"
        for part in parts
        if not part.records
    ]
    parts, repeated = _without_repetitions(parts)
    warnings += repeated + _data_warnings(parts) + _experiment_warnings(parts)
    named, natures, episodes = _named(parts)
    return Comparison(setup, named, natures, episodes, warnings)


def _recipe_beside(file: Path, name: str) -> Path | None:
    """``recipe.yaml`` of the run that a results file is of: beside it, or above ``results/REPRESENTATION/``."""
    for folder in list(file.parents)[:3]:
        path = folder / "recipe.yaml"
        if path.is_file():
            return path if recipe_tree(path).get("name") == name else None
    return None


@dataclass(frozen=True)
class _Part:
    """What one store has of the setup: records with the names that its own tables show, and what these are."""

    store: Store
    records: list[Record]
    natures: dict[str, Nature]
    episodes: list[Record]


def _part(store: Store, setup: str) -> _Part:
    def labelled(records: Sequence[Record]) -> list[Record]:
        return [
            {
                **record,
                "representation": store.label("representations", record["representation"]),
                "method": store.label("methods", record["method"]),
            }
            for record in records
            if record["setup"] == setup
        ]

    keys = dict.fromkeys(record["representation"] for record in store.records)
    natures = {store.label("representations", key): nature_in_recipe(store.recipe, key) for key in keys}
    return _Part(store, labelled(store.records), natures, labelled(store.episodes))


def _without_repetitions(parts: Sequence[_Part]) -> tuple[list[_Part], list[str]]:
    first: dict[Hashable, Record] = {}
    found = []
    repeated = differing = 0
    for part in parts:
        kept = []
        for record in part.records:
            run = (record["n_shots"], record["experiment"], record["task"])
            key = (record["representation"], record["method"], *run)
            if key in first:
                repeated += 1
                differing += _accuracies(first[key]) != _accuracies(record)
            else:
                first[key] = record
                kept.append(record)
        if kept or part.episodes:
            found.append(replace(part, records=kept))
    warnings = [f"{repeated} runs stand in several stores and are counted once"] if repeated else []
    if differing:
        warnings.append(
            f"{differing} of these runs have other accuracies in the later store, as another machine or version may "
            "give them: the first store's are shown"
        )
    return found, warnings


def _named(parts: Sequence[_Part]) -> tuple[list[Record], dict[str, Nature], list[Record]]:
    """The records of all parts with names that mean one thing each, what they are, and the results on episodes."""
    features: dict[str, set[Hashable]] = defaultdict(set)
    holders: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for index, part in enumerate(parts):
        for record in part.records:
            features[record["representation"]].add(record.get("features", index))
            holders[record["representation"],].add(index)
            holders[record["representation"], record["method"]].add(index)

    def names(part: _Part, record: Record) -> dict[str, str]:
        representation, method = record["representation"], record["method"]
        if len(holders[representation,]) > 1 and len(features[representation]) > 1:
            representation = f"{representation} ({part.store.name})"
        elif len(holders[representation, method]) > 1:
            method = f"{method} ({part.store.name})"
        return {"representation": representation, "method": method}

    same_draws = _same_draws(parts)
    named: list[Record] = []
    natures: dict[str, Nature] = {}
    episodes: dict[Hashable, Record] = {}
    for part in parts:
        for record in part.records:
            shown = names(part, record)
            natures[shown["representation"]] = part.natures[record["representation"]]
            # Without the same draws, experiments that share a number are as different as any others.
            number = record["experiment"]
            named.append({**record, **shown, "experiment": number if same_draws else f"{number} of {part.store.name}"})
        for record in part.episodes:
            shown = names(part, record)
            episodes.setdefault((*shown.values(), record["task"]), {**record, **shown})
    return named, natures, list(episodes.values())


def _same_draws(parts: Sequence[_Part]) -> bool:
    """Whether the experiments of one number have the same shots in every store."""
    draws: dict[Hashable, set[Hashable]] = defaultdict(set)
    for index, part in enumerate(parts):
        for record in part.records:
            draws[record["n_shots"], record["experiment"]].add(_draw(record) or index)
    return all(len(found) == 1 for found in draws.values())


def _draw(record: Record) -> str | None:
    """Which images are the shots; None in records of an older version."""
    return f"{record['data']['train']} {record['shots']}" if "data" in record and "shots" in record else None


class _Data(NamedTuple):
    """What results are of: the test images with their labels, the class split, and its sizes."""

    test: str
    split: str
    base: int
    novel: int


def _data_warnings(parts: Sequence[_Part]) -> list[str]:
    if len(parts) < 2:
        return []
    by_data: dict[_Data | None, list[str]] = defaultdict(list)
    for part in parts:
        for data in dict.fromkeys(_tested_on(record) for record in part.records):
            by_data[data].append(part.store.name)
    warnings = []
    if silent := by_data.pop(None, []):
        warnings.append(f"{', '.join(silent)}: the results do not say what data they are of (an older version)")
    if len(by_data) > 1:
        sides = [
            f"{', '.join(names)}: {data.base} base and {data.novel} novel classes"
            for data, names in by_data.items()
            if data is not None
        ]
        warnings.append(f"DIFFERENT TEST DATA, whose numbers cannot be compared: {'; '.join(sides)}")
    elif by_data and not silent and not _same_draws(parts):
        warnings.append("the stores drew different shots: differences between their rows are not paired by experiment")
    return warnings


def _tested_on(record: Record) -> _Data | None:
    data = record.get("data")
    return None if data is None else _Data(*(data[key] for key in _Data._fields))


def _experiment_warnings(parts: Sequence[_Part]) -> list[str]:
    counts: dict[str, list[int]] = {}
    for part in parts:
        experiments: dict[Hashable, set[int]] = defaultdict(set)
        for record in part.records:
            experiments[record["representation"], record["method"], record["n_shots"]].add(record["experiment"])
        counts[part.store.name] = sorted({len(found) for found in experiments.values()})
    if len({count for found in counts.values() for count in found}) < 2:
        return []
    sides = "; ".join(f"{name}: {' or '.join(map(str, found))}" for name, found in counts.items())
    return [f"different numbers of experiments: {sides}"]


def _accuracies(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key.endswith(("_top1", "_top5"))}
