"""Plug-in files: Python code of the user's that registers parts, imported by path, and sent to other processes.

A plug-in is its path and its text, so two files of one name are two plug-ins, and an edited file is imported again.
Other processes run the text that this one runs, even if the file has changed since.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from lowshot.errors import InputError, LowshotError
from lowshot.registry import PLUGIN_PREFIX, put_back, take_parts


@dataclass(frozen=True)
class Plugin:
    """A plug-in file as it was read.

    Attributes:
        path (Path): The file, resolved.
        source (bytes): The text of the file.
    """

    path: Path
    source: bytes

    @cached_property
    def digest(self) -> str:
        """The digest of the text, the same as :func:`lowshot.files.file_fingerprint` of the file."""
        return hashlib.sha256(self.source).hexdigest()[:16]

    @cached_property
    def name(self) -> str:
        """The name of its module, which differs between paths and between texts."""
        return f"{self.alias}_{hashlib.sha256(bytes(self.path) + bytes(1) + self.source).hexdigest()[:16]}"

    @property
    def alias(self) -> str:
        """The name of its module without folder and text, for digests that cover the text separately."""
        return f"{PLUGIN_PREFIX}{self.path.stem}"


# Every plug-in that this process has run, by the name of its module, latest last. One that was replaced stays here,
# because objects of its classes may still exist; its module is not in sys.modules.
_KNOWN: dict[str, Plugin] = {}


def import_plugin(path: str | Path, in_use: Iterable[Path] | None = None) -> ModuleType:
    """Import a Python file so that the parts it registers exist. This runs the file's code, once for each content.

    Args:
        path (path): The file.
        in_use (iterable of Path, optional): The plug-ins that must stay registered, such as all those of a recipe. Any
            other plug-in was imported for something else, and is forgotten if it registered a name that this file
            registers. All plug-ins stay if None.

    Returns:
        module: The module that the file has become.

    Raises:
        InputError: The file is missing, fails while it is imported, or registers a name that is taken.
    """
    try:
        path = Path(os.path.realpath(path))
    except ValueError:
        raise InputError(f"plugin {os.fspath(path)!a} is not a name that a file can have") from None
    if path.suffix != ".py":
        raise InputError(f"plugin {path} is not a Python file: give a path that ends in .py")
    try:
        plugin = Plugin(path, path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"plugin file {path} does not exist") from None
    except OSError as error:
        raise InputError(f"plugin file {path} cannot be read: {error.strerror or error}") from None
    return _run(plugin, None if in_use is None else {Path(os.path.realpath(other)) for other in in_use})


def imported_plugins() -> list[Plugin]:
    """The plug-ins whose parts are registered in this process, in the order in which they were imported."""
    return [plugin for name, plugin in _KNOWN.items() if name in sys.modules]


def plugin_of(part: Any) -> Plugin | None:
    """The plug-in that defines a class, with the text that it had then; None for any other class."""
    return _KNOWN.get(getattr(part, "__module__", ""))


def plugin_functions(path: str | Path, *names: str) -> list[Callable[..., Any]]:
    """Import a Python file and return the functions of these names in it. This runs the file's code.

    Raises:
        InputError: As :func:`import_plugin`, or the file does not define one of the functions.
    """
    return functions_of(import_plugin(path), *names)


def functions_of(module: ModuleType, *names: str) -> list[Callable[..., Any]]:
    """The functions of these names in a module.

    Raises:
        InputError: The module does not define one of them.
    """
    if missing := [name for name in names if not callable(getattr(module, name, None))]:
        raise InputError(f"{module.__file__} defines no function {missing[0]!r}: it needs {' and '.join(names)}")
    return [getattr(module, name) for name in names]


def packed(value: Any) -> bytes:
    """Pickle a value for another process, together with the imported plug-ins, whose classes it may contain."""
    return cloudpickle.dumps((imported_plugins(), cloudpickle.dumps(value)))


def unpacked(data: bytes) -> Any:
    """Unpickle a value from :func:`packed`. This first runs the code of its plug-ins, unless this process has.

    Raises:
        InputError: A plug-in cannot be imported here.
    """
    plugins, value = pickle.loads(data)
    in_use = {plugin.path for plugin in plugins}
    for plugin in plugins:
        _run(plugin, in_use)
    return pickle.loads(value)


def _run(plugin: Plugin, in_use: Collection[Path] | None) -> ModuleType:
    """Run the code of a plug-in, unless that has been done, and return its module.

    Forgets the same file with another text, and each plug-in that is not in use and has a name in common with this one.
    """
    if plugin.name in sys.modules:
        return sys.modules[plugin.name]
    for other in imported_plugins():
        if other.path == plugin.path:
            _forget(other)
    unused = [other for other in imported_plugins() if in_use is not None and other.path not in in_use]
    # While the code runs, the names of unused plug-ins are free; one that has lost a name by then is forgotten.
    taken = [(other, take_parts(other.name)) for other in unused]
    try:
        module = _executed(plugin)
    finally:
        for other, parts in taken:
            if not put_back(parts):
                _forget(other)
    _KNOWN.pop(plugin.name, None)
    _KNOWN[plugin.name] = plugin
    return module


def _executed(plugin: Plugin) -> ModuleType:
    """A new module in which the code of a plug-in has run; if that fails, nothing is registered."""
    spec = importlib.util.spec_from_file_location(plugin.name, plugin.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[plugin.name] = module
    try:
        # Not by the loader: it would take bytes that were compiled from an earlier text of the same size and time.
        exec(compile(plugin.source, plugin.path, "exec"), module.__dict__)
    except BaseException as error:
        _forget(plugin)
        if not isinstance(error, Exception | SystemExit):
            raise
        why = str(error) if isinstance(error, LowshotError) else f"{type(error).__name__}: {error}"
        raise InputError(f"plugin {plugin.path} failed while it was imported: {why}") from error
    return module


def _forget(plugin: Plugin) -> None:
    """Remove what a plug-in registered. Objects of its classes stay usable, and are pickled with their class."""
    take_parts(plugin.name)
    sys.modules.pop(plugin.name, None)
