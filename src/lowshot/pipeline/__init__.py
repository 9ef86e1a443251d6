"""A recipe → the five stops, skipping what is up to date."""

from lowshot.pipeline.runner import run_recipe, validate_recipe

__all__ = ["run_recipe", "validate_recipe"]
