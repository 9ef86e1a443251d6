"""The typer application and the options that several commands share."""

from __future__ import annotations

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
DevicesOption = Annotated[
    int | None, typer.Option("--devices", min=1, help="Processes, one per GPU if any, that share the work.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again what is up to date.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for results (default: runs/NAME).")]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|serial|loky|ray",
        help="Where the runs are computed: serial in this process, loky in worker processes, ray on a Ray cluster "
        "(pip install 'lowshot\\[ray]'); auto starts in this process and moves on to workers where that pays. The "
        "results are the same.",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Runs at a time, each on one core (default: all cores).")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Ray cluster to join, such as auto or ray://HOST:10001, which must see the same files; without it "
        "--engine ray starts one on this machine.",
    ),
]

# Each module registers its command on import; the order is the order of the help text.
from lowshot.cli import demo, run, stops, report, split, list as list_command, validate, convert  # noqa: E402, F401, I001
