"""The work of ``low_shot``: train the original's linear classifier on base examples and shots, and measure it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lowshot.compat.evaluation import RunData, read_run_data, require_own_result, write_result
from lowshot.compat.formats.results import Run
from lowshot.compat.generators import load_generator
from lowshot.compat.linear_sgd import Examples, Rates, train_linear
from lowshot.compat.precision import only_float32
from lowshot.compat.program import Flags
from lowshot.errors import InputError
from lowshot.progress import say

if TYPE_CHECKING:
    from lowshot.hallucination.base import ShotGenerator


def classify(given: Flags) -> None:
    """Run the program.

    Raises:
        InputError: A flag or file is missing or unfit. Nothing is written then.
    """
    generator = _generator(given)
    data = read_run_data(given, given.numclasses)
    run = Run(
        data.representation,
        given.experimentid,
        given.lowshotn,
        (),
        given.lr,
        given.wd,
        max_per_label=given.max_per_label,
    )
    require_own_result(data.folder, run)
    only_float32()
    shots = data.examples(data.shots)
    if generator is not None:
        shots = generator.generate(*shots, given.max_per_label, random_state=given.experimentid)
    weight, bias = _train(given, data, *shots)
    accuracies = data.accuracies(lambda features: features @ weight.T + bias)
    write_result(data.folder, replace(run, accuracies=accuracies))


def _generator(given: Flags) -> ShotGenerator | None:
    """The generator of the flags; None where there is none, or none of its features are asked for."""
    if not given.max_per_label:
        if given.generator_name:
            say(f"--generator_name {given.generator_name} generates nothing without --max_per_label", style="yellow")
        return None
    if not given.generator_name:
        raise InputError("--max_per_label needs --generator_name: what generates the features")
    return load_generator(given.generator_name, given.generator_file)


def _train(given: Flags, data: RunData, features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight (numclasses, D) and bias (numclasses,) after SGD on base examples and shots.

    Base examples are in a batch as base classes are among the classes, and the dampening is the momentum. Every output
    is trained and competes, those of classes without examples too: column c is label c.
    """
    base = Examples(*data.examples(data.train.rows_of(data.base)))
    share = len(data.base) / (len(data.base) + len(data.novel))
    rates = Rates(given.lr, given.momentum, given.momentum, given.wd, given.maxiters, given.batchsize)
    shots = Examples(features, np.asarray(labels, np.int64))
    return train_linear(base, shots, share, given.numclasses, rates, seed=given.experimentid)
