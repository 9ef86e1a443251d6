"""Several result stores in one report: no run counted twice, names told apart, every other difference named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lowshot.benchmark.results import Record
from lowshot.errors import counted
from lowshot.progress import say
from lowshot.report.published import RepresentationKind
from lowshot.report.references import checkpoint_backbones, references
from lowshot.report.stores import Store, open_stores
from lowshot.report.writing import Report


@dataclass(frozen=True)
class Comparison:
    """The results of several stores together.

    Attributes:
        setup (str): The setup of the results, "test" or "val".
        records (list of mappings): The results, each run once, with names that mean one thing each.
        kinds (mapping): The kind of each representation.
        episodes (list of mappings): The results on episodes, each once, with the same names.
        warnings (list of str): The differences that make the numbers differ besides the methods.
    """

    setup: str
    records: list[Record]
    kinds: dict[str, RepresentationKind]
    episodes: list[Record]
    warnings: list[str]


def write_store_report(
    sources: Sequence[str | Path], out_dir: Path, metrics: Sequence[str] | None = None, paper: bool = False
) -> Path:
    """Compare any number of result stores: print their tables side by side and write a report of them.

    Args:
        sources (sequence of paths): Folders with ``results.jsonl``, and ``.jsonl`` files.
        out_dir (Path): The folder for report.html and the other files.
        metrics (sequence of str or None): The accuracies to show; by default all that were measured.
        paper (bool): True to also compare the results with the published tables of Hariharan & Girshick.

    Returns:
        The path of ``report.html``.

    Raises:
        InputError: A source holds no results, or none has one of ``metrics``.
    """
    stores = open_stores(sources)
    found = compare(stores)
    report = Report(found.records, found.setup, metrics, found.kinds if paper else None, found.episodes)
    page = report.write(
        out_dir,
        title=" · ".join(store.name for store in stores),
        description=f"Results of {counted(len(stores), 'store')} side by side.",
        training_logs={},
        examples=[],
        recipe_yaml="\n".join(f"# {store.path}\n{store.recipe_yaml}" for store in stores if store.recipe_yaml),
        provenance={store.name: _facts(store) for store in stores},
        notes=found.warnings,
        references=references(
            [store.recipe for store in stores],
            found.records,
            [name for store in stores for name in checkpoint_backbones(store.recipe, store.path.parent)],
        ),
    )
    report.print()
    for warning in found.warnings:
        say(warning, style="yellow")
    say(f"report: {page}")
    return page


def compare(stores: Sequence[Store]) -> Comparison:
    """Bring the results of several stores together: those of setup "test", or "val" where no store has any.

    A run is known by its ``task``, the fingerprint of everything that it depends on; the same run under the same names
    counts once, however many stores hold it. Where several stores give one name to different things, the name is
    followed by the store's: a representation's when the features differ, else the method's.

    Results converted from the original program say neither what data and features they are of nor which shots were
    drawn: they count as different from those of every other store.

    Args:
        stores (sequence of Store): The stores, at least one.
    """
    setup = "test" if any(record["setup"] == "test" for store in stores for record in store.records) else "val"
    stores = [
        replace(
            store,
            records=[record for record in store.records if record["setup"] == setup],
            episodes=[record for record in store.episodes if record["setup"] == setup],
        )
        for store in stores
    ]
    warnings = [
        f"{store.name} has no result of setup {setup!r}: it has no row in these tables"
        for store in stores
        if not store.records
    ]
    stores, repeated = _without_repetitions(stores)
    same_shots = _same_shots(stores)
    warnings += repeated + _data_warnings(stores, same_shots) + _experiment_warnings(stores)
    return Comparison(setup, *_renamed(stores, same_shots), warnings)


def _facts(store: Store) -> dict[str, Any]:
    """The provenance of a store: the file, and what its latest record says of the run."""
    last = max(store.records, key=lambda record: str(record.get("time") or ""))
    facts: dict[str, Any] = {key: last[key] for key in ("recipe", "seed", "versions", "host", "time") if key in last}
    return {"file": store.path, "records": len(store.records), **facts}


def _without_repetitions(stores: Sequence[Store]) -> tuple[list[Store], list[str]]:
    """The stores without the runs that an earlier one holds under the same names, and warnings about these."""
    first: dict[Hashable, Record] = {}
    found = []
    repeated = differing = 0
    for store in stores:
        new = []
        for record in store.records:
            key = tuple(record[k] for k in ("representation", "method", "n_shots", "experiment", "task"))
            if key in first:
                repeated += 1
                differing += _accuracies(first[key]) != _accuracies(record)
            else:
                first[key] = record
                new.append(record)
        if new or store.episodes:
            found.append(replace(store, records=new))
    warnings = [f"{repeated} runs are in several stores and are counted once"] if repeated else []
    if differing:
        warnings.append(
            f"{differing} of these runs have other accuracies in the later store, as another machine or version may "
            "give them: the first store's are shown"
        )
    return found, warnings


def _renamed(
    stores: Sequence[Store], same_shots: bool
) -> tuple[list[Record], dict[str, RepresentationKind], list[Record]]:
    """The records of all stores with names that mean one thing each, the kinds, and the results on episodes."""
    features: dict[str, set[Hashable]] = defaultdict(set)
    holders: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for index, store in enumerate(stores):
        for record in store.records:
            features[record["representation"]].add(record.get("features", index))
            holders[record["representation"],].add(index)
            holders[record["representation"], record["method"]].add(index)

    def names(store: Store, record: Record) -> dict[str, str]:
        representation, method = record["representation"], record["method"]
        if len(holders[representation,]) > 1 and len(features[representation]) > 1:
            representation = f"{representation} ({store.name})"
        elif len(holders[representation, method]) > 1:
            method = f"{method} ({store.name})"
        return {"representation": representation, "method": method}

    records: list[Record] = []
    kinds: dict[str, RepresentationKind] = {}
    episodes: dict[Hashable, Record] = {}
    for store in stores:
        for record in store.records:
            shown = names(store, record)
            kinds[shown["representation"]] = store.kinds[record["representation"]]
            # With other shots, experiments that share a number are as different as any others.
            number = record["experiment"]
            records.append({**record, **shown, "experiment": number if same_shots else f"{number} of {store.name}"})
        for record in store.episodes:
            shown = names(store, record)
            episodes.setdefault((*shown.values(), record["task"]), {**record, **shown})
    return records, kinds, list(episodes.values())


def _same_shots(stores: Sequence[Store]) -> bool:
    """True where the experiments of one number have the same shots in every store."""
    draws: dict[Hashable, set[Hashable]] = defaultdict(set)
    for index, store in enumerate(stores):
        for record in store.records:
            draw = (record["data"]["train"], record["shots"]) if "data" in record else index
            draws[record["n_shots"], record["experiment"]].add(draw)
    return all(len(found) == 1 for found in draws.values())


def _data_warnings(stores: Sequence[Store], same_shots: bool) -> list[str]:
    if len(stores) < 2:
        return []
    by_data: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    silent = []
    for store in stores:
        if any("data" not in record for record in store.records):
            silent.append(store.name)
        found = [record["data"] for record in store.records if "data" in record]
        for data in dict.fromkeys((d["test"], d["split"], d["base"], d["novel"]) for d in found):
            by_data[data].append(store.name)
    warnings = []
    if silent:
        warnings.append(
            f"{', '.join(silent)}: the results do not say what data they are of (converted from the original program)"
        )
    if len(by_data) > 1:
        groups = "; ".join(
            f"{', '.join(names)}: {base} base and {novel} novel classes"
            for (_, _, base, novel), names in by_data.items()
        )
        warnings.append(f"DIFFERENT TEST DATA, whose numbers cannot be compared: {groups}")
    elif by_data and not silent and not same_shots:
        warnings.append("the stores drew different shots: differences between their rows are not paired by experiment")
    return warnings


def _experiment_warnings(stores: Sequence[Store]) -> list[str]:
    counts: dict[str, list[int]] = {}
    for store in stores:
        experiments: dict[Hashable, set[int]] = defaultdict(set)
        for record in store.records:
            experiments[record["representation"], record["method"], record["n_shots"]].add(record["experiment"])
        counts[store.name] = sorted({len(found) for found in experiments.values()})
    if len({count for found in counts.values() for count in found}) < 2:
        return []
    groups = "; ".join(f"{name}: {' or '.join(map(str, found))}" for name, found in counts.items())
    return [f"different numbers of experiments: {groups}"]


def _accuracies(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key.endswith(("_top1", "_top5"))}
