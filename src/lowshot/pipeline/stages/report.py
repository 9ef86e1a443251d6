"""The stage that writes the report: tables in the terminal, and the files of ``lowshot.report``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot import __version__
from lowshot.files import exists, fingerprint, read_text, write_text
from lowshot.pipeline.bias_note import zero_bias_note
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.result_files import ResultFiles
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stamps import Stamps
from lowshot.progress import say
from lowshot.recipe import Recipe
from lowshot.recipe.schema import training_name

if TYPE_CHECKING:
    from lowshot.report import Example, Section
    from lowshot.report.class_views import TestImages
    from lowshot.report.published import RepresentationKind
    from lowshot.report.writing import Report

_KINDS_OF_FILES = (".html", ".md", ".csv", ".tex", ".bib", ".png", ".pdf")

_KINDS_OF_CODE = (".py", ".j2", ".css", ".js")

Phases = Mapping[str, LowShotPhase]


def report_stage(inputs: Inputs, phases: Phases, results: ResultFiles, needs: tuple[Stage, ...]) -> Stage:
    """The report of a recipe on the results of the stages that it needs."""
    recipe = inputs.recipe
    depends = {
        "lowshot.report": program(),
        "report": recipe.report.model_dump(mode="json"),
        "description": recipe.description,
        "labels": [
            *(recipe.label(name) for name in recipe.representations),
            *(recipe.method_label(method) for method in recipe.evaluate.methods),
        ],
    }

    def action() -> None:
        _write(inputs, phases, results, needs)

    def show(asked: bool) -> None:
        _report(inputs, results, needs).print()
        say(f"report: {page}")

    def side_outputs() -> list[Path]:
        return [path for path in page.parent.rglob("*") if path.suffix in _KINDS_OF_FILES]

    page = inputs.outputs.report
    return Stage("report", "", depends, needs, (page,), action, side_outputs=side_outputs, show=show)


@cache
def program() -> str:
    """A digest of what turns results into a report: the version and all code and templates of ``lowshot.report``."""
    folder = Path(__file__).parents[2] / "report"
    texts = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.suffix in _KINDS_OF_CODE
    }
    return fingerprint(__version__, texts)


def _write(inputs: Inputs, phases: Phases, results: ResultFiles, evaluated: Iterable[Stage]) -> None:
    """Write report.html and its companions from the outputs of the other stages."""
    from lowshot.report.references import checkpoint_backbones, references

    recipe, folder = inputs.recipe, inputs.outputs.report.parent
    tree = recipe.model_dump(mode="json")
    report = _report(inputs, results, evaluated)
    report.write(
        folder,
        title=recipe.report.title or recipe.name,
        description=recipe.description,
        training_logs=_training_logs(phases),
        examples=_examples(inputs, report),
        recipe_yaml=recipe.to_yaml(),
        references=references([tree], backbones=checkpoint_backbones(tree, inputs.outputs.folder)),
        provenance=_provenance(inputs, report.records),
        notes=_notes(inputs, results),
        images=_test_images(inputs),
        sections=_generators(inputs, phases, report, folder),
        origin=origin_of_features(recipe),
    )


def _generators(inputs: Inputs, phases: Phases, report: Report, folder: Path) -> list[Section]:
    """The section about generators, whose measures are saved beside the page; none where no method has one."""
    from lowshot.pipeline.generator_views import generator_views, pairings
    from lowshot.report.gains import find_gains
    from lowshot.report.generator_views import generator_section, generators_csv
    from lowshot.report.table_data import primary

    views = list(generator_views(inputs, phases))
    if not views:
        return []
    write_text(folder / "generators.csv", generators_csv(views))
    paired = pairings(inputs.recipe)
    return [generator_section(views, [find_gains(report.records, table, paired) for table in primary(report.tables)])]


def _report(inputs: Inputs, results: ResultFiles, evaluated: Iterable[Stage]) -> Report:
    from lowshot.report.writing import Report

    recipe = inputs.recipe
    return Report(
        _labelled(recipe, with_fit_seconds(inputs, results, evaluated)),
        recipe.evaluate.setup,
        recipe.report.metrics or None,
        _kinds(recipe) if recipe.report.paper else None,
        _labelled(recipe, results.episode_records()),
    )


def with_fit_seconds(inputs: Inputs, results: ResultFiles, evaluated: Iterable[Stage]) -> Iterator[dict[str, Any]]:
    """The results, with the seconds of the stages that fitted a method's generator and classifier, where it has any.

    Args:
        inputs (Inputs): The inputs of the recipe.
        results (ResultFiles): Its results.
        evaluated (iterable of Stage): Its stages, of which those of kind "evaluate" count.

    Yields:
        dict: A record; ``stage_seconds`` is added to those of methods for which something was fitted.
    """
    stamps = Stamps(inputs.outputs.state)
    seconds = {}
    for stage in evaluated:
        fits = [stamps.read(need) for need in stage.needs if need.kind in ("fit-generator", "fit-classifier")]
        if stage.kind == "evaluate" and fits and all(fits):
            seconds[stage.subject] = sum(stamp["seconds"] for stamp in fits if stamp)
    for record in results.records():
        training = training_name(record["representation"], record.get("training", 1))
        subject = f"{training}/{record['method']}"
        yield {**record, "stage_seconds": seconds[subject]} if subject in seconds else record


def _labelled(recipe: Recipe, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with the names that tables show in place of the recipe's keys."""
    return [
        {
            **record,
            "representation": recipe.label(record["representation"]),
            "method": recipe.method_label(record["method"]),
        }
        for record in records
    ]


def origin_of_features(recipe: Recipe) -> str:
    """A sentence on what made the features: trainings of the recipe, pretrained networks, files from elsewhere."""
    made: dict[str, list[str]] = {}
    for key in recipe.representations:
        section = recipe.representations[recipe.network_of(key)]
        if section.given:
            source = "were made elsewhere, and what their network has seen is not known here"
        elif section.checkpoint is not None:
            source = "are of a network from a checkpoint"
        elif section.backbone is not None:
            source = "are of a pretrained network, which may have seen the novel classes too"
        elif recipe.train_settings(key).pretrained:
            source = "are of a pretrained network that was trained further on the base classes"
        else:
            source = "are of a network that was trained on the base classes"
        made.setdefault(source, []).append(recipe.label(key))
    if len(made) == 1:
        return f"The features {next(iter(made))}."
    return " ".join(f"The features of {', '.join(labels)} {source}." for source, labels in made.items())


def _kinds(recipe: Recipe) -> dict[str, RepresentationKind]:
    from lowshot.report.published import RepresentationKind

    tree = recipe.model_dump(mode="json")
    return {recipe.label(name): RepresentationKind.from_recipe(tree, name) for name in recipe.representations}


def _training_logs(phases: Phases) -> dict[str, list[dict[str, Any]]]:
    logs = {}
    for phase in phases.values():
        path = phase.representation.training_log
        if phase.representation.is_trained and exists(path):
            lines = read_text(path, "training log").splitlines()
            several = phase.representation.section.seeds > 1
            training = f", training {phase.representation.number}" if several else ""
            logs[f"{phase.recipe.label(phase.key)}{training}"] = [json.loads(line) for line in lines]
    return logs


def _examples(inputs: Inputs, report: Report) -> list[Example]:
    """The recorded predictions at one number of shots with their images.

    They are of one method on each representation: the one that the recipe names, or the best over all classes at that
    number of shots. The representation with the best of these comes first.
    """
    from lowshot.report import Example
    from lowshot.report.table_data import best_first, over_all_classes

    if not inputs.needs_images:
        return []
    recipe, names = inputs.recipe, inputs.class_names
    n_shots = recipe.report.examples_at or max(recipe.evaluate.n_shots)
    table = over_all_classes(report.tables)
    ranking = best_first(table, table.n_shots.index(n_shots) if n_shots in table.n_shots else 0)
    if recipe.report.examples_of is not None:
        ranking = [row for row in ranking if row[1] == recipe.method_label(recipe.report.examples_of)]
    shown = dict(reversed(ranking))  # the best of each representation, which comes last here, stays
    found = [
        Example(
            image=inputs.image_of("test", example["row"]),
            true=names[example["true"]],
            predicted=names[example["predicted"]],
            representation=record["representation"],
            method=record["method"],
            n_shots=n_shots,
        )
        for record in report.records
        if record["setup"] == recipe.evaluate.setup
        and record["n_shots"] == n_shots
        and record["method"] == shown.get(record["representation"])
        and record.get("training", 1) == 1
        for example in record.get("examples", [])
    ]
    return sorted(found, key=lambda example: ranking.index((example.representation, example.method)))


def _test_images(inputs: Inputs) -> TestImages | None:
    """The images of the queries; None for features from elsewhere."""
    from lowshot.report.class_views import TestImages

    if not inputs.needs_images:
        return None
    labels = inputs.part_labels["test"]

    def of_class(label: int) -> Any:
        return inputs.image_of("test", int((labels == label).argmax()))

    return TestImages(lambda row: inputs.image_of("test", row), of_class)


def _provenance(inputs: Inputs, records: list[dict[str, Any]]) -> dict[str, Any]:
    last = max(records, key=lambda record: record["time"])
    recipe = inputs.recipe
    return {
        "recipe": {"name": recipe.name, "fingerprint": recipe.fingerprint, "seed": recipe.seed},
        "data": inputs.data_fingerprint,
        "class split": inputs.split.fingerprint,
        "versions": last["versions"],
        "host": last["host"],
        "evaluated": last["time"],
    }


def _notes(inputs: Inputs, results: ResultFiles) -> list[str]:
    notes = [] if inputs.unused_classes is None else [f"{inputs.unused_classes}."]
    if (note := zero_bias_note(results.records(), inputs.recipe.evaluate)) is not None:
        notes.append(f"{note}.")
    notes += [f"{line}." for line in (*inputs.image_lines, inputs.derived_line or inputs.exhausted) if line]
    if inputs.needs_images and inputs.recipe.data.on_bad_image == "skip":
        skipped = inputs.skipped
        notes += [f"{len(skipped)} images could not be read and were left out everywhere.", *skipped[:20]]
    return notes
