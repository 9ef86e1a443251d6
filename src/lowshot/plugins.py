"""Plug-in files: Python code of the user's that registers parts, imported by path, and taken along to other processes.

A plug-in is told apart by where it lies and by what it says, so two files of one name are two plug-ins, and an edited
file is imported again. Other processes run the very text that this one runs, whatever became of the file meanwhile.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from lowshot.errors import InputError, LowshotError
from lowshot.registry import drop_parts, registering


@dataclass(frozen=True)
class Plugin:
    """A plug-in file as it was read.

    Attributes:
        path: where it lies, resolved.
        source: its text.
    """

    path: Path
    source: bytes

    @cached_property
    def digest(self) -> str:
        """As :func:`lowshot.files.file_fingerprint` of the file."""
        return hashlib.sha256(self.source).hexdigest()[:16]

    @cached_property
    def name(self) -> str:
        """The name of its module: another one for another place, and for another text."""
        return f"{self.alias}_{hashlib.sha256(bytes(self.path) + bytes(1) + self.source).hexdigest()[:16]}"

    @property
    def alias(self) -> str:
        """A name that is the same wherever the file lies and whatever it says: for digests that cover the text too."""
        return f"lowshot_plugin_{self.path.stem}"


# What this process has run, by name of the module, latest last; those that others replaced are no modules any more.
_KNOWN: dict[str, Plugin] = {}


def import_plugin(path: str | Path, beside: Iterable[Path] | None = None) -> ModuleType:
    """Import a Python file so that the parts it registers exist. This runs the file's code, once for each content.

    Args:
        path: the file.
        beside: the plug-ins that are wanted together with it; any other one whose parts have the same names gives way,
            since it was imported for something else. None wants all that there are.

    Raises:
        InputError: the file is missing, fails while it is imported, or registers a name that is taken.
    """
    path = Path(path).resolve()
    if path.suffix != ".py":
        raise InputError(f"plugin {path} is not a Python file: give a path that ends in .py")
    try:
        plugin = Plugin(path, path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"plugin file {path} does not exist") from None
    except OSError as error:
        raise InputError(f"plugin file {path} cannot be read: {error.strerror or error}") from None
    kept = None if beside is None else {other.resolve() for other in beside}
    return _run(plugin, lambda other: kept is not None and other not in kept)


def imported_plugins() -> list[Plugin]:
    """The plug-ins whose parts are registered in this process, in the order in which they were imported."""
    return [plugin for name, plugin in _KNOWN.items() if name in sys.modules]


def plugin_of(part: Any) -> Plugin | None:
    """The plug-in that a class was written in, as it was when the class was made."""
    return _KNOWN.get(getattr(part, "__module__", ""))


def plugin_functions(path: str | Path, *names: str) -> list[Callable[..., Any]]:
    """The functions of those names in a Python file. This runs the file's code.

    Raises:
        InputError: as :func:`import_plugin`, or the file defines no function of such a name.
    """
    return functions_of(import_plugin(path), *names)


def functions_of(module: ModuleType, *names: str) -> list[Callable[..., Any]]:
    """The functions of those names in a module; one that is missing is an :class:`InputError`."""
    if lacking := [name for name in names if not callable(getattr(module, name, None))]:
        raise InputError(f"{module.__file__} defines no function {lacking[0]!r}: it needs {' and '.join(names)}")
    return [getattr(module, name) for name in names]


def packed(value: Any) -> bytes:
    """A value for another process, with the plug-ins that its parts and theirs may be written in."""
    return cloudpickle.dumps((imported_plugins(), cloudpickle.dumps(value)))


def unpacked(data: bytes) -> Any:
    """What :func:`packed` was given. This runs the code of its plug-ins, unless this process has.

    Raises:
        InputError: a plug-in cannot be imported here.
    """
    plugins, value = pickle.loads(data)
    for plugin in plugins:
        _run(plugin, lambda other: True)
    return pickle.loads(value)


def _run(plugin: Plugin, gives_way: Callable[[Path], bool]) -> ModuleType:
    """The module of a plug-in. Another content of the same file is forgotten, and so is whoever gives way."""
    if plugin.name in sys.modules:
        return sys.modules[plugin.name]
    for other in imported_plugins():
        if other.path == plugin.path:
            _forget(other)
    spec = importlib.util.spec_from_file_location(plugin.name, plugin.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)

    def takes_from(name: str) -> bool:
        other = _KNOWN.get(name)
        if other is None or not (other.path == plugin.path or gives_way(other.path)):
            return False
        _forget(other)
        return True

    sys.modules[plugin.name] = module
    try:
        with registering(plugin.name, plugin.path, takes_from):
            # Not by the loader: it would take bytes that were compiled from an earlier text of the same size and time.
            exec(compile(plugin.source, plugin.path, "exec"), module.__dict__)
    except Exception as error:
        _forget(plugin)
        why = str(error) if isinstance(error, LowshotError) else f"{type(error).__name__}: {error}"
        raise InputError(f"plugin {plugin.path} failed while it was imported: {why}") from error
    _KNOWN.pop(plugin.name, None)
    _KNOWN[plugin.name] = plugin
    return module


def _forget(plugin: Plugin) -> None:
    """Take back what a plug-in registered. Its classes live on in what was made of them, and travel by value."""
    drop_parts(plugin.name)
    sys.modules.pop(plugin.name, None)
