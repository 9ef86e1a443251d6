"""The stages that a run does, decided before the first of them starts, and their lines on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lowshot.errors import InputError
from lowshot.pipeline.mistakes import check_plan
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.run_lock import RunLock, refusal_of
from lowshot.pipeline.stage import KINDS, Stage
from lowshot.pipeline.stamps import Stamps, Status
from lowshot.progress import SafeConsole, say

MOST_LINES = 3
"""Up to this many stages of one kind have a line each; more share one."""


def decide(path: str | Path, plan: Plan, stamps: Stamps, only: str | None, force: bool) -> list[Status]:
    """The status of every stage of a plan.

    Args:
        path (str or Path): The recipe, as messages name it.
        plan (Plan): The plan.
        stamps (Stamps): The stamps of earlier runs.
        only (str or None): The kind of stages that are run alone.
        force (bool): Run the chosen stages even where they are up to date.

    Raises:
        InputError: There is work to do for a recipe that ``lowshot validate`` refuses; or a stage is to run alone, and
            what it needs is not there.
    """
    try:
        found = _decide(plan, stamps, only, force)
    except InputError:
        if only is None:
            check_plan(path, plan)  # names all mistakes, where there are others
        raise
    kinds = {status.stage.kind for status in found if status.runs}
    if only is None and kinds - {"report"}:
        check_plan(path, plan, images=bool(kinds & {"train", "extract"}))
    return found


def _decide(plan: Plan, stamps: Stamps, only: str | None, force: bool) -> list[Status]:
    if only == "tune" and not any(stage.kind == "tune" for stage in plan.stages):
        raise InputError(
            "no method has a grid, so there is nothing to tune: give one, such as "
            "evaluate.methods.NAME.grid={weight_decay: [0.001, 0.01]}, or grid: default"
        )
    forced: Sequence[str] = () if not force else ([only] if only is not None else KINDS[1:])
    statuses = stamps.statuses(plan.stages, forced)
    if only is not None:
        _check_needs(statuses, only)
    return statuses


def _check_needs(statuses: Sequence[Status], only: str) -> None:
    by_key = {status.stage.key: status for status in statuses}
    for status in statuses:
        if status.stage.kind != only:
            continue
        for need in status.stage.needs:
            if by_key[need.key].runs and need.kind not in ("split", only):
                raise InputError(
                    f"{status.stage.key} needs {need.key}, which is not up to date ({by_key[need.key].why}): "
                    f"run `lowshot {need.kind}` with this recipe first, or `lowshot run` for all stages"
                )


def announce(statuses: Sequence[Status], stamps: Stamps) -> list[bool]:
    """Say which stages run, now that those before them are done, and forget that these have finished.

    A stage that runs for the first time, or because one before it did, needs no reason; many of them share a line. One
    that was interrupted says what is left to go on from.

    Args:
        statuses (sequence of Status): Stages of one kind.
        stamps (Stamps): The stamps of earlier runs.

    Returns:
        list of bool: True for each stage that runs.
    """
    runs = [status.runs and not (status.follows and stamps.stale(status.stage) is None) for status in statuses]
    explained = [_has_reason(status, stamps) for status in statuses]
    continued = [one.stage for one, does in zip(statuses, runs) if does and stamps.left(one.stage)]
    if len(continued) > MOST_LINES:
        explained = [has and one.stage not in continued for one, has in zip(statuses, explained)]
    plain = [one.stage for one, does, has in zip(statuses, runs, explained) if does and not has]
    idle = [one.stage for one, does in zip(statuses, runs) if not does]
    together = {stage.key for group in (plain, idle) if len(group) > MOST_LINES for stage in group}
    for status, does, has in zip(statuses, runs, explained):
        stage, why = status.stage, status.why
        if stage.key not in together:
            if does:
                say(f"▶ {stage.key}{f': {why}' if has else ''}", style="bold")
            else:
                say(f"✓ {stage.key}: {'the same again ' if status.runs else ''}{why}", style="dim")
        (stamps.clear if does else stamps.confirm)(stage)
    if len(idle) > MOST_LINES:
        say(f"✓ {idle[0].kind}: {len(idle)} of {len(statuses)} are up to date", style="dim")
    if len(plain) > MOST_LINES:
        going_on = f", {len(continued)} of them continued" if len(continued) > MOST_LINES else ""
        say(f"▶ {plain[0].kind}: {len(plain)} of {len(statuses)} methods{going_on}", style="bold")
    return runs


def _has_reason(status: Status, stamps: Stamps) -> bool:
    """True where people may wonder why a stage runs, or how much of it: it has finished or begun before."""
    return not status.follows and (stamps.read(status.stage) is not None or bool(stamps.left(status.stage)))


def finished(stage: Stage, seconds: float, stamps: Stamps, named: bool = False) -> None:
    """Stamp a stage, and say how long it took."""
    stamps.write(stage, seconds)
    say(f"  {stage.key} done in {_duration(seconds)}" if named else f"  done in {_duration(seconds)}", style="dim")


def print_due(path: str | Path, plan: Plan, stamps: Stamps, only: str | None, force: bool) -> None:
    """Print what a run would do, and refuse what it would refuse, without writing anything."""
    if only is None:
        check_plan(path, plan)
    found = [status for status in _decide(plan, stamps, only, force) if only in (None, status.stage.kind)]
    RunLock(plan.outputs.folder, refusal_of(plan.outputs.folder)).check(found)
    plan.inputs.say_images()
    _print_plan(plan, found)


def _print_plan(plan: Plan, statuses: Sequence[Status]) -> None:
    """The table of ``--dry-run``, to standard output."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for column in ("stage", "", "why"):
        table.add_column(column)
    for status in statuses:
        runs = Text("would run", style="bold") if status.runs else Text("skipped", style="dim")
        table.add_row(Text(status.stage.key), runs, Text(status.why))
    console = SafeConsole()
    console.print(Text(f"{plan.recipe.name} → {plan.outputs.folder}", style="bold"), soft_wrap=True)
    console.print(table)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
