"""The options that several commands share, and the call that the commands of a recipe make with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lowshot.errors import LowshotError

RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with lowshot.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe, such as train.epochs=5 or data.root=photos."),
]
Force = Annotated[bool, typer.Option("--force", help="Run even what is up to date.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would run and why, refuse what would be refused, and do nothing.")
]
Devices = Annotated[
    int | None, typer.Option("--devices", min=1, help="Processes, one per GPU if any, that share the work.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for results (default: runs/NAME).")]
EngineKind = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|serial|loky|ray",
        help="Where tasks are computed: serial in this process, loky in worker processes, ray on a Ray cluster (pip "
        "install 'lowshot\\[ray]'); auto starts in this process and uses workers once that pays. The results are the "
        "same.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Tasks at a time, each on one core (default: all cores)."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Ray cluster to join, such as auto or ray://HOST:10001, which must see the same files; without it "
        "--engine ray starts one on this machine.",
    ),
]


def run_recipe(
    recipe: str,
    overrides: Sequence[str] | None,
    *,
    only: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    devices: int | None = None,
    output: Path | None = None,
    engine: str = "auto",
    workers: int | None = None,
    address: str | None = None,
) -> None:
    """Call :func:`lowshot.pipeline.run_recipe`, which is imported here because it imports torch."""
    from lowshot import pipeline
    from lowshot.parallel.engines import Engine

    try:
        pipeline.run_recipe(
            recipe,
            overrides or (),
            only=only,
            dry_run=dry_run,
            force=force,
            devices=devices,
            output=output,
            engine=Engine(engine, workers, address),
        )
    except SystemExit as leave:
        raise LowshotError(f"a plug-in ended the program: it called sys.exit({leave.code!r})") from leave
