"""``lowshot run``."""

from __future__ import annotations

from typing import Annotated

import typer

from lowshot.cli.app import app
from lowshot.cli.options import DEVICES, ENGINE, RECIPE, Walk, walks


@app.command()
@walks(*RECIPE, *DEVICES, *ENGINE)
def run(
    walk: Walk,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why, and do nothing.")] = False,
) -> None:
    """Walk a recipe: split, train, extract, fit, tune, evaluate, report; what is up to date is skipped.

    Interrupted or killed, the same command goes on where it was. Examples:

      lowshot run cifar100 data.root=cifar100.zip
      lowshot run my_recipe.yaml train.epochs=5 evaluate.n_shots=[1,5] --dry-run
    """
    walk(dry_run=dry_run)
