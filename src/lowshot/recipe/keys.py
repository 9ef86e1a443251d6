"""Every key a recipe may have, with type, default and meaning: for ``lowshot list keys`` and docs/recipe.md."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lowshot.recipe.schema import Recipe


class Key(NamedTuple):
    """One key; its dotted ``name`` has capitals for names of the user's own."""

    name: str
    default: str
    description: str


def recipe_keys(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[Key]:
    """The keys of a recipe in order, those of each section in its place.

    Args:
        model (type): The recipe, or a section of it.
        prefix (str): The dotted name of the section, with a dot at its end.
    """
    for name, field in model.model_fields.items():
        inner, is_mapping = _section(field.annotation)
        if inner is not None:
            yield from recipe_keys(inner, f"{prefix}{name}.{'NAME.' if is_mapping else ''}")
        else:
            yield Key(prefix + name, _default(field), field.description or "")


def keys_markdown() -> str:
    """The table of docs/recipe.md."""
    rows = [
        f"| `{key.name}` | {f'`{key.default}`' if key.default else ''} | {key.description} |" for key in recipe_keys()
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _section(annotation: object) -> tuple[type[BaseModel] | None, bool]:
    """The section that a field is or maps to, None where it is neither, and True for a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for inner in typing.get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, typing.get_origin(annotation) is dict
    return None, False


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, Path | str):
        return str(value)
    if isinstance(value, tuple):
        return str(list(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
