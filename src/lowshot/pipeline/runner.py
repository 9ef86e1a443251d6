"""Running a recipe: the stages that are out of date, in order, each with a line that says why."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowshot.files import update_text
from lowshot.parallel import Engine, TaskGroup, run_groups
from lowshot.pipeline.decisions import announce, decide, finished, print_due
from lowshot.pipeline.mistakes import read_plan
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.run_lock import RunLock, only_run
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stamps import Stamps, Status
from lowshot.ranks import Ranks, launched_ranks
from lowshot.recipe import Recipe


def run_recipe(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    values: Mapping[str, Any] | None = None,
    only: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    devices: int | None = None,
    output: Path | None = None,
    engine: Engine | None = None,
) -> Recipe:
    """Run the stages of a recipe that are not up to date.

    Args:
        path (str or Path): A YAML file or the name of an embedded recipe.
        overrides (sequence of str): Dotted changes, ``train.epochs=5``.
        values (mapping): Dotted key → value that is taken as it is, with no YAML in it.
        only (str): One of the kinds of stages: these alone are run, and the stages they need must be up to date.
        dry_run (bool): Print which stages would run and why, and change nothing.
        force (bool): Run the chosen stages even where they are up to date.
        devices (int): Processes for training and extraction; the recipe's own numbers when None.
        output (Path): The folder for results, instead of the recipe's.
        engine (Engine): The engine that computes the tasks of tuning and evaluation, and a Ray cluster's those of
            extraction too; ``Engine()`` when None.

    Returns:
        Recipe: The resolved recipe.

    Raises:
        InputError: The recipe, the data or a file that it names cannot be used; a needed stage has not run.
    """
    given = dict(values or {})
    if devices is not None:
        given |= {"train.devices": devices, "extract.devices": devices}
    if output is not None:
        given["output"] = str(output)
    plan = read_plan(path, overrides, given, dry=dry_run)
    stamps = Stamps(plan.outputs.state)
    with launched_ranks() as ranks:
        if dry_run:
            if ranks.first:
                print_due(path, plan, stamps, only, force)
            return plan.recipe
        with only_run(plan.outputs, ranks.first) as lock:
            _run_plan(path, plan, stamps, ranks, lock, only, force, engine or Engine())
    return plan.recipe


def _run_plan(
    path: str | Path,
    plan: Plan,
    stamps: Stamps,
    ranks: Ranks,
    lock: RunLock,
    only: str | None,
    force: bool,
    engine: Engine,
) -> None:
    """Run the stages that are due, while the output folder is locked. Every rank goes through the same plan."""
    decisions = None
    if ranks.first:
        found = decide(path, plan, stamps, only, force)
        if only in (None, "split"):
            plan.inputs.say_images()
        lock.check([status for status in found if only in (None, status.stage.kind)])
        if lock.refusal is None:
            update_text(plan.outputs.recipe, plan.recipe.to_yaml())
        decisions = [(status.runs, status.why, status.follows) for status in found]
    statuses = [
        Status(stage, *decision)
        for stage, decision in zip(plan.stages, ranks.share(decisions), strict=True)
        if only in (None, stage.kind) or stage.kind == "split"
    ]
    for has_tasks, neighbours in itertools.groupby(statuses, lambda s: s.stage.tasks and s.stage.kind):
        group = list(neighbours)
        if has_tasks:
            ran = _run_tasks(group, plan, stamps, ranks, engine, lock)
        else:
            ran = [status.stage for status in group if _run_action(status, stamps, ranks, engine)]
        for stage in (status.stage for status in group if ranks.first):
            stage.show(stage in ran or only == stage.kind)


def _run_action(status: Status, stamps: Stamps, ranks: Ranks, engine: Engine) -> bool:
    """Do the work of a stage, if it is due."""
    stage = status.stage
    runs = ranks.share(announce([status], stamps)[0] if ranks.first else None)
    if runs:
        start = time.perf_counter()
        if ranks.first or stage.collective:
            assert stage.action is not None
            if engine.kind == "ray" and ranks.size == 1 and stage.distributed is not None:
                stage.distributed(engine)
            else:
                stage.action()
        if ranks.first:
            finished(stage, time.perf_counter() - start, stamps)
        ranks.wait()
    return runs


def _run_tasks(
    statuses: Sequence[Status], plan: Plan, stamps: Stamps, ranks: Ranks, engine: Engine, lock: RunLock
) -> list[Stage]:
    """Do the work of all stages that are due, their tasks together; each is stamped when its own are done."""
    due = []
    if ranks.first:
        due = [status.stage for status, runs in zip(statuses, announce(statuses, stamps)) if runs]
        try:
            if due:
                groups = [stage.tasks() for stage in due if stage.tasks is not None]

                def after(group: TaskGroup, seconds: float) -> None:
                    stage = next(stage for stage, its_group in zip(due, groups) if its_group is group)
                    finished(stage, seconds, stamps, named=True)

                run_groups(groups, engine, after, title=due[0].kind)
                plan.outputs.scratch.remove()
        finally:
            if lock.refusal is None:
                plan.update_results()
    ranks.wait()
    return due
