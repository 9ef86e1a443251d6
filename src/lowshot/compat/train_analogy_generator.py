"""``train_analogy_generator.py`` of the original: clusters, analogies and the network that completes them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowshot.compat.program import Flags, end, integer, parser, positive, run


def flags() -> argparse.ArgumentParser:
    """Make a parser with the original's flags and defaults."""
    found = parser(
        "train_analogy_generator",
        "Train the analogy-based generator on the base classes and save it as OUTDIR/REPR/generator.tar, where REPR is "
        "the name of the folder that holds the features.",
    )
    add = found.add_argument
    add("--lowshotmeta", required=True, help="class split, label_idx.json")
    add("--trainfile", required=True, help="features of the training images")
    add("--numclasses", default=1000, type=integer(1), help="labels run from 0 to one below it")
    add("--outdir", help="folder for generators")
    add("--networkfile", help="checkpoint of the network whose classifier judges; without it one is fitted")
    add("--initlr", default=0.1, type=positive, help="learning rate at the start")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _fit, arguments)


def _fit(given: Flags) -> None:
    from lowshot.compat.analogies import fit

    fit(given)


if __name__ == "__main__":
    end(main())
