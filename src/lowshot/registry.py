"""Registries of named, described parts: losses, objectives, generators, classifiers, backbones and data sets.

A part is added in one file, in any of three ways:

* a module inside the registry's own package (``lowshot/representation/losses/my_loss.py``);
* an entry point of an installed package (group ``lowshot.losses``), which names the part itself or a module that
  registers it;
* a file named under ``plugins:`` in a recipe (:mod:`lowshot.plugins`).

All three use the same decorator::

    from lowshot.registry import LOSSES

    @LOSSES.register("my_loss", "one line that `lowshot list` prints")
    class MyLoss(AuxiliaryLoss): ...

A part may name its papers, ``register(..., bibtex="@article{...}")``: reports of recipes that use it cite them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from lowshot.citations import entries_of
from lowshot.errors import InputError, LowshotError, did_you_mean
from lowshot.parameters import keyword_parameters, parameter_mistakes

Part = TypeVar("Part", bound=Callable[..., Any])

PLUGIN_PREFIX = "lowshot_plugin_"
"""The names of the modules that plug-in files become begin with this."""


@dataclass(frozen=True)
class Entry:
    """One registered part.

    Attributes:
        name (str): The name in recipes.
        factory (callable): The class or function that makes the part.
        description (str): One line, for ``lowshot list``.
        source (str): The dotted name of the factory; for a plug-in file, which cannot be imported by name, the
            factory's name and the file.
        module (str): The module that the part belongs to: the plug-in file's if one defines or registers it, else the
            one whose code registers it.
        takes_argument (bool): True if the name is followed by a colon and an argument, as in ``timm:resnet18``.
        bibtex (str): The BibTeX entries of the papers that the part comes from; empty where it names none.
    """

    name: str
    factory: Callable[..., Any]
    description: str
    source: str
    module: str
    takes_argument: bool = False
    bibtex: str = ""


class Registry:
    """Parts of one kind by name, filled on first use from a package, from entry points and by :meth:`register`.

    Names are compared without regard to case. A name may carry an argument after a colon, ``timm:resnet18``: the part
    before the colon is looked up and its factory gets the rest as first argument.

    Args:
        kind (str): The word for a part in messages, such as ``"loss"``.
        group (str): The entry-point group, such as ``"lowshot.losses"``.
        package (str): The package whose modules register the built-in parts; each is imported on first use.
    """

    def __init__(self, kind: str, group: str, package: str) -> None:
        self.kind = kind
        self.group = group
        self.package = package
        self.broken: dict[str, str] = {}
        self._entries: dict[str, Entry] = {}
        self._discovered = False
        _registries.append(self)

    # ------------------------------------------------------------- registering

    def register(
        self, name: str, description: str, *, takes_argument: bool = False, bibtex: str = ""
    ) -> Callable[[Part], Part]:
        """Make a decorator that adds a class or function.

        Args:
            name (str): The name in recipes, without blanks around it and without a colon.
            description (str): One line, for ``lowshot list``.
            takes_argument (bool): True if the factory's first parameter is what follows a colon after the name.
            bibtex (str): One or more BibTeX entries of the papers to cite for the part. Reports of recipes that use it
                have them in their ``references.bib``.

        Raises:
            InputError: ``bibtex`` is not BibTeX; or, when the decorator is applied, another part has the name.
        """
        if not name or name != name.strip() or ":" in name:
            raise ValueError(f"a {self.kind} name must be non-empty, without blanks around it or ':': {name!r}")
        try:
            bibtex = "\n\n".join(entries_of(bibtex).values())
        except ValueError as error:
            raise InputError(f"bibtex of {self.kind} {name!r}: {error}") from None
        # A plug-in file may register a class of another package, so the class's own module does not say who did it.
        caller = str(sys._getframe(1).f_globals["__name__"])

        def add(factory: Part) -> Part:
            own = getattr(factory, "__module__", caller)
            module = own if own.startswith(PLUGIN_PREFIX) else caller
            if module.startswith(PLUGIN_PREFIX):
                self._discover()  # so that a plug-in that takes a built-in name hears of it
            source = _source_of(factory, module)
            self._add(Entry(name, factory, " ".join(description.split()), source, module, takes_argument, bibtex))
            return factory

        return add

    def _add(self, entry: Entry) -> None:
        present = self._entries.get(entry.name.lower())
        if present is not None and present.factory is not entry.factory and present.source != entry.source:
            raise InputError(
                f"two {self.kind} parts are called {entry.name!r}: {present.source} and {entry.source}. "
                "Rename one of them."
            )
        self._entries[entry.name.lower()] = entry

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True  # set first: the modules imported below may look names up
        try:
            package = importlib.import_module(self.package)
            for found in pkgutil.iter_modules(package.__path__):
                module = importlib.import_module(f"{self.package}.{found.name}")
                if found.ispkg:  # its own modules may be imported on the first use of their names
                    for name in getattr(module, "__all__", ()):
                        getattr(module, name)
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
            description = (inspect.getdoc(part) or "no description").split("\n")[0]
            self._add(Entry(point.name, part, description, _source_of(part, point.module), point.module))
        except Exception as error:
            self.broken[point.name] = f"entry point {point.value!r}: {type(error).__name__}: {error}"

    # ----------------------------------------------------------------- look-up

    def get(self, name: str) -> Callable[..., Any]:
        """The factory registered as ``name``.

        Raises:
            InputError: Nothing has that name; the message lists the nearest names.
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

    def name_of(self, part: Callable[..., Any], default: str | None = None) -> str:
        """The name under which a class or function is registered.

        Args:
            part (Callable): The class or function.
            default (str, optional): The answer where it is not registered.

        Raises:
            InputError: It is not registered, and there is no default.
        """
        name = next((entry.name for entry in self if entry.factory is part), default)
        if name is None:
            raise InputError(f"{part.__name__} is not a registered {self.kind}: decorate it with register(name, text)")
        return name

    def names(self, pattern: str = "*") -> list[str]:
        """The registered names that match a shell pattern, sorted."""
        return [entry.name for entry in self if fnmatch(entry.name.lower(), pattern.lower())]

    def __iter__(self) -> Iterator[Entry]:
        self._discover()
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name.lower()))

    def __contains__(self, name: str) -> bool:
        self._discover()
        return name.partition(":")[0].lower() in self._entries

    def _find(self, stem: str, wanted: str) -> Entry:
        self._discover()
        entry = self._entries.get(stem.lower())
        if entry is None:
            if stem in self.broken:
                raise LowshotError(f"{self.kind} {stem!r} could not be loaded: {self.broken[stem]}")
            raise InputError(f"unknown {self.kind} {wanted!r}. {did_you_mean(wanted, self.names())}")
        return entry

    # ---------------------------------------------------------------- building

    def parameters(self, name: str) -> dict[str, inspect.Parameter]:
        """The parameters that the factory of ``name`` accepts by keyword."""
        return keyword_parameters(self.get(name))

    def complaints(self, name: str, params: Mapping[str, Any]) -> list[str]:
        """The mistakes in building ``name`` from ``params``: an unknown name, unknown parameters, wrong types."""
        try:
            factory = self.get(name)
        except InputError as error:
            return [str(error)]
        return parameter_mistakes(factory, params, called=f"{self.kind} {name!r}")

    def build(self, name: str, **params: Any) -> Any:
        """Call the factory of ``name``.

        Raises:
            InputError: As many lines as :meth:`complaints` has, in one.
        """
        if complaints := self.complaints(name, params):
            raise InputError("; ".join(complaints))
        return self.get(name)(**params)


def _source_of(factory: Callable[..., Any], module: str) -> str:
    name = getattr(factory, "__qualname__", repr(factory))
    if module.startswith(PLUGIN_PREFIX):
        return f"{name} in {sys.modules[module].__file__}"
    return f"{factory.__module__}.{name}"


# -------------------------------------------------------------------- removing

_registries: list[Registry] = []
Parts = Sequence[tuple[Registry, Entry]]


def take_parts(module: str) -> Parts:
    """Remove the parts that the code of a module registered from all registries, and return them."""
    taken = [(one, entry) for one in _registries for entry in one._entries.values() if entry.module == module]
    for registry, entry in taken:
        del registry._entries[entry.name.lower()]
    return taken


def put_back(parts: Parts) -> bool:
    """Register parts from :func:`take_parts` again, unless the name of one is taken: then none, and False."""
    if any(entry.name.lower() in registry._entries for registry, entry in parts):
        return False
    for registry, entry in parts:
        registry._entries[entry.name.lower()] = entry
    return True


DATASETS = Registry("data set", "lowshot.datasets", "lowshot.data.sets")
"""The data sets by name; each builds a :class:`~lowshot.data.ImageDataset`."""
BACKBONES = Registry("backbone", "lowshot.backbones", "lowshot.representation.backbones")
"""The backbones by name; each builds a :class:`~lowshot.representation.Backbone`."""
LOSSES = Registry("loss", "lowshot.losses", "lowshot.representation.losses")
"""The auxiliary losses by name."""
OBJECTIVES = Registry("objective", "lowshot.objectives", "lowshot.representation.objectives")
"""The objectives of trainings by name; each builds a :class:`~lowshot.representation.objectives.Objective`."""
GENERATORS = Registry("generator", "lowshot.generators", "lowshot.hallucination")
"""The generators of features by name."""
CLASSIFIERS = Registry("classifier", "lowshot.classifiers", "lowshot.classifiers")
"""The low-shot classifiers by name."""

REGISTRIES = {
    "losses": LOSSES,
    "objectives": OBJECTIVES,
    "generators": GENERATORS,
    "classifiers": CLASSIFIERS,
    "backbones": BACKBONES,
    "datasets": DATASETS,
}
