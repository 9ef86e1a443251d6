"""Named, described, replaceable parts: losses, generators, classifiers, backbones and data sets.

A part is added in one file, in any of three ways:

* a module inside the registry's own package (``lowshot/representation/losses/my_loss.py``);
* an entry point of an installed package (group ``lowshot.losses``), which may name the part itself or a
  module that registers it;
* a file named under ``plugins:`` in a recipe (``lowshot.plugins``).

All three use the same decorator::

    from lowshot.registry import LOSSES

    @LOSSES.register("my_loss", "one line that `lowshot list` prints")
    class MyLoss(AuxiliaryLoss): ...
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from lowshot.errors import InputError, LowshotError, did_you_mean

Part = TypeVar("Part", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """One registered part: what ``lowshot list`` prints and what :meth:`Registry.get` returns.

    ``plugin`` names the module of the plug-in file that registered it; None for any other part.
    """

    name: str
    factory: Callable[..., Any]
    description: str
    source: str
    takes_argument: bool = False
    plugin: str | None = None


class Registry:
    """Name → factory, filled on first use from a package, from entry points and by :meth:`register`.

    Names are compared without regard to case. A name may carry an argument after a colon,
    ``timm:resnet18``: the part before the colon is looked up and its factory gets the rest as first argument.

    Args:
        kind: the word used in messages, e.g. ``"loss"``.
        group: the entry-point group, e.g. ``"lowshot.losses"``.
        package: the package whose modules register the built-in parts; each is imported on first use.
    """

    def __init__(self, kind: str, group: str, package: str) -> None:
        self.kind = kind
        self.group = group
        self.package = package
        self.broken: dict[str, str] = {}
        self._entries: dict[str, Entry] = {}
        self._discovered = False
        _registries.append(self)

    def register(self, name: str, description: str, *, takes_argument: bool = False) -> Callable[[Part], Part]:
        """Decorator that adds a class or function under ``name``; the same name twice is an error."""
        if not name or name != name.strip() or ":" in name:
            raise ValueError(f"a {self.kind} name must be non-empty, without blanks around it or ':': {name!r}")

        def add(factory: Part) -> Part:
            self._add(name, factory, description, _source_of(factory), takes_argument)
            return factory

        return add

    def get(self, name: str) -> Callable[..., Any]:
        """The factory registered as ``name``.

        Raises:
            InputError: nothing has that name; the message lists the nearest names.
        """
        stem, colon, argument = name.partition(":")
        entry = self._find(stem, wanted=name)
        if not entry.takes_argument:
            if colon:
                raise InputError(f"{self.kind} {entry.name!r} takes no argument after ':' (got {name!r})")
            return entry.factory
        if not argument:
            raise InputError(f"{self.kind} {entry.name!r} needs an argument: {entry.name}:NAME")
        return functools.partial(entry.factory, argument)

    def entry(self, name: str) -> Entry:
        """The whole record of ``name`` (any argument after a colon is ignored)."""
        return self._find(name.partition(":")[0], wanted=name)

    def names(self, pattern: str = "*") -> list[str]:
        """The registered names that match a shell pattern, sorted."""
        return [entry.name for entry in self if fnmatch(entry.name.lower(), pattern.lower())]

    def __iter__(self) -> Iterator[Entry]:
        self._discover()
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name.lower()))

    def __contains__(self, name: str) -> bool:
        self._discover()
        return name.partition(":")[0].lower() in self._entries

    def parameters(self, name: str) -> dict[str, inspect.Parameter]:
        """What the factory of ``name`` accepts by keyword."""
        keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        parameters = inspect.signature(self.get(name)).parameters
        return {key: value for key, value in parameters.items() if value.kind in keyword}

    def complaints(self, name: str, params: Mapping[str, Any]) -> list[str]:
        """What is wrong with building ``name`` from ``params``: an unknown name, unknown parameters, wrong types."""
        try:
            factory = self.get(name)
        except InputError as error:
            return [str(error)]
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values()):
            return []
        known = self.parameters(name)
        found = [
            f"{self.kind} {name!r} has no parameter {key!r}. {did_you_mean(key, known)}"
            for key in params
            if key not in known
        ]
        types = _types_of(factory)
        return found + [
            f"{self.kind} {name!r}, parameter {key!r}: {wrong}, got {value!r}"
            for key, value in params.items()
            if key in known and key in types and (wrong := _type_complaint(types[key], value)) is not None
        ]

    def build(self, name: str, **params: Any) -> Any:
        """Call the factory of ``name``; unknown parameters are an :class:`InputError` that names them."""
        if complaints := self.complaints(name, params):
            raise InputError("; ".join(complaints))
        return self.get(name)(**params)

    def drop(self, module: str) -> None:
        """Remove the parts that a module defines."""
        kept = {k: e for k, e in self._entries.items() if getattr(e.factory, "__module__", None) != module}
        self._entries = kept

    def _add(
        self, name: str, factory: Callable[..., Any], description: str, source: str, takes_argument: bool = False
    ) -> None:
        importing = _importing
        if importing is not None:
            self._discover()  # so that a plug-in that takes a built-in name hears of it
            source = f"{getattr(factory, '__qualname__', repr(factory))} in {importing.path}"
        present = self._entries.get(name.lower())
        if present is not None and present.factory is not factory and present.source != source:
            takes_over = importing is not None and present.plugin is not None and importing.takes_from(present.plugin)
            if not takes_over:
                raise InputError(
                    f"two {self.kind} parts are called {name!r}: {present.source} and {source}. Rename one of them."
                )
        plugin = None if importing is None else importing.module
        entry = Entry(name, factory, " ".join(description.split()), source, takes_argument, plugin)
        self._entries[name.lower()] = entry

    def _find(self, stem: str, wanted: str) -> Entry:
        self._discover()
        entry = self._entries.get(stem.lower())
        if entry is None:
            if stem in self.broken:
                raise LowshotError(f"{self.kind} {stem!r} could not be loaded: {self.broken[stem]}")
            raise InputError(f"unknown {self.kind} {wanted!r}. {did_you_mean(wanted, self.names())}")
        return entry

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True  # set first: the modules imported below may look names up
        with _attributed(None):
            try:
                package = importlib.import_module(self.package)
                for module in pkgutil.iter_modules(package.__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
            except BaseException:
                self._discovered = False
                raise
            for point in entry_points(group=self.group):
                self._load(point)

    def _load(self, point: EntryPoint) -> None:
        # Somebody else's broken package must not take down the parts that work.
        try:
            part = point.load()
            if inspect.ismodule(part) or point.name.lower() in self._entries:
                return
            if any(entry.factory is part for entry in self._entries.values()):
                return
            self._add(point.name, part, (inspect.getdoc(part) or "no description").split("\n")[0], _source_of(part))
        except Exception as error:
            self.broken[point.name] = f"entry point {point.value!r}: {type(error).__name__}: {error}"


def _types_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a factory's parameters; none where they cannot be resolved."""
    function = getattr(factory, "func", factory)
    try:
        return typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError):
        return {}


def _type_complaint(annotation: Any, value: Any) -> str | None:
    """What is wrong with a value of a recipe for a parameter of this type, or None."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

    try:
        TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        return "; ".join(dict.fromkeys(mistake["msg"][0].lower() + mistake["msg"][1:] for mistake in error.errors()))
    except PydanticUserError:  # a type that pydantic knows nothing about
        return None
    return None


def _source_of(factory: Callable[..., Any]) -> str:
    return f"{factory.__module__}.{getattr(factory, '__qualname__', repr(factory))}"


@dataclass(frozen=True)
class _Importing:
    """A plug-in whose code runs: its module, its file, and whether it may have the name of another plug-in's part."""

    module: str
    path: Path
    takes_from: Callable[[str], bool]


_importing: _Importing | None = None
_registries: list[Registry] = []


@contextlib.contextmanager
def registering(module: str, path: Path, takes_from: Callable[[str], bool]) -> Iterator[None]:
    """Parts that are registered within the block are those of a plug-in file.

    Args:
        module: the name of its module.
        path: the file.
        takes_from: asked when a name is that of a part of another plug-in, with the name of that one's module: True
            lets the new part have it.
    """
    with _attributed(_Importing(module, path, takes_from)):
        yield


@contextlib.contextmanager
def _attributed(importing: _Importing | None) -> Iterator[None]:
    global _importing
    before, _importing = _importing, importing
    try:
        yield
    finally:
        _importing = before


def drop_parts(module: str) -> None:
    """Remove the parts that a module defines from all registries."""
    for registry in _registries:
        registry.drop(module)


DATASETS = Registry("data set", "lowshot.datasets", "lowshot.data.sets")
BACKBONES = Registry("backbone", "lowshot.backbones", "lowshot.representation.backbones")
LOSSES = Registry("loss", "lowshot.losses", "lowshot.representation.losses")
GENERATORS = Registry("generator", "lowshot.generators", "lowshot.hallucination")
CLASSIFIERS = Registry("classifier", "lowshot.classifiers", "lowshot.classifiers")

REGISTRIES = {
    "losses": LOSSES,
    "generators": GENERATORS,
    "classifiers": CLASSIFIERS,
    "backbones": BACKBONES,
    "datasets": DATASETS,
}
