"""A recipe → its stages, of which those that are up to date are skipped."""

from lowshot.pipeline.runner import run_recipe
from lowshot.pipeline.validation import validate_recipe

__all__ = ["run_recipe", "validate_recipe"]
