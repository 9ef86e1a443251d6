"""Running a recipe: the stages that are out of date, in order, each with a line that says why."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from lowshot.errors import InputError
from lowshot.files import locked, write_text
from lowshot.parallel import Engine, TaskGroup, run_groups
from lowshot.pipeline.mistakes import mistakes
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stages.base import KINDS, Stage
from lowshot.pipeline.stages.report import print_report
from lowshot.pipeline.stages.tune import print_tunings
from lowshot.pipeline.stamps import Stamps, Status
from lowshot.progress import say
from lowshot.ranks import Ranks, launched_ranks
from lowshot.recipe import Recipe, load_recipe, read_recipe

# Each rank of a torchrun or SLURM launch goes through the same plan; these stages use all ranks, the others one.
_COLLECTIVE = ("train", "extract")


def run_recipe(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
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
        only (str): One of the kinds of stages: these alone are run, and the stages they need must be up to date.
        dry_run (bool): Print which stages would run and why, and change nothing.
        force (bool): Run the chosen stages even where they are up to date.
        devices (int): Processes for training and extraction; the recipe's own numbers when None.
        output (Path): The folder for results, instead of the recipe's.
        engine (Engine): The engine that computes the tasks of tuning and evaluation; ``Engine()`` when None.

    Returns:
        Recipe: The resolved recipe.

    Raises:
        InputError: The recipe, the data or a file that it names cannot be used; a needed stage has not run.
    """
    changes = list(overrides)
    if devices is not None:
        changes += [f"train.devices={devices}", f"extract.devices={devices}"]
    if output is not None:
        changes.append(f"output={output}")
    recipe = load_recipe(path, changes)
    plan = Plan(recipe)
    stamps = Stamps(plan.outputs.state)
    with launched_ranks() as ranks:
        decisions = ranks.share(_decisions(plan, stamps, only, force) if ranks.first else None)
        if dry_run:
            if ranks.first:
                _print_plan(plan, decisions)
            return recipe
        if ranks.first:
            write_text(plan.outputs.recipe, recipe.to_yaml())
        statuses = [
            Status(stage, runs, why)
            for stage, (runs, why) in zip(plan.stages, decisions, strict=True)
            if only in (None, stage.kind) or stage.kind == "split"
        ]
        for has_tasks, neighbours in itertools.groupby(statuses, lambda s: s.stage.tasks and s.stage.kind):
            group = list(neighbours)
            if has_tasks:
                _run_tasks(group, plan, stamps, ranks, engine or Engine())
                if group[0].stage.kind == "tune" and ranks.first:
                    print_tunings(plan.inputs, [s.stage.subject for s in group if s.runs or only == "tune"])
                continue
            for status in group:
                _run_action(status, stamps, ranks)
                if status.stage.kind == "report" and not status.runs and ranks.first:
                    print_report(plan.inputs, plan.results, status.stage.needs)
    return recipe


def validate_recipe(path: str | Path, overrides: Sequence[str] = ()) -> str:
    """Check a recipe and everything it names: keys, types, registry names, files, images, class split, experiments.

    Returns:
        str: One line that says what the recipe describes.

    Raises:
        InputError: One line for each mistake.
    """
    recipe, wrong = read_recipe(path, overrides)
    if recipe is not None:
        wrong += [line for line in mistakes(Plan(recipe)) if line not in wrong]
    if wrong or recipe is None:
        raise InputError("\n".join([f"recipe {path} has mistakes:", *wrong]))
    methods = len(recipe.evaluate.methods)
    return (
        f"recipe {path} is sound: {len(recipe.representations)} representations × {methods} methods × "
        f"{len(recipe.evaluate.n_shots)} numbers of shots × {recipe.split.experiments} experiments"
    )


def _decisions(plan: Plan, stamps: Stamps, only: str | None, force: bool) -> list[tuple[bool, str]]:
    """For each stage whether it runs, and why; refuses to run a stage alone whose inputs are not there."""
    if only == "tune" and not any(stage.kind == "tune" for stage in plan.stages):
        raise InputError(
            "no method has a grid, so there is nothing to tune: give one, such as "
            "evaluate.methods.NAME.grid={weight_decay: [0.001, 0.01]}, or grid: default"
        )
    forced: Sequence[str] = () if not force else ([only] if only is not None else KINDS[1:])
    statuses = stamps.statuses(plan.stages, forced)
    if only is not None:
        _check_needs(statuses, only)
    return [(status.runs, status.why) for status in statuses]


def _check_needs(statuses: Sequence[Status], only: str) -> None:
    by_key = {status.stage.key: status for status in statuses}
    for status in statuses:
        if status.stage.kind != only:
            continue
        for need in status.stage.needs:
            if by_key[need.key].runs and need.kind != "split":
                raise InputError(
                    f"{status.stage.key} needs {need.key}, which is not up to date ({by_key[need.key].why}): "
                    f"run `lowshot {need.kind}` with this recipe first, or `lowshot run` for all stages"
                )


def _run_action(status: Status, stamps: Stamps, ranks: Ranks) -> None:
    """Do the work of a stage, if it is due."""
    stage = status.stage
    if ranks.first:
        _announce(status, stamps)
    if not status.runs:
        return
    start = time.perf_counter()
    if ranks.first or stage.kind in _COLLECTIVE:
        assert stage.action is not None
        stage.action()
    if ranks.first:
        _finished(stage, time.perf_counter() - start, stamps)
    ranks.wait()


def _run_tasks(statuses: Sequence[Status], plan: Plan, stamps: Stamps, ranks: Ranks, engine: Engine) -> None:
    """Do the work of all stages that are due, their tasks together; each is stamped when its own are done."""
    due = [status.stage for status in statuses if status.runs]
    if ranks.first:
        for status in statuses:
            _announce(status, stamps)
        # Another run in this folder would add to the same files and remove the same scratch.
        busy = f"waiting for another run in {plan.outputs.folder}"
        with locked(plan.outputs.state / "sweep.lock", lambda: say(busy)):
            try:
                if due:
                    groups = [stage.tasks() for stage in due if stage.tasks is not None]

                    def after(group: TaskGroup, seconds: float) -> None:
                        stage = next(stage for stage, its_group in zip(due, groups) if its_group is group)
                        _finished(stage, seconds, stamps, named=True)

                    run_groups(groups, engine, after, title=due[0].kind)
                    plan.outputs.scratch.remove()
            finally:
                plan.update_results()
    if due:
        ranks.wait()


def _announce(status: Status, stamps: Stamps) -> None:
    if not status.runs:
        say(f"✓ {status.stage.key}: {status.why}", style="dim")
        return
    say(f"▶ {status.stage.key}: {status.why}", style="bold")
    stamps.clear(status.stage)


def _finished(stage: Stage, seconds: float, stamps: Stamps, named: bool = False) -> None:
    stamps.write(stage, seconds)
    say(f"  {stage.key} done in {_duration(seconds)}" if named else f"  done in {_duration(seconds)}", style="dim")


def _print_plan(plan: Plan, decisions: Sequence[tuple[bool, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{plan.recipe.name} → {plan.outputs.folder}"
    table = Table(box=None, title=title, title_justify="left", title_style="bold")
    for column in ("stage", "", "why"):
        table.add_column(column)
    for stage, (runs, why) in zip(plan.stages, decisions, strict=True):
        table.add_row(stage.key, "[bold]would run[/]" if runs else "[dim]skipped[/]", why)
    Console(highlight=False).print(table)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
