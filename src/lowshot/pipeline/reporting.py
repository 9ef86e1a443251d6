"""From a recipe's results to its report: tables in the terminal, and the files of ``lowshot.report``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lowshot.io import read_text, write_text
from lowshot.progress import say

if TYPE_CHECKING:
    from lowshot.pipeline.stops import Road
    from lowshot.report import Example


def write_recipe_report(road: Road) -> None:
    """Write report.html and its companions from what the other stops wrote, and print the tables."""
    from lowshot.pipeline.generator_views import generator_views
    from lowshot.report import write_report
    from lowshot.report.generators import generator_section
    from lowshot.report.timing import time_markdown, time_rows, time_section

    recipe = road.recipe
    records = labelled_records(road)
    times = time_rows(records, recipe.evaluate.setup)
    page = write_report(
        road.report_page.parent,
        title=recipe.report.title or recipe.name,
        description=recipe.description,
        records=records,
        training_logs=_training_logs(road),
        examples=_examples(road, records),
        recipe_yaml=recipe.to_yaml(),
        provenance=_provenance(road, records),
        notes=_notes(road),
        sections=[*(generator_section(view) for view in generator_views(road)), time_section(times)],
        setup=recipe.evaluate.setup,
    )
    tables = page.with_name("tables.md")
    write_text(tables, f"{read_text(tables)}\n{time_markdown(times)}")
    print_tables(records, recipe.evaluate.setup)
    say(f"report: {page}")


def labelled_records(road: Road) -> list[dict[str, Any]]:
    """The recipe's records with the names that tables show in place of the recipe's keys."""
    recipe = road.recipe
    return [
        {
            **record,
            "representation": recipe.label(record["representation"]),
            "method": recipe.method_label(record["method"]),
        }
        for record in road.records()
    ]


def print_tables(records: list[dict[str, Any]], setup: str) -> None:
    """The main tables, in the original's layout, to standard output."""
    from rich.console import Console

    from lowshot.report import paper_tables

    console = Console(highlight=False)
    for table in paper_tables(records, setup=setup, width=console.width):
        console.print(table)
        console.print()


def _training_logs(road: Road) -> dict[str, list[dict[str, Any]]]:
    logs = {}
    for name, section in road.recipe.representations.items():
        path = road.training_log(name)
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
