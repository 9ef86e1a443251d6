"""From results to a report: tables in the terminal, and the files of ``lowshot.report``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.errors import InputError
from lowshot.files import read_text
from lowshot.pipeline.stages.base import Stamps
from lowshot.progress import say

if TYPE_CHECKING:
    from lowshot.pipeline.plan import Road
    from lowshot.recipe import Recipe
    from lowshot.report import Example
    from lowshot.report.published import Nature
    from lowshot.report.whole import Report


COMPARISON = Path("runs") / "comparison"
"""Where the report of several stores goes unless another folder is named."""


def report_on(
    sources: Sequence[str],
    *,
    force: bool = False,
    output: Path | None = None,
    metrics: Sequence[str] = (),
    paper: bool = False,
) -> None:
    """What ``lowshot report`` does: the report stop of a recipe, or a comparison of result stores.

    Args:
        sources: a recipe and ``KEY=VALUE`` changes to it; or folders with ``results.jsonl`` and ``.jsonl`` files.
        force: write a recipe's report again where it is up to date.
        output: folder of the recipe's results, or for the report of the stores.
        metrics: accuracies to show; all that were measured when empty.
        paper: also set the results beside the published tables of Hariharan & Girshick.

    Raises:
        InputError: recipe and stores mixed, or any error of the two.
    """
    from lowshot.pipeline.runner import run_recipe
    from lowshot.report.stores import write_store_report

    stores = [source for source in sources if is_store(source)]
    if len(stores) == len(sources):
        write_store_report(stores, output or COMPARISON, metrics or None, paper)
        return
    recipe, *changes = sources
    if (
        others := [source for source in sources if source not in stores]
        if stores
        else [change for change in changes if "=" not in change]
    ):
        raise InputError(
            f"{others[0]} is no result store: give either one recipe with KEY=VALUE changes, or result stores alone "
            "(folders with results.jsonl, .jsonl files); a recipe's results are in runs/NAME"
        )
    changes += [f"report.metrics=[{','.join(metrics)}]"] if metrics else []
    changes += ["report.paper=true"] if paper else []
    run_recipe(recipe, changes, only="report", force=force, output=output)


def is_store(source: str) -> bool:
    """Whether a name given to ``lowshot report`` is of results, not of a recipe (which may share a folder's name)."""
    path = Path(source)
    return path.suffix == ".jsonl" or (path / "results.jsonl").is_file() or (path.is_dir() and os.sep in source)


def write_recipe_report(road: Road) -> None:
    """Write report.html and its companions from what the other stops wrote, and print the tables."""
    from lowshot.pipeline.generator_views import generator_views
    from lowshot.report.generators import generator_section

    recipe = road.recipe
    report = _report(road)
    page = report.write(
        road.report_page.parent,
        title=recipe.report.title or recipe.name,
        description=recipe.description,
        training_logs=_training_logs(road),
        examples=_examples(road, report.records),
        recipe_yaml=recipe.to_yaml(),
        provenance=_provenance(road, report.records),
        notes=_notes(road),
        sections=[generator_section(view) for view in generator_views(road)],
    )
    report.print()
    say(f"report: {page}")


def print_recipe_report(road: Road) -> None:
    """The tables of a report that is up to date."""
    _report(road).print()
    say(f"report: {road.report_page}")


def _report(road: Road) -> Report:
    from lowshot.report.whole import Report

    recipe = road.recipe
    return Report(
        _labelled(recipe, list(_with_stop_seconds(road))),
        recipe.evaluate.setup,
        recipe.report.metrics or None,
        _natures(road) if recipe.report.paper else None,
        _labelled(recipe, road.results.episode_records()),
    )


def _with_stop_seconds(road: Road) -> Iterator[dict[str, Any]]:
    """The results, with what the stops took that fitted a method's generator and classifier, where it has any."""
    stamps = Stamps(road.folder / "state")
    seconds = {}
    for stop in road.stops:
        fits = [stamps.read(need) for need in stop.needs if need.kind in ("fit-generator", "fit-classifier")]
        if stop.kind == "evaluate" and fits and all(fits):
            seconds[stop.subject] = sum(stamp["seconds"] for stamp in fits if stamp)
    for record in road.results.records():
        subject = f"{record['representation']}/{record['method']}"
        yield {**record, "stop_seconds": seconds[subject]} if subject in seconds else record


def _labelled(recipe: Recipe, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with the names that tables show in place of the recipe's keys."""
    return [
        {
            **record,
            "representation": recipe.label(record["representation"]),
            "method": recipe.method_label(record["method"]),
        }
        for record in records
    ]


def _natures(road: Road) -> dict[str, Nature]:
    from lowshot.report.published import nature_in_recipe

    tree = road.recipe.model_dump(mode="json")
    return {road.recipe.label(name): nature_in_recipe(tree, name) for name in road.recipe.representations}


def _training_logs(road: Road) -> dict[str, list[dict[str, Any]]]:
    logs = {}
    for name, section in road.recipe.representations.items():
        path = road.representation(name).training_log
        if section.features is None and section.checkpoint is None and path.exists():
            lines = read_text(path, "training log").splitlines()
            logs[road.recipe.label(name)] = [json.loads(line) for line in lines]
    return logs


def _examples(road: Road, records: list[dict[str, Any]]) -> list[Example]:
    """The kept predictions at one number of shots with their images, of each representation's first method."""
    from lowshot.report import Example

    if not road.inputs.needs_images:
        return []
    names = road.inputs.class_names
    n_shots = road.recipe.report.examples_at or max(road.recipe.evaluate.n_shots)
    first_method = road.recipe.method_label(next(iter(road.recipe.evaluate.methods)))
    return [
        Example(
            image=road.inputs.image_of("test", kept["row"]),
            true=names[kept["true"]],
            predicted=names[kept["predicted"]],
            representation=record["representation"],
            method=record["method"],
            n_shots=n_shots,
        )
        for record in records
        if record["setup"] == road.recipe.evaluate.setup
        and record["n_shots"] == n_shots
        and record["method"] == first_method
        for kept in record.get("examples", [])
    ]


def _provenance(road: Road, records: list[dict[str, Any]]) -> dict[str, Any]:
    last = max(records, key=lambda record: record["time"])
    recipe = road.recipe
    return {
        "recipe": {"name": recipe.name, "fingerprint": recipe.fingerprint, "seed": recipe.seed},
        "data": road.inputs.data_fingerprint,
        "class split": road.inputs.split.fingerprint,
        "versions": last["versions"],
        "host": last["host"],
        "evaluated": last["time"],
    }


def _notes(road: Road) -> list[str]:
    notes = []
    if road.inputs.needs_images and road.recipe.data.on_bad_image == "skip":
        skipped = road.inputs.skipped
        notes.append(f"{len(skipped)} images could not be read and were left out everywhere.")
        notes += skipped[:20]
    return notes
