"""Names of classifiers and generators for records, and fingerprints that results are found by."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.files import file_fingerprint, fingerprint, is_file
from lowshot.plugins import plugin_of
from lowshot.registry import Registry


def registered_name(registry: Registry, part: Any) -> str:
    """The name a part's class is registered under, else the name of the class."""
    return registry.name_of(type(part), default=type(part).__name__)


def generator_fingerprint(generator: Any) -> Any:
    """A generator's class, parameters and digests of its learned attributes."""
    if generator is None:
        return None
    learned = {name: value for name, value in sorted(vars(generator).items()) if name.endswith("_")}
    return [
        f"{_module_name(type(generator))}.{type(generator).__qualname__}",
        _params(generator),
        {name: _digest(value) for name, value in learned.items()},
    ]


def _params(generator: Any) -> Any:
    for name in ("stated_params", "get_params"):
        if hasattr(generator, name):
            return json_params(getattr(generator, name)())
    return None


def _digest(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _digest(item) for key, item in value.items()}
    return fingerprint(value) if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" else repr(value)


def _module_name(kind: type) -> str:
    """The module of a class; for a plug-in a name that does not depend on the file's place and content."""
    plugin = plugin_of(kind)
    return kind.__module__ if plugin is None else plugin.alias


def code_of(part: Any) -> str | None:
    """A digest of the file that a plug-in's class is written in; None for lowshot's own parts, which have a version."""
    if (plugin := plugin_of(type(part))) is not None:
        return plugin.digest
    module = sys.modules.get(type(part).__module__)
    file = getattr(module, "__file__", None)
    if part is None or file is None or type(part).__module__.partition(".")[0] == "lowshot":
        return None
    return file_fingerprint(file)


def json_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Convert parameters for JSON: a file by its name and content, what JSON cannot hold by its representation."""
    return {key: _json_value(value) for key, value in params.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, Path):
        return f"{value.name}:{file_fingerprint(value)}" if is_file(value) else value.name
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
