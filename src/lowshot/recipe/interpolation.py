"""The interpolations of a recipe, ``${section.key}`` and ``${oc.env:NAME}``, and the size that they unfold to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lowshot.errors import InputError

MAX_CHARACTERS = 2**20
"""The largest size of a recipe with its interpolations written out."""

_INTERPOLATION = re.compile(r"\$\{\s*(?:oc\.env:[^${}]*|(?P<dots>\.*)(?P<key>[\w-]+(?:\.[\w-]+|\[[\w-]+\])*))\s*\}")
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)\\\$\{")
_STEP = re.compile(r"[\w-]+")

Place = tuple[str | int, ...]


def check_interpolations(tree: dict[str, Any], source: str) -> None:
    """Refuse interpolations of another form, and those that unfold to more than :data:`MAX_CHARACTERS`.

    A value that is named twice by one that is named twice, and so on, doubles with each line. Keys that do not exist
    are left for OmegaConf to name.

    Args:
        tree (dict): The recipe, interpolations as they are written.
        source (str): The noun for it in error messages.

    Raises:
        InputError: An interpolation is none of the two forms, refers to itself, or unfolds to too much.
    """
    _Sizes(tree, source).of(())


class _Sizes:
    """The number of characters of each part of a tree with its interpolations written out."""

    def __init__(self, tree: dict[str, Any], source: str) -> None:
        self.tree = tree
        self.source = source
        self.known: dict[Place, int] = {}
        self.within: set[Place] = set()

    def of(self, place: Place) -> int:
        if place in self.known:
            return self.known[place]
        if place in self.within:
            raise InputError(f"{self.source}: the interpolation of {_dotted(place)} refers to itself")
        self.within.add(place)
        value = _at(self.tree, place)
        size = 1
        if isinstance(value, dict | list):
            keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(value))
            size += sum(len(str(key)) + self.of((*place, key)) for key in keys)
        elif isinstance(value, str):
            size += len(value) + sum(self.of(target) for target in self._targets(value, place))
        if size > MAX_CHARACTERS:
            raise InputError(
                f"{self.source}: {_dotted(place)} has more than {MAX_CHARACTERS} characters with its interpolations "
                "written out"
            )
        self.within.remove(place)
        self.known[place] = size
        return size

    def _targets(self, text: str, place: Place) -> list[Place]:
        """The places that the interpolations in a text name, as far as they exist."""
        text = _ESCAPED.sub(r"\1", text)
        found = list(_INTERPOLATION.finditer(text))
        if len(found) != text.count("${"):
            raise InputError(
                f"{self.source}: {_dotted(place)} has an interpolation of another form than ${{section.key}} and "
                f"${{oc.env:NAME}}: {text if len(text) <= 60 else f'{text[:60]}…'}"
            )
        targets = []
        for match in found:
            if match["key"] is not None:
                above = place[: len(place) - len(match["dots"])] if match["dots"] else ()
                target: Place | None = above
                for step in _STEP.findall(match["key"]):
                    target = None if target is None else _child(self.tree, target, step)
                if target is not None:
                    targets.append(target)
        return targets


def _child(tree: Any, place: Place, step: str) -> Place | None:
    """The place that a step of a dotted key leads to, or None."""
    value = _at(tree, place)
    if isinstance(value, list):
        index = int(step) if step.lstrip("-").isdecimal() else len(value)
        return (*place, index % len(value)) if -len(value) <= index < len(value) else None
    if isinstance(value, dict):
        return next(((*place, key) for key in value if str(key) == step), None)
    return None


def _at(tree: Any, place: Place) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def _dotted(place: Place) -> str:
    return ".".join(map(str, place)) or "the recipe"
