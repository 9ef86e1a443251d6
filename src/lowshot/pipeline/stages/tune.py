"""The stage that chooses the hyper-parameters of a method with a grid, on the validation half of the classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from lowshot.benchmark import ResultStore
from lowshot.benchmark.parameter_grid import Tuning, declared_grid
from lowshot.benchmark.task import provenance
from lowshot.benchmark.tuning import Study
from lowshot.contents import by_content
from lowshot.files import write_json
from lowshot.parallel import TaskGroup
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stages.evaluate import tasks_left
from lowshot.progress import SafeConsole
from lowshot.recipe.method_sections import MethodSection


def tune_stage(phase: LowShotPhase, method: str, needs: tuple[Stage, ...]) -> Stage:
    """The choice of one method's hyper-parameters on one representation, on the first of its trainings."""
    recipe, section = phase.recipe, phase.section(method)
    target = recipe.tune.target_for(phase.representation.inputs.n_val_classes)
    depends = {
        "classifier": section.classifier,
        "params": by_content(section.params_for(phase.key)),
        "n_per_class": section.n_per_class,
        "grid": _grid(section),
        "tune": {**recipe.tune.model_dump(mode="json"), "target": target, "n_shots": list(recipe.tune_n_shots)},
        **phase.common_inputs,
    }
    subject, path = f"{phase.name}/{method}", phase.outputs.tuned(phase.name, method)

    def tasks() -> TaskGroup:
        names = {"recipe": recipe.name, "representation": phase.name, "method": method}
        study = Study(
            phase.validation,
            section.classifier,
            phase.params(method),
            _grid(section),
            scratch=phase.outputs.scratch,
            store=ResultStore(path.with_suffix(".jsonl")),
            target=target,
            n_shots=recipe.tune_n_shots,
            generator=phase.generator_source(method),
            n_per_class=section.n_per_class,
            seed=recipe.seed,
            tags=names,
        )

        def finish(last: bool) -> None:
            # Neither time nor machine: equal results are equal files.
            origin = {**names, "recipe_fingerprint": recipe.fingerprint, "versions": provenance()["versions"]}
            write_json(path, {**study.result().to_json(), **origin})

        return study.tasks.group(f"tune:{subject}", finish)

    def show(asked: bool) -> None:
        if asked:
            _print_tuning(path, f"{recipe.label(phase.name)}, {recipe.method_label(method)}")

    runs = path.with_suffix(".jsonl")
    return Stage(
        "tune",
        subject,
        depends,
        needs,
        (path,),
        tasks=tasks,
        side_outputs=lambda: [runs],
        show=show,
        resumes=True,
        left=lambda: tasks_left(runs),
    )


def _print_tuning(path: Path, title: str) -> None:
    """The grid of a tuning, to standard output."""
    from rich.text import Text

    from lowshot.report.further_tables import tuning_table

    table = tuning_table(Tuning.read(path), title)
    SafeConsole().print(replace(table, caption="").rich(), Text(f"{table.caption}\n", style="dim"))


def _grid(section: MethodSection) -> dict[str, list[Any]]:
    """The values that a method is tuned over, every one written out."""
    if section.grid == "default":
        return {name: list(values) for name, values in declared_grid(section.classifier).items()}
    return dict(section.grid or {})
