"""``lowshot list``: the parts in every registry, the recipes, and the keys of a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lowshot.errors import InputError, did_you_mean
from lowshot.escaping import printable
from lowshot.progress import SafeConsole

if TYPE_CHECKING:
    from lowshot.registry import Registry


def list_parts(
    what: Annotated[
        str,
        typer.Argument(
            help="all, recipes, keys, losses, objectives, generators, classifiers, backbones, datasets, presets."
        ),
    ] = "all",
    pattern: Annotated[str, typer.Option("--match", "-m", help="Only names that match, e.g. 'resnet*'.")] = "*",
    parameters: Annotated[
        bool, typer.Option("--parameters", "-p", help="Show parameters, defaults and grids.")
    ] = False,
    bibtex: Annotated[
        bool, typer.Option("--bibtex", help="Print the BibTeX entries of the papers that the parts come from.")
    ] = False,
    plugins: Annotated[
        list[Path] | None,
        typer.Option(
            "--plugins", metavar="FILE", help="Plug-in file whose parts are listed too; more than one by repeating."
        ),
    ] = None,
) -> None:
    """Print everything that a recipe can name, a line each: parts of lowshot and of plug-ins, and the recipes."""
    from lowshot.data import PRESETS
    from lowshot.plugins import import_plugin
    from lowshot.registry import REGISTRIES

    for plugin in plugins or ():
        import_plugin(plugin)
    registries = {**REGISTRIES, "presets": PRESETS}
    known = ["all", "recipes", "keys", *registries]
    if what not in known:
        raise InputError(f"there is no list of {what!r}. {did_you_mean(what, known)}")
    if bibtex:
        typer.echo(
            printable(_bibtex([one for name, one in registries.items() if what in ("all", name)], pattern, what))
        )
        return
    console = SafeConsole()
    tables = [
        _registry_table(name, registry, pattern, parameters)
        for name, registry in registries.items()
        if what in ("all", name)
    ]
    if what in ("all", "recipes"):
        tables.append(_recipe_table(pattern))
    if what == "keys":
        tables.append(_key_table(pattern))
    tables = [table for table in tables if table.row_count]
    if not tables:
        raise InputError(f"nothing in {what} matches {pattern!r}")
    for table in tables:
        console.print(table)
        console.print()


def _bibtex(registries: Sequence[Registry], pattern: str, what: str) -> str:
    """The papers of all parts whose names match, each once."""
    from lowshot.citations import bibliography

    text = bibliography(one.entry(name).bibtex for one in registries for name in one.names(pattern))
    if not text:
        raise InputError(f"nothing in {what} that matches {pattern!r} names a paper")
    return text.rstrip()


def _registry_table(title: str, registry: Registry, pattern: str, parameters: bool) -> Table:
    table = _table(title)
    for entry in registry:
        if not fnmatch(entry.name.lower(), pattern.lower()):
            continue
        name = f"{entry.name}:NAME" if entry.takes_argument else entry.name
        text = escape(entry.description)
        if not entry.source.startswith("lowshot."):
            text += f" [dim]({escape(entry.source)})[/]"
        if parameters:
            text += f"\n[dim]{escape(_parameters(entry.factory, skip=int(entry.takes_argument)))}[/]"
            if grid := getattr(entry.factory, "tuning_grid", None):
                text += f"\n[dim]grid: default is {escape(_grid(grid))}[/]"
        table.add_row(name, text)
    for name, reason in registry.broken.items():
        if fnmatch(name.lower(), pattern.lower()):
            table.add_row(f"[red]{escape(name)}[/]", f"[red]cannot be loaded:[/] {escape(reason)}")
    return table


def _recipe_table(pattern: str) -> Table:
    from lowshot.recipe import embedded_recipes

    table = _table("recipes")
    for path in embedded_recipes():
        if fnmatch(path.stem.lower(), pattern.lower()):
            table.add_row(path.stem, escape(_headline(path.read_text("utf-8"))))
    return table


def _key_table(pattern: str) -> Table:
    from lowshot.recipe.keys import recipe_keys

    table = _table("keys of a recipe")
    for key in recipe_keys():
        if fnmatch(key.name.lower(), pattern.lower()):
            default = f" [dim](default {escape(key.default)})[/]" if key.default not in ("", "required") else ""
            table.add_row(key.name, escape(key.description) + default)
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2))
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("description", overflow="fold")
    return table


def _grid(grid: Mapping[str, Sequence[object]]) -> str:
    return ", ".join(f"{name}: [{', '.join(str(value) for value in values)}]" for name, values in grid.items())


def _headline(text: str) -> str:
    """The first paragraph of a recipe's comment, which says what the recipe shows."""
    comment = takewhile(lambda line: line.startswith("#") and line.strip("# "), text.lstrip().splitlines())
    return " ".join(line.strip("# ") for line in comment)


def _parameters(factory: object, skip: int) -> str:
    parameters = list(inspect.signature(factory).parameters.values())[skip:]  # type: ignore[arg-type]
    shown = [
        p.name if p.default is p.empty else f"{p.name}={p.default!r}"
        for p in parameters
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return ", ".join(shown) or "no parameters"
