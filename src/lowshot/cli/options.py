"""What the commands that walk a recipe share: their options, declared once, and the call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from lowshot.cli.app import OutputOption, OverridesArgument, RecipeArgument


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The options of such a command, and the walk that they ask for."""

    recipe: RecipeArgument
    overrides: OverridesArgument = None
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, help="Processes, one per GPU if any, that share the work.")
    ] = None
    output: OutputOption = None
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="auto|serial|loky|ray",
            help="Where the runs are computed: serial in this process, loky in worker processes, ray on a Ray cluster "
            "(pip install 'lowshot\\[ray]'); auto starts in this process and moves on to workers where that pays. The "
            "results are the same.",
        ),
    ] = "auto"
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Runs at a time, each on one core (default: all cores).")
    ] = None
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Ray cluster to join, such as auto or ray://HOST:10001, which must see the same files; without it "
            "--engine ray starts one on this machine.",
        ),
    ] = None

    def __call__(self, only: str | None = None, dry_run: bool = False) -> None:
        from lowshot.benchmark import Engine
        from lowshot.pipeline import run_recipe

        run_recipe(
            self.recipe,
            self.overrides or (),
            only=only,
            dry_run=dry_run,
            force=self.force,
            devices=self.devices,
            output=self.output,
            engine=Engine(self.engine, self.workers, self.address),
        )


RECIPE = ("recipe", "overrides", "force", "output")
DEVICES = ("devices",)
ENGINE = ("engine", "workers", "address")


def walks(*options: str, recipe: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command have options of :class:`Walk`: it is called with a ``Walk`` made of them, and with its own.

    Args:
        options: names of fields.
        recipe: the recipe of a command that asks for none.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = {**get_type_hints(Walk, include_extras=True), **get_type_hints(command, include_extras=True)}
        shared = {field.name: field.default for field in fields(Walk) if field.name in options}
        own = {name: p.default for name, p in list(inspect.signature(command).parameters.items())[1:]}
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is MISSING else default,
                annotation=hints[name],
            )
            for name, default in {**own, **shared}.items()
        ]

        @functools.wraps(command)
        def called(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in shared}
            command(Walk(**chosen if recipe is None else {**chosen, "recipe": recipe}), **given)

        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorate
