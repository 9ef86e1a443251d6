"""The recipe: one YAML file with the data, the representations and methods, and their evaluation.

YAML → OmegaConf (dotted overrides such as ``train.epochs=5``, interpolation) → pydantic (types, unknown keys,
defaults). Every mistake is collected before anything is reported. Importing this package does not import torch.
"""

from lowshot.recipe.complaints import registry_complaints
from lowshot.recipe.reading import embedded_recipes, find_recipe, load_recipe, read_recipe, recipe_tree
from lowshot.recipe.schema import Recipe
from lowshot.recipe.shots import shots_per_setup

__all__ = [
    "Recipe",
    "embedded_recipes",
    "find_recipe",
    "load_recipe",
    "read_recipe",
    "recipe_tree",
    "registry_complaints",
    "shots_per_setup",
]
