"""The numbers of shots that a recipe asks of the classes of each setup."""

from __future__ import annotations

from lowshot.recipe.schema import Recipe


def shots_per_setup(recipe: Recipe) -> list[tuple[str, str, tuple[int, ...]]]:
    """The setups that a recipe measures, each with the key and the numbers of its shots."""
    section = recipe.evaluate
    asked: list[tuple[str, str, tuple[int, ...]]] = [(section.setup, "evaluate.n_shots", section.n_shots)]
    if section.setup == "test" and section.calibrate == "prior":
        asked.append(("val", "evaluate.n_shots", section.n_shots))
    if any(method.grid is not None for method in section.methods.values()):
        asked.append(("val", "tune.n_shots" if recipe.tune.n_shots else "evaluate.n_shots", recipe.tune_n_shots))
    return asked
