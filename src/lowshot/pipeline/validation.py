"""The command ``lowshot validate``: all mistakes of a recipe at once, before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lowshot.errors import counted
from lowshot.pipeline.deep_check import check_outputs
from lowshot.pipeline.mistakes import check_plan, read_plan
from lowshot.recipe import Recipe


def validate_recipe(
    path: str | Path, overrides: Sequence[str] = (), *, output: Path | None = None, deep: bool = False
) -> str:
    """Check a recipe and everything it names: keys, types, registry names, files, images, class split, experiments.

    Args:
        path (str or Path): A YAML file or the name of an embedded recipe.
        overrides (sequence of str): Dotted changes, ``train.epochs=5``.
        output (Path): The folder of results, instead of the recipe's.
        deep (bool): Also compare every file of the finished stages with what was written.

    Returns:
        str: A line that says what the recipe describes, and with ``deep`` one about the finished stages.

    Raises:
        InputError: One line for each mistake, or for each damaged file.
    """
    plan = read_plan(path, overrides, {} if output is None else {"output": str(output)}, dry=True)
    check_plan(path, plan)
    recipe = plan.recipe
    plan.inputs.say_images()
    methods = len(recipe.evaluate.methods)
    sound = (
        f"recipe {path} is sound: {counted(len(recipe.representations), 'representation')}{_trainings(recipe)} × "
        f"{counted(methods, 'method')} × n = {', '.join(map(str, recipe.evaluate.n_shots))} × "
        f"{counted(recipe.split.experiments, 'experiment')}"
        + ("" if (unused := plan.inputs.unused_classes) is None else f"; {unused}")
    )
    if not deep:
        return sound
    options = [] if output is None else ["--output", str(output)]
    return f"{sound}\n{check_outputs(plan, [str(path), *overrides, *options])}"


def _trainings(recipe: Recipe) -> str:
    """The number of trainings in words, where a representation has several."""
    return "" if len(recipe.trainings) == len(recipe.representations) else f" from {len(recipe.trainings)} trainings"
