"""``lowshot demo | run | validate``: a recipe as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowshot.cli.options import (
    Address,
    Devices,
    DryRun,
    EngineKind,
    Force,
    Output,
    Overrides,
    RecipeName,
    Workers,
    run_recipe,
)
from lowshot.escaping import printable


def demo(
    overrides: Overrides = None,
    output: Output = None,
    engine: EngineKind = "auto",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Teach a recogniser from a few pictures, then run the benchmark on the embedded data set. Nothing is downloaded.

    The recogniser takes seconds, the benchmark a few minutes on two cores; its pictures lie in runs/recogniser, or
    beside the output folder. The benchmark is the same as [bold]lowshot run glyphs[/]: renders characters as a camera
    would see them, trains two representations, extracts features, learns the novel characters from 1 to 20 pictures
    each, prints the table and writes report/report.html.
    """
    from lowshot.parallel.engines import Engine
    from lowshot.pipeline.recogniser_demo import demonstrate

    Engine(engine, workers, address)  # refused before any work
    folder = Path("runs") if output is None else Path(output).parent
    demonstrate(folder / "recogniser", lambda line: typer.echo(printable(line)))
    typer.echo("\nThe benchmark: the same idea, measured (lowshot run glyphs)")
    run_recipe("glyphs", overrides, output=output, engine=engine, workers=workers, address=address)


def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    force: Force = False,
    devices: Devices = None,
    output: Output = None,
    engine: EngineKind = "auto",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Run all stages of a recipe, from the class split to the report; a stage that is up to date is skipped.

    The stages are the commands from [bold]split[/] to [bold]report[/]. After an interruption, the same command
    resumes. Examples:

      lowshot run cifar100 data.root=cifar100.zip
      lowshot run my_recipe.yaml train.epochs=5 evaluate.n_shots=[1,5] --dry-run
    """
    run_recipe(
        recipe,
        overrides,
        dry_run=dry_run,
        force=force,
        devices=devices,
        output=output,
        engine=engine,
        workers=workers,
        address=address,
    )


def validate(
    recipe: RecipeName,
    overrides: Overrides = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every file of the finished stages, and name those that changed.")
    ] = False,
    output: Output = None,
) -> None:
    """Check a recipe and everything it names, and report all mistakes at once (exit code 2 if there are any)."""
    from lowshot.pipeline import validate_recipe

    typer.echo(printable(validate_recipe(recipe, overrides or (), output=output, deep=deep)))
