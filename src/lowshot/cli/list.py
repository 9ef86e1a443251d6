"""``lowshot list``."""

from __future__ import annotations

from typing import Annotated

import typer


def list_parts(
    what: Annotated[
        str, typer.Argument(help="all, recipes, keys, losses, generators, classifiers, backbones, datasets, presets.")
    ] = "all",
    pattern: Annotated[str, typer.Option("--match", "-m", help="Only names that match, e.g. 'resnet*'.")] = "*",
    parameters: Annotated[
        bool, typer.Option("--parameters", "-p", help="Show parameters, defaults and grids.")
    ] = False,
) -> None:
    """Print everything that a recipe can name, a line each: parts of lowshot and of plug-ins, and the recipes."""
    from lowshot.cli.listing import print_listing

    print_listing(what, pattern, parameters)
