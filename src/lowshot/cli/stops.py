"""``lowshot train | extract | fit-generator | fit-classifier | tune | evaluate``: one stop of a recipe alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lowshot.cli.app import (
    AddressOption,
    DevicesOption,
    EngineOption,
    ForceOption,
    OutputOption,
    OverridesArgument,
    RecipeArgument,
    WorkersOption,
    app,
)

if TYPE_CHECKING:
    from lowshot.benchmark import Engine


@app.command()
def train(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    force: ForceOption = False,
    devices: DevicesOption = None,
    output: OutputOption = None,
) -> None:
    """Train the representations of a recipe on its base classes (stop 1). Resumes from the latest checkpoint.

    Several nodes: [bold]torchrun --nnodes 2 --nproc-per-node 4 -m lowshot train RECIPE[/].
    """
    _only("train", recipe, overrides, force, devices, output)


@app.command()
def extract(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    force: ForceOption = False,
    devices: DevicesOption = None,
    output: OutputOption = None,
) -> None:
    """Save the features of all images (stop 2), as HDF5 that the original program reads too."""
    _only("extract", recipe, overrides, force, devices, output)


@app.command()
def fit_generator(
    recipe: RecipeArgument, overrides: OverridesArgument = None, force: ForceOption = False, output: OutputOption = None
) -> None:
    """Fit the generators of a recipe on the base classes (stop 3): one file per representation and generator."""
    _only("fit-generator", recipe, overrides, force, None, output)


@app.command()
def fit_classifier(
    recipe: RecipeArgument, overrides: OverridesArgument = None, force: ForceOption = False, output: OutputOption = None
) -> None:
    """Train the classifiers that learn on episodes of base classes (stop 4), such as matching networks. Resumable."""
    _only("fit-classifier", recipe, overrides, force, None, output)


@app.command()
def tune(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    force: ForceOption = False,
    output: OutputOption = None,
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    address: AddressOption = None,
) -> None:
    """Choose the hyper-parameters of methods with a grid, on validation classes alone (stop 5), and print the grids.

    Killed, it goes on where it was; a wider grid runs its new points alone.
    """
    from lowshot.benchmark import Engine

    _only("tune", recipe, overrides, force, None, output, Engine(engine, workers, address))


@app.command()
def evaluate(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    force: ForceOption = False,
    output: OutputOption = None,
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    address: AddressOption = None,
) -> None:
    """Learn the novel classes from their shots and measure (stop 6): every method, number of shots, experiment.

    All representations and methods are one sweep. Killed, it goes on where it was; no run is done twice.
    """
    from lowshot.benchmark import Engine

    _only("evaluate", recipe, overrides, force, None, output, Engine(engine, workers, address))


@app.command()
def episodes(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    force: ForceOption = False,
    output: OutputOption = None,
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    address: AddressOption = None,
) -> None:
    """Measure on standard N-way K-shot episodes of novel classes (section episodes of a recipe)."""
    from lowshot.benchmark import Engine

    _only("episodes", recipe, overrides, force, None, output, Engine(engine, workers, address))


def _only(
    kind: str,
    recipe: str,
    overrides: list[str] | None,
    force: bool,
    devices: int | None,
    output: Path | None,
    engine: Engine | None = None,
) -> None:
    from lowshot.pipeline import run_recipe

    run_recipe(recipe, overrides or (), only=kind, force=force, devices=devices, output=output, engine=engine)
