"""``matching_network.py`` of the original: train matching networks on base classes, or test them on novel ones."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lowshot.classifiers import MatchingNetwork
from lowshot.classifiers.persistence import save_classifier
from lowshot.compat.formats.features import open_features
from lowshot.compat.formats.matching_network import read_matching_network, write_matching_network
from lowshot.compat.formats.splits import read_split
from lowshot.compat.low_shot_run import run_one
from lowshot.compat.program import SWITCH, Flags, parser, run, whole
from lowshot.compat.steps import steps
from lowshot.errors import InputError
from lowshot.files import require_writable
from lowshot.progress import say

N_EPISODES = 60_000
SAVE_EVERY = 1000


def flags() -> argparse.ArgumentParser:
    """The original's flags and defaults."""
    found = parser("matching_network", "Train matching networks on the base classes, or test them on the novel ones.")
    add = found.add_argument
    add("--test", required=True, type=int, choices=SWITCH, help="0 trains and writes modelfile, 1 tests it")
    add("--trainfile", required=True, help="features of the training images")
    add("--lowshotmeta", required=True, help="class split, label_idx.json")
    add("--modelfile", required=True, help="the weights: written or read")
    add("--testfile", help="features of the test images (to test)")
    add("--experimentpath", help="experiments, such as splitfile_{:d}.json (to test)")
    add("--experimentid", default=1, type=whole(0), help="which of them")
    add("--lowshotn", default=1, type=whole(1), help="shots of each novel class")
    add("--testsetup", default=0, type=int, choices=SWITCH, help="0 for the validation classes, 1 for the test classes")
    add("--K", default=5, type=whole(1), help="steps of a query over the support set")
    add("--outdir", default=".", help="folder for result files")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _run, arguments)


def _run(given: Flags) -> None:
    if given.test:
        _test(given)
    else:
        _train(given)


def _train(given: Flags) -> None:
    require_writable(given.modelfile, "--modelfile")
    split = read_split(given.lowshotmeta)
    train = open_features(given.trainfile)
    split.check_labels(train.labels)
    rows = train.rows_of(split.base)
    if not len(rows):
        raise InputError(f"{train.path} has no image of a base class")
    # Hours of training are saved as they go; what is over in a minute is not worth a second copy of the network.
    n_episodes = steps(N_EPISODES)
    unfinished = Path(f"{given.modelfile}.unfinished")
    network = MatchingNetwork(
        query_steps=given.K,
        n_episodes=n_episodes,
        checkpoint=unfinished if n_episodes > SAVE_EVERY else None,
        checkpoint_every=SAVE_EVERY,
        n_support=1,  # encoding a support set is for tests, and takes no part in training
    )
    network.fit_base(train.rows(rows), train.labels[rows])
    write_matching_network(given.modelfile, network)
    unfinished.unlink(missing_ok=True)
    say(f"{given.modelfile}: trained on {network.n_episodes} episodes of {len(split.base)} base classes")


def _test(given: Flags) -> None:
    for flag in ("testfile", "experimentpath"):
        if getattr(given, flag) is None:
            raise InputError(f"--test 1 needs --{flag}")
    network = read_matching_network(given.modelfile, given.K)
    train = open_features(given.trainfile)
    if train.dim != network.n_features_in_:
        raise InputError(
            f"{given.modelfile} was trained on {network.n_features_in_} features per image, but {train.path} has "
            f"{train.dim}: they come from different networks"
        )
    with tempfile.TemporaryDirectory() as folder:
        pretrained = Path(folder) / "matching_network.safetensors"
        save_classifier(network, pretrained)
        num_classes = read_split(given.lowshotmeta).num_classes
        run_one(given, MatchingNetwork(query_steps=given.K, pretrained=pretrained), {}, num_classes)


if __name__ == "__main__":
    sys.exit(main())
