"""Walk a recipe: work out what is out of date, do that, say so."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lowshot.errors import InputError
from lowshot.io import write_text
from lowshot.pipeline.plan import KINDS, Stamps, Status, Stop
from lowshot.pipeline.reporting import print_recipe_report
from lowshot.pipeline.stops import Road
from lowshot.progress import say
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
) -> Recipe:
    """Walk the stops of a recipe that are not up to date.

    Args:
        path: a YAML file or the name of an embedded recipe.
        overrides: dotted changes, ``train.epochs=5``.
        only: one of ``lowshot.pipeline.plan.KINDS``: run these stops alone; what they need must be up to date.
        dry_run: print what would run and why, and change nothing.
        force: run the chosen stops even where they are up to date.
        devices: processes for training and extraction; the recipe's own numbers when None.
        output: folder for results, instead of the recipe's.

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
    with _ranks() as ranks:
        statuses = ranks.share(_statuses(road, stamps, only, force) if ranks.first else None)
        if dry_run:
            _print_plan(recipe, road.stops, statuses, ranks.first)
            return recipe
        if ranks.first:
            write_text(recipe.folder / "recipe.yaml", recipe.to_yaml())
        for stop, (runs, why) in zip(road.stops, statuses, strict=True):
            if only is not None and stop.kind not in (only, "split"):
                continue
            _walk(stop, runs, why, stamps, ranks)
            if stop.kind == "report" and not runs and ranks.first:
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


def _walk(stop: Stop, runs: bool, why: str, stamps: Stamps, ranks: _Ranks) -> None:
    if not runs:
        if ranks.first:
            say(f"✓ {stop.key}: {why}", style="dim")
        return
    if ranks.first:
        say(f"▶ {stop.key}: {why}", style="bold")
        stamps.clear(stop)
    start = time.perf_counter()
    if ranks.first or stop.kind in _COLLECTIVE:
        stop.action()
    seconds = time.perf_counter() - start
    if ranks.first:
        stamps.write(stop, seconds)
        say(f"  done in {_duration(seconds)}", style="dim")
    ranks.wait()


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


class _Ranks:
    """The processes that walk one plan together: one, unless a launcher such as torchrun started several."""

    def __init__(self, rank: int, size: int) -> None:
        self.first = rank == 0
        self.size = size

    def share(self, value: list[tuple[bool, str]] | None) -> list[tuple[bool, str]]:
        """The first rank's value, on every rank: all must take the same decisions."""
        if self.size == 1:
            assert value is not None
            return value
        import torch.distributed

        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        assert box[0] is not None
        return box[0]

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier()


@contextlib.contextmanager
def _ranks() -> Iterator[_Ranks]:
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield _Ranks(0, 1)
        return
    import torch.distributed

    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    yield _Ranks(torch.distributed.get_rank(), torch.distributed.get_world_size())
