"""``lowshot list``."""

from __future__ import annotations

from typing import Annotated

import typer

from lowshot.cli.app import app


@app.command("list")
def list_command(
    what: Annotated[
        str, typer.Argument(help="all, recipes, keys, losses, generators, classifiers, backbones, datasets, presets.")
    ] = "all",
    pattern: Annotated[str, typer.Option("--match", "-m", help="Only names that match, e.g. 'resnet*'.")] = "*",
    parameters: Annotated[bool, typer.Option("--parameters", "-p", help="Show parameters and defaults.")] = False,
) -> None:
    """Print everything that a recipe can name, a line each: parts of this package, of plug-ins, and the recipes."""
    from lowshot.cli.listing import print_listing

    print_listing(what, pattern, parameters)
