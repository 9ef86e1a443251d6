"""The stage that runs the benchmark: every run of one method on one representation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lowshot.benchmark import ResultStore
from lowshot.benchmark.protocol import benchmark_tasks
from lowshot.benchmark.task import Task, TaskList
from lowshot.contents import by_content
from lowshot.errors import counted
from lowshot.parallel import TaskGroup
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.result_files import ResultFiles
from lowshot.pipeline.stage import Stage

# Novel queries that are recorded with their predictions, for the report.
EXAMPLES = 12


def evaluate_stage(phase: LowShotPhase, method: str, needs: tuple[Stage, ...], files: ResultFiles) -> Stage:
    """The benchmark of one method on one representation."""
    section, outputs = phase.recipe.evaluate, phase.outputs
    prior_target = section.prior_target_for(phase.representation.inputs.n_val_classes)

    def tasks() -> list[Task]:
        return benchmark_tasks(
            phase.data,
            phase.method(method, EXAMPLES),
            outputs.scratch,
            n_shots=section.n_shots,
            setup=section.setup,
            bias_target=prior_target if section.calibrate == "prior" else None,
            tags=phase.tags(method),
        )

    depends = {"evaluate": {**section.model_dump(mode="json", exclude={"methods"}), "prior_target": prior_target}}
    written = (outputs.method_results(phase.name, method), outputs.results)
    return measured_stage("evaluate", phase, method, depends, needs, written, tasks, files.merge_results)


def measured_stage(
    kind: str,
    phase: LowShotPhase,
    method: str,
    depends: Mapping[str, Any],
    needs: tuple[Stage, ...],
    outputs: tuple[Path, Path],
    tasks: Callable[[], list[Task]],
    merge: Callable[[bool], None],
) -> Stage:
    """A stage of the tasks that the method's own file lacks; ``merge(last)`` updates the file of all methods."""
    section, subject = phase.section(method), f"{phase.name}/{method}"

    def group() -> TaskGroup:
        due = TaskList(tasks(), phase.data, ResultStore(outputs[0]))

        def finish(last: bool) -> None:
            due.store.keep(due.fingerprints)
            due.store.arrange(due.fingerprints)
            merge(last)

        return due.group(f"{kind}:{subject}", finish)

    inputs = {
        "classifier": section.classifier,
        "params": by_content(section.params_for(phase.key)),
        "n_per_class": section.n_per_class,
        **depends,
        **phase.common_inputs,
    }
    own, of_all = outputs
    return Stage(
        kind,
        subject,
        inputs,
        needs,
        (own,),
        tasks=group,
        shared=(of_all,),
        resumes=True,
        left=lambda: tasks_left(own),
    )


def tasks_left(path: Path) -> str:
    """The tasks whose records a file has, in words."""
    n = ResultStore(path).n_tasks
    return counted(n, "task") if n else ""
