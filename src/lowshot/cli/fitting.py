"""``lowshot split``, ``train``, ``fit-generator`` and ``fit-classifier``: the stages before anything is measured.

Each reads what the stages before it wrote, and refuses to run where that is not up to date.
"""

from __future__ import annotations

from lowshot.cli.options import Devices, DryRun, Force, Output, Overrides, RecipeName, run_recipe


def split(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = None,
) -> None:
    """Write the class split and the experiments of a recipe: split/label_idx.json and split/splitfile_N.json.

    The split says which classes are base and novel, each in a validation and a test half; an experiment is one draw
    of shots for every class. Both come from the recipe's seed, or are copied from the files that it names. Example:

      lowshot split cifar100 data.root=cifar100.zip split.experiments=100
    """
    run_recipe(recipe, overrides, only="split", force=force, dry_run=dry_run, output=output)


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    devices: Devices = None,
    output: Output = None,
) -> None:
    """Train the representations of a recipe on its base classes. Resumes from the latest checkpoint.

    Several nodes: [bold]torchrun --nnodes 2 --nproc-per-node 4 -m lowshot train RECIPE[/]. Example:

      lowshot train cifar100 data.root=cifar100.zip train.epochs=5
    """
    run_recipe(recipe, overrides, only="train", force=force, dry_run=dry_run, devices=devices, output=output)


def fit_generator(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = None,
) -> None:
    """Fit the generators of a recipe on the base classes: one file per representation and generator.

    Generators that no method uses are left out. Example:

      lowshot fit-generator cifar100 data.root=cifar100.zip
    """
    run_recipe(recipe, overrides, only="fit-generator", force=force, dry_run=dry_run, output=output)


def fit_classifier(
    recipe: RecipeName,
    overrides: Overrides = None,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = None,
) -> None:
    """Train the classifiers that learn on episodes of base classes, such as matching networks. Resumable.

    Example:

      lowshot fit-classifier cifar100 data.root=cifar100.zip
    """
    run_recipe(recipe, overrides, only="fit-classifier", force=force, dry_run=dry_run, output=output)
