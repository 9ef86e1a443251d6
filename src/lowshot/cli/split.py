"""``lowshot split``."""

from __future__ import annotations

from lowshot.cli.app import ForceOption, OutputOption, OverridesArgument, RecipeArgument, app


@app.command()
def split(
    recipe: RecipeArgument, overrides: OverridesArgument = None, force: ForceOption = False, output: OutputOption = None
) -> None:
    """Write the class split and the experiments of a recipe: split/label_idx.json and split/splitfile_N.json.

    The split says which classes are base and novel, each in a validation and a test half; an experiment is one draw
    of shots for every class. Both come from the recipe's seed, or are copied from the files that it names.
    """
    from lowshot.pipeline import run_recipe

    run_recipe(recipe, overrides or (), only="split", force=force, output=output)
