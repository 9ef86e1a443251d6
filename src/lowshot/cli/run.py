"""``lowshot run``."""

from __future__ import annotations

from typing import Annotated

import typer

from lowshot.cli.app import (
    AddressOption,
    DevicesOption,
    EngineOption,
    ForceOption,
    OutputOption,
    OverridesArgument,
    RecipeArgument,
    WorkersOption,
    app,
)


@app.command()
def run(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why, and do nothing.")] = False,
    force: ForceOption = False,
    devices: DevicesOption = None,
    output: OutputOption = None,
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    address: AddressOption = None,
) -> None:
    """Walk a recipe: split, train, extract, fit, tune, evaluate, report; what is up to date is skipped.

    Interrupted or killed, the same command goes on where it was. Examples:

      lowshot run cifar100 data.root=cifar100.zip
      lowshot run my_recipe.yaml train.epochs=5 evaluate.n_shots=[1,5] --dry-run
    """
    from lowshot.benchmark import Engine
    from lowshot.pipeline import run_recipe

    where = Engine(engine, workers, address)
    run_recipe(recipe, overrides or (), dry_run=dry_run, force=force, devices=devices, output=output, engine=where)
