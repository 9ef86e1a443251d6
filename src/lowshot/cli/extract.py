"""``lowshot extract``."""

from __future__ import annotations

from lowshot.cli.options import (
    Address,
    Devices,
    DryRun,
    EngineKind,
    Force,
    Output,
    Overrides,
    RecipeName,
    Workers,
    run_recipe,
)


def extract(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    devices: Devices = None,
    output: Output = None,
    engine: EngineKind = "auto",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Save the features of all images, as HDF5 that the original program reads too.

    Several processes share the images, or with [bold]--engine ray[/] the workers of a cluster; after an interruption,
    the same command resumes. Examples:

      lowshot extract cifar100 data.root=cifar100.zip --devices 2
      lowshot extract my_recipe.yaml data.root=/shared/photos --engine ray --address auto
    """
    run_recipe(
        recipe,
        overrides,
        only="extract",
        force=force,
        dry_run=dry_run,
        devices=devices,
        output=output,
        engine=engine,
        workers=workers,
        address=address,
    )
