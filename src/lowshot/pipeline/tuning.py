"""The tune stops: for methods with a grid, hyper-parameters chosen on the validation half of the classes.

split, extract:R, fit-generator:R/GENERATOR, fit-classifier:R/METHOD → tune:R/METHOD → evaluate:R/METHOD
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.benchmark import ResultStore
from lowshot.benchmark.grid import N_PER_CLASS, Tuning, declared_grid
from lowshot.benchmark.tuning import Study
from lowshot.benchmark.units import provenance
from lowshot.errors import InputError
from lowshot.files import read_json, write_json
from lowshot.parallel.scheduler import Job
from lowshot.pipeline.stages.base import Stop
from lowshot.recipe.schema import MethodSection, Recipe

if TYPE_CHECKING:
    from lowshot.pipeline.low_shot_phase import LowShotPhase


def tuned_path(folder: Path, representation: str, method: str) -> Path:
    """Where the winner of one method on one representation lies."""
    return folder / "tuned" / representation / f"{method}.json"


def tune_stop(phase: LowShotPhase, method: str, needs: tuple[Stop, ...]) -> Stop:
    """The choice of one method's hyper-parameters on one representation."""
    recipe, section = phase.recipe, phase.recipe.evaluate.methods[method]
    inputs = {
        "classifier": section.classifier,
        "params": section.params_for(phase.representation),
        "n_per_class": section.n_per_class,
        "grid": _grid(section),
        "tune": {**recipe.tune.model_dump(mode="json"), "n_shots": list(recipe.tune_n_shots)},
        **phase.common_inputs,
    }
    subject = f"{phase.representation}/{method}"
    path = tuned_path(recipe.folder, phase.representation, method)
    return Stop("tune", subject, inputs, needs, (path,), job=lambda: _job(phase, method), damage=lambda: _damage(path))


def _job(phase: LowShotPhase, method: str) -> Job:
    """The runs that are not in the file of runs yet; at their end the winner is written."""
    recipe, section = phase.recipe, phase.recipe.evaluate.methods[method]
    path = tuned_path(recipe.folder, phase.representation, method)
    names = {"recipe": recipe.name, "representation": phase.representation, "method": method}
    study = Study(
        phase.validation,
        section.classifier,
        phase.params(method),
        _grid(section),
        target=recipe.tune.target,
        n_shots=recipe.tune_n_shots,
        generator=phase.generator_source(method),
        n_per_class=section.n_per_class,
        seed=recipe.seed,
        store=ResultStore(path.with_suffix(".jsonl")),
        tags=names,
    )

    def finish(last: bool) -> None:
        # Neither time nor machine: equal results are equal files.
        origin = {**names, "recipe_fingerprint": recipe.fingerprint, "versions": provenance()["versions"]}
        write_json(path, {**study.result().to_json(), **origin})

    return study.job(f"tune:{phase.representation}/{method}", phase.scratch, finish)


def winner(folder: Path, representation: str, method: str) -> tuple[dict[str, Any], int | None]:
    """The chosen parameters of the classifier, and the chosen n_per_class if it was among them."""
    params = dict(_read(folder, representation, method).best.params)
    return params, params.pop(N_PER_CLASS, None)


def print_tunings(recipe: Recipe, subjects: Iterable[str]) -> None:
    """The grids of the tune stops with these subjects, to standard output."""
    from rich.console import Console
    from rich.text import Text

    from lowshot.report.tuning import tuning_table

    console, wanted = Console(highlight=False), set(subjects)
    for representation, method in product(recipe.representations, recipe.evaluate.methods):
        if f"{representation}/{method}" in wanted:
            title = f"{recipe.label(representation)}, {recipe.method_label(method)}"
            table = tuning_table(_read(recipe.folder, representation, method), title)
            console.print(replace(table, caption="").rich(), Text(f"{table.caption}\n", style="dim"))


def _read(folder: Path, representation: str, method: str) -> Tuning:
    return _tuning(tuned_path(folder, representation, method))


def _tuning(path: Path) -> Tuning:
    try:
        return Tuning.from_json(read_json(path, "tuned hyper-parameters"))
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path} does not hold what lowshot tune writes: tune again, with --force") from None


def _damage(path: Path) -> str | None:
    try:
        _tuning(path)
    except InputError as error:
        return str(error)
    return None


def _grid(section: MethodSection) -> dict[str, list[Any]]:
    """What a method is tuned over, every value written out."""
    if section.grid == "default":
        return {name: list(values) for name, values in declared_grid(section.classifier).items()}
    return dict(section.grid or {})
