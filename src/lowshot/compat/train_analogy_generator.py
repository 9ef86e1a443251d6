"""``train_analogy_generator.py`` of the original: clusters, analogies and the network that completes them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lowshot.compat.base_classifier import base_classifier
from lowshot.compat.formats.checkpoint import read_checkpoint
from lowshot.compat.formats.features import open_features
from lowshot.compat.formats.generator import write_generator
from lowshot.compat.formats.splits import read_split
from lowshot.compat.program import Flags, parser, positive, run, whole
from lowshot.compat.steps import steps
from lowshot.errors import InputError
from lowshot.files import require_writable
from lowshot.hallucination import AnalogyGenerator
from lowshot.progress import say

N_STEPS = 120_000
N_CLASSIFIER_STEPS = 10_000


def flags() -> argparse.ArgumentParser:
    """The original's flags and defaults."""
    found = parser(
        "train_analogy_generator",
        "Train the analogy-based generator on the base classes and save it as OUTDIR/REPR/generator.tar, where REPR is "
        "the name of the folder that holds the features.",
    )
    add = found.add_argument
    add("--lowshotmeta", required=True, help="class split, label_idx.json")
    add("--trainfile", required=True, help="features of the training images")
    add("--numclasses", default=1000, type=whole(1), help="labels run from 0 to one below it")
    add("--outdir", default=".", help="folder for generators")
    add("--networkfile", help="checkpoint of the network whose classifier judges; without it one is fitted")
    add("--initlr", default=0.1, type=positive, help="learning rate at the start")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _fit, arguments)


def _fit(given: Flags) -> None:
    split = read_split(given.lowshotmeta)
    train = open_features(given.trainfile, given.numclasses)
    folder = Path(given.outdir) / train.path.parent.name
    require_writable(folder, "--outdir", folder=True)
    split.check_labels(train.labels)
    weight = None if given.networkfile is None else _classifier(given.networkfile, given.numclasses, train.dim)
    if len(absent := np.setdiff1d(split.base, train.labels)):
        raise InputError(f"{train.path} has no image of base class {split.describe(int(absent[0]))}")
    rows = train.rows_of(split.base)
    features, labels = train.rows(rows), train.labels[rows]
    if weight is None:
        weight = base_classifier(features, labels, given.numclasses, steps(N_CLASSIFIER_STEPS), folder / "cache")
    generator = AnalogyGenerator(lr=given.initlr, n_steps=steps(N_STEPS), cache=folder / "cache")
    generator.fit(features, labels, weight)
    for note in write_generator(folder / "generator.tar", generator):
        say(note, style="yellow")
    say(f"{folder / 'generator.tar'}: {generator.n_analogies_} analogies of {len(split.base)} base classes")


def _classifier(path: str, num_classes: int, dim: int) -> np.ndarray:
    """(C, D) weight of the classifier in a checkpoint."""
    weight = read_checkpoint(path, num_classes=num_classes).backbone.classifier.weight.detach().numpy()
    if weight.shape[1] != dim:
        raise InputError(
            f"the network in {path} has {weight.shape[1]} features, but the features file has {dim}: "
            "give the network that made the features"
        )
    return weight


if __name__ == "__main__":
    sys.exit(main())
