"""Names of a package that are imported on first use, so that importing it does not wait for torch or matplotlib."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def on_first_use(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    Args:
        package (str): The ``__name__`` of the package.
        names (mapping): The public names that each module defines. A module is given by its name in the package, or by
            its full dotted name.

    Returns:
        The two functions.
    """
    modules = {name: module for module, group in names.items() for name in group}

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = modules[name]
        return getattr(importlib.import_module(module if "lowshot." in module else f"{package}.{module}"), name)

    return get, lambda: sorted({*vars(sys.modules[package]), *modules})
