"""``lowshot split``."""

from __future__ import annotations

from lowshot.cli.app import app
from lowshot.cli.options import RECIPE, Walk, walks


@app.command()
@walks(*RECIPE)
def split(walk: Walk) -> None:
    """Write the class split and the experiments of a recipe: split/label_idx.json and split/splitfile_N.json.

    The split says which classes are base and novel, each in a validation and a test half; an experiment is one draw
    of shots for every class. Both come from the recipe's seed, or are copied from the files that it names. Example:

      lowshot split cifar100 data.root=cifar100.zip split.experiments=100
    """
    walk("split")
