"""``lowshot validate``."""

from __future__ import annotations

import typer

from lowshot.cli.app import OverridesArgument, RecipeArgument, app


@app.command()
def validate(recipe: RecipeArgument, overrides: OverridesArgument = None) -> None:
    """Check a recipe and everything it names, and report all mistakes at once (exit code 2 if there are any)."""
    from lowshot.pipeline import validate_recipe

    summary = validate_recipe(recipe, overrides or ())
    typer.echo(summary)
