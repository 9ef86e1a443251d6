"""Names of a package that are fetched on first use, so that importing it does not wait for torch or matplotlib."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def on_first_use(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's ``__getattr__`` and ``__dir__`` (PEP 562).

    Args:
        package: its ``__name__``.
        homes: The module that each group of names comes from: one of the package, or a full dotted name.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = home[name]
        return getattr(importlib.import_module(module if "lowshot." in module else f"{package}.{module}"), name)

    return get, lambda: sorted({*vars(sys.modules[package]), *home})
