"""The stages of a recipe, a file each."""
