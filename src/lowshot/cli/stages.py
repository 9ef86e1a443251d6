"""``lowshot train | extract | fit-generator | fit-classifier | tune | evaluate | episodes``: a stop of a recipe alone.

Each reads what the stops before it wrote, and refuses to run where that is not up to date.
"""

from __future__ import annotations

from lowshot.cli.app import app
from lowshot.cli.options import DEVICES, ENGINE, RECIPE, Walk, walks


@app.command()
@walks(*RECIPE, *DEVICES)
def train(walk: Walk) -> None:
    """Train the representations of a recipe on its base classes (stop 1). Resumes from the latest checkpoint.

    Several nodes: [bold]torchrun --nnodes 2 --nproc-per-node 4 -m lowshot train RECIPE[/]. Example:

      lowshot train cifar100 data.root=cifar100.zip train.epochs=5
    """
    walk("train")


@app.command()
@walks(*RECIPE, *DEVICES)
def extract(walk: Walk) -> None:
    """Save the features of all images (stop 2), as HDF5 that the original program reads too.

    Several processes share the images; a killed one goes on where it was. Example:

      lowshot extract cifar100 data.root=cifar100.zip --devices 2
    """
    walk("extract")


@app.command()
@walks(*RECIPE)
def fit_generator(walk: Walk) -> None:
    """Fit the generators of a recipe on the base classes (stop 3): one file per representation and generator.

    Generators that no method uses are left out. Example:

      lowshot fit-generator cifar100 data.root=cifar100.zip
    """
    walk("fit-generator")


@app.command()
@walks(*RECIPE)
def fit_classifier(walk: Walk) -> None:
    """Train the classifiers that learn on episodes of base classes (stop 4), such as matching networks. Resumable.

    Example:

      lowshot fit-classifier cifar100 data.root=cifar100.zip
    """
    walk("fit-classifier")


@app.command()
@walks(*RECIPE, *ENGINE)
def tune(walk: Walk) -> None:
    """Choose the hyper-parameters of methods with a grid, on validation classes alone (stop 5), and print the grids.

    The winner of each is what [bold]lowshot evaluate[/] measures. Killed, it goes on where it was; a wider grid runs
    its new points alone. Examples:

      lowshot tune cifar100 data.root=cifar100.zip
      lowshot tune my_recipe.yaml "evaluate.methods.linear.grid={lr: [0.1, 1], weight_decay: [0.001, 0.01]}"
      lowshot tune my_recipe.yaml tune.target=mean_novel_top1 --workers 2
    """
    walk("tune")


@app.command()
@walks(*RECIPE, *ENGINE)
def evaluate(walk: Walk) -> None:
    """Learn the novel classes from their shots and measure (stop 6): every method, number of shots, experiment.

    All representations and methods are one sweep. Killed, it goes on where it was; no run is done twice. Examples:

      lowshot evaluate cifar100 data.root=cifar100.zip --engine loky --workers 4
      lowshot evaluate cifar100 data.root=/shared/cifar100.zip --engine ray --address auto
    """
    walk("evaluate")


@app.command()
@walks(*RECIPE, *ENGINE)
def episodes(walk: Walk) -> None:
    """Measure on standard N-way K-shot episodes of novel classes (section episodes of a recipe).

    The classes of an episode alone compete, as in most of the literature. Example:

      lowshot episodes my_recipe.yaml "episodes={n_way: 5, n_shots: [1, 5], n_tasks: 10000}"
    """
    walk("episodes")
