"""``lowshot tune``, ``evaluate`` and ``episodes``: the stages of many tasks, which an engine computes.

Each reads what the stages before it wrote, and refuses to run where that is not up to date.
"""

from __future__ import annotations

from lowshot.cli.options import Address, DryRun, EngineKind, Force, Output, Overrides, RecipeName, Workers, run_recipe


def tune(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = None,
    engine: EngineKind = "auto",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Choose the hyper-parameters of methods with a grid, on validation classes alone, and print the grids.

    The winner of each grid is what [bold]lowshot evaluate[/] measures. After an interruption, the same command
    resumes; of a wider grid only the new points are computed. Examples:

      lowshot tune cifar100 data.root=cifar100.zip
      lowshot tune my_recipe.yaml "evaluate.methods.linear.grid={lr: [0.1, 1], weight_decay: [0.001, 0.01]}"
      lowshot tune my_recipe.yaml tune.target=mean_novel_top1 --workers 2
    """
    run_recipe(
        recipe,
        overrides,
        only="tune",
        force=force,
        dry_run=dry_run,
        output=output,
        engine=engine,
        workers=workers,
        address=address,
    )


def evaluate(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = None,
    engine: EngineKind = "auto",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Learn the novel classes from their shots and measure accuracy, for every method, number of shots and experiment.

    One scheduler runs the tasks of all representations and methods. After an interruption, the same command resumes;
    no task is computed twice. Examples:

      lowshot evaluate cifar100 data.root=cifar100.zip --engine loky --workers 4
      lowshot evaluate cifar100 data.root=/shared/cifar100.zip --engine ray --address auto
    """
    run_recipe(
        recipe,
        overrides,
        only="evaluate",
        force=force,
        dry_run=dry_run,
        output=output,
        engine=engine,
        workers=workers,
        address=address,
    )


def episodes(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = None,
    engine: EngineKind = "auto",
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Measure accuracy on standard N-way K-shot episodes of novel classes (section episodes of a recipe).

    Predictions are among the classes of an episode only, as in most of the literature. Example:

      lowshot episodes my_recipe.yaml "episodes={n_way: 5, n_shots: [1, 5], n_tasks: 10000}"
    """
    run_recipe(
        recipe,
        overrides,
        only="episodes",
        force=force,
        dry_run=dry_run,
        output=output,
        engine=engine,
        workers=workers,
        address=address,
    )
