"""The typer application, and the arguments and options that commands of several kinds share."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from lowshot import __version__

app = typer.Typer(
    name="lowshot",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Low-shot visual recognition: learn new categories from one to twenty pictures, keep the known ones.\n\n"
        "Start with [bold]lowshot demo[/]; then [bold]lowshot run RECIPE[/] with your own data. A recipe is a YAML "
        "file; anything in it can be changed on the command line: [bold]lowshot run cifar100 train.epochs=5[/]."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lowshot {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None: ...


RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with lowshot.")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe, such as train.epochs=5 or data.root=photos."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again what is up to date.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for results (default: runs/NAME).")]
# Each module registers its command on import; the order is the order of the help text.


def _flowing(text: str) -> str:
    """A docstring as help: prose in lines as long as the terminal's, indented lines such as examples as they are."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else p.replace("\n", " ") for p in paragraphs)


for _command in app.registered_commands:
    if _command.callback is not None:
        _command.help = _flowing(_command.callback.__doc__ or "")
