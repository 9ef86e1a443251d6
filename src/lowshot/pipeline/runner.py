"""Walk a recipe: work out what is out of date, do that, say so."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from lowshot.benchmark import Engine
from lowshot.errors import InputError
from lowshot.files import only_one, write_text
from lowshot.parallel.scheduler import Job, run_jobs
from lowshot.pipeline.plan import Road
from lowshot.pipeline.reporting import print_recipe_report
from lowshot.pipeline.stages.base import KINDS, Stamps, Status, Stop
from lowshot.pipeline.tuning import print_tunings
from lowshot.progress import say
from lowshot.ranks import Ranks, launched_ranks
from lowshot.recipe import Recipe, load_recipe, read_recipe

# Each rank of a torchrun or SLURM launch walks the same plan; these stops use all of them, the others one.
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
    """Walk the stops of a recipe that are not up to date.

    Args:
        path: a YAML file or the name of an embedded recipe.
        overrides: dotted changes, ``train.epochs=5``.
        only: one of ``lowshot.pipeline.stages.base.KINDS``: run these stops alone; what they need must be up to date.
        dry_run: print what would run and why, and change nothing.
        force: run the chosen stops even where they are up to date.
        devices: processes for training and extraction; the recipe's own numbers when None.
        output: folder for results, instead of the recipe's.
        engine: where the tasks of tuning and evaluation are computed; ``Engine()`` when None.

    Returns:
        The resolved recipe.

    Raises:
        InputError: the recipe, the data or a file that it names cannot be used; a needed stop has not run.
    """
    changes = list(overrides)
    if devices is not None:
        changes += [f"train.devices={devices}", f"extract.devices={devices}"]
    if output is not None:
        changes.append(f"output={output}")
    recipe = load_recipe(path, changes)
    road = Road(recipe)
    stamps = Stamps(recipe.folder / "state")
    with launched_ranks() as ranks:
        statuses = ranks.share(_statuses(road, stamps, only, force) if ranks.first else None)
        if dry_run:
            _print_plan(recipe, road.stops, statuses, ranks.first)
            return recipe
        if ranks.first:
            write_text(recipe.folder / "recipe.yaml", recipe.to_yaml())
        walk = [
            Status(stop, runs, why)
            for stop, (runs, why) in zip(road.stops, statuses, strict=True)
            if only in (None, stop.kind) or stop.kind == "split"
        ]
        for is_swept, group in itertools.groupby(walk, lambda status: status.stop.job and status.stop.kind):
            if is_swept:
                _sweep(swept := list(group), road, stamps, ranks, engine or Engine())
                if swept[0].stop.kind == "tune" and ranks.first:
                    print_tunings(recipe, [s.stop.subject for s in swept if s.runs or only == "tune"])
                continue
            for status in group:
                _walk(status, stamps, ranks)
                if status.stop.kind == "report" and not status.runs and ranks.first:
                    print_recipe_report(road)
    return recipe


def validate_recipe(path: str | Path, overrides: Sequence[str] = ()) -> str:
    """Check a recipe and everything it names: keys, types, registry names, files, images, class split, experiments.

    Returns:
        One line that says what the recipe describes.

    Raises:
        InputError: one line for each mistake.
    """
    recipe, wrong = read_recipe(path, overrides)
    if recipe is not None:
        wrong += [line for line in Road(recipe).complaints() if line not in wrong]
    if wrong or recipe is None:
        raise InputError("\n".join([f"recipe {path} has mistakes:", *wrong]))
    methods = len(recipe.evaluate.methods)
    return (
        f"recipe {path} is sound: {len(recipe.representations)} representations × {methods} methods × "
        f"{len(recipe.evaluate.n_shots)} numbers of shots × {recipe.split.experiments} experiments"
    )


def _statuses(road: Road, stamps: Stamps, only: str | None, force: bool) -> list[tuple[bool, str]]:
    """Per stop whether it runs and why; refuses to run a stop alone whose inputs are not there."""
    if only == "tune" and not any(stop.kind == "tune" for stop in road.stops):
        raise InputError(
            "no method has a grid, so there is nothing to tune: give one, such as "
            "evaluate.methods.NAME.grid={weight_decay: [0.001, 0.01]}, or grid: default"
        )
    forced: Sequence[str] = () if not force else ([only] if only is not None else KINDS[1:])
    statuses: list[Status] = stamps.statuses(road.stops, forced)
    if only is not None:
        _check_needs(statuses, only)
    return [(status.runs, status.why) for status in statuses]


def _check_needs(statuses: Sequence[Status], only: str) -> None:
    states = {status.stop.key: status for status in statuses}
    for status in statuses:
        if status.stop.kind != only:
            continue
        for need in status.stop.needs:
            if states[need.key].runs and need.kind != "split":
                raise InputError(
                    f"{status.stop.key} needs {need.key}, which is not up to date ({states[need.key].why}): "
                    f"run `lowshot {need.kind}` with this recipe first, or `lowshot run` for all stops"
                )


def _walk(status: Status, stamps: Stamps, ranks: Ranks) -> None:
    """Do the work of a stop, if it is due."""
    stop = status.stop
    if ranks.first:
        _announce(status, stamps)
    if not status.runs:
        return
    start = time.perf_counter()
    if ranks.first or stop.kind in _COLLECTIVE:
        assert stop.action is not None
        stop.action()
    if ranks.first:
        _finished(stop, time.perf_counter() - start, stamps)
    ranks.wait()


def _sweep(statuses: Sequence[Status], road: Road, stamps: Stamps, ranks: Ranks, engine: Engine) -> None:
    """Do the work of all stops that are due as one sweep over their tasks; each is stamped when its own are done."""
    due = [status.stop for status in statuses if status.runs]
    if ranks.first:
        for status in statuses:
            _announce(status, stamps)
        # Another sweep in this folder would add to the same files and remove the same scratch.
        with only_one(road.folder / "state" / "sweep.lock", lambda: say(f"waiting for another sweep in {road.folder}")):
            try:
                if due:
                    _run(due, stamps, engine)
                    road.scratch.remove()
            finally:
                road.catch_up()
    if due:
        ranks.wait()


def _run(due: Sequence[Stop], stamps: Stamps, engine: Engine) -> None:
    """Run the tasks of these stops; each is stamped when its own are done."""
    jobs = [stop.job() for stop in due if stop.job is not None]

    def after(job: Job, seconds: float) -> None:
        [stop] = [stop for stop, its_job in zip(due, jobs) if its_job is job]
        _finished(stop, seconds, stamps, named=True)

    run_jobs(jobs, engine, after, title=due[0].kind)


def _announce(status: Status, stamps: Stamps) -> None:
    if not status.runs:
        say(f"✓ {status.stop.key}: {status.why}", style="dim")
        return
    say(f"▶ {status.stop.key}: {status.why}", style="bold")
    stamps.clear(status.stop)


def _finished(stop: Stop, seconds: float, stamps: Stamps, named: bool = False) -> None:
    stamps.write(stop, seconds)
    say(f"  {stop.key} done in {_duration(seconds)}" if named else f"  done in {_duration(seconds)}", style="dim")


def _print_plan(recipe: Recipe, stops: Sequence[Stop], statuses: Sequence[tuple[bool, str]], first: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    if not first:
        return
    table = Table(box=None, title=f"{recipe.name} → {recipe.folder}", title_justify="left", title_style="bold")
    for column in ("stop", "", "why"):
        table.add_column(column)
    for stop, (runs, why) in zip(stops, statuses, strict=True):
        table.add_row(stop.key, "[bold]would run[/]" if runs else "[dim]skipped[/]", why)
    Console(highlight=False).print(table)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
