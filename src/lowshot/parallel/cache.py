"""Memory that a process reuses from one task to the next: the latest values, as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

# The bytes that a cache holds besides its latest value.
_LIMIT = 1 << 29

_caches: list[Cache] = []


class Cache:
    """The latest values a process made, as many as fit into half a gigabyte, and always the very latest."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Any] = OrderedDict()
        _caches.append(self)

    def get(self, key: str) -> Any:
        """The value of a key, or None."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Store a value as the latest; :meth:`make_room` should come before it is made."""
        self._values[key] = value
        self._values.move_to_end(key)

    def make_room(self) -> None:
        """Forget the oldest values; called before a further one is made."""
        while sum(held_bytes(value) for value in self._values.values()) > _LIMIT:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget every value."""
        self._values.clear()


def clear_caches() -> None:
    """Empty every cache of this process."""
    for cache in _caches:
        cache.clear()


def held_bytes(value: Any) -> int:
    """The memory of all arrays in a value, such as an estimator, without arrays that are mapped from a file."""
    if isinstance(value, np.ndarray):
        root: Any = value
        while isinstance(root, np.ndarray) and root.base is not None:
            root = root.base
        return value.nbytes if isinstance(root, np.ndarray) else 0
    if isinstance(value, Mapping):
        return sum(held_bytes(item) for item in value.values())
    if isinstance(value, tuple | list):
        return sum(held_bytes(item) for item in value)
    return held_bytes(vars(value)) if hasattr(value, "get_params") else 0
