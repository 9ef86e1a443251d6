"""The typer application: its commands in the order in which ``lowshot --help`` lists them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from lowshot import __version__
from lowshot.cli.check import check
from lowshot.cli.classes import classes
from lowshot.cli.convert import convert
from lowshot.cli.export import export
from lowshot.cli.extract import extract
from lowshot.cli.fitting import fit_classifier, fit_generator, split, train
from lowshot.cli.listing import list_parts
from lowshot.cli.predict import predict
from lowshot.cli.recipe import demo, run, validate
from lowshot.cli.report import report
from lowshot.cli.serve import serve
from lowshot.cli.stages import episodes, evaluate, tune
from lowshot.cli.suggest import suggest
from lowshot.cli.teach import teach

PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Research": {
        "demo": demo,
        "run": run,
        "split": split,
        "train": train,
        "extract": extract,
        "fit-generator": fit_generator,
        "fit-classifier": fit_classifier,
        "tune": tune,
        "evaluate": evaluate,
        "episodes": episodes,
        "report": report,
        "list": list_parts,
        "validate": validate,
        "convert": convert,
    },
    "Recognisers": {
        "teach": teach,
        "predict": predict,
        "classes": classes,
        "check": check,
        "suggest": suggest,
        "serve": serve,
        "export": export,
    },
}

app = typer.Typer(
    name="lowshot",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Low-shot visual recognition: learn new categories from one to twenty pictures, keep the known ones.\n\n"
        "With your own photos: [bold]lowshot teach birds photos/[/], then [bold]lowshot predict birds new.jpg[/].\n\n"
        "To measure methods: [bold]lowshot demo[/], then [bold]lowshot run RECIPE[/]. A recipe is a YAML file; "
        "anything in it can be changed on the command line: [bold]lowshot run cifar100 train.epochs=5[/]."
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lowshot {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def _help(command: Callable[..., None]) -> str:
    """The docstring as help: prose is wrapped by the terminal, indented lines such as examples stay as they are."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else p.replace("\n", " ") for p in paragraphs)


for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, help=_help(_command), rich_help_panel=_panel)(_command)
