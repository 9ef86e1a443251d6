"""``low_shot.py`` of the original: one experiment for one number of shots, with or without a generator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowshot.compat.program import SWITCH, Flags, end, fraction, integer, not_negative, parser, positive, run


def flags() -> argparse.ArgumentParser:
    """Make a parser with the original's flags and defaults."""
    found = parser("low_shot", "Learn the novel classes from a few shots, measure, and write one result file.")
    add = found.add_argument
    add("--lowshotmeta", required=True, help="class split, label_idx.json")
    add("--experimentpath", required=True, help="experiments, such as splitfile_{:d}.json")
    add("--experimentid", default=1, type=integer(0), help="which of them")
    add("--lowshotn", required=True, type=integer(1), help="shots of each novel class")
    add("--trainfile", required=True, help="features of the training images")
    add("--testfile", required=True, help="features of the test images")
    add("--testsetup", default=0, type=int, choices=SWITCH, help="0 for the validation classes, 1 for the test classes")
    add("--numclasses", default=1000, type=integer(1), help="outputs of the classifier")
    add("--lr", default=0.1, type=positive, help="learning rate")
    add("--momentum", default=0.9, type=fraction, help="momentum of SGD, and its dampening")
    add("--wd", default=0.001, type=not_negative, help="weight decay")
    add("--maxiters", default=10000, type=integer(1), help="steps")
    add("--batchsize", default=1000, type=integer(1), help="examples a step")
    add("--outdir", help="folder for result files")
    add(
        "--max_per_label",
        default=0,
        type=integer(0),
        help="shots and generated features of each class; 0 generates none",
    )
    add(
        "--generator_name",
        default="",
        help="analogies, another of lowshot's, FILE.py or a module with the two functions",
    )
    add("--generator_file", default="", help="what the generator was saved in")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _run, arguments)


def _run(given: Flags) -> None:
    from lowshot.compat.classification import classify

    classify(given)


if __name__ == "__main__":
    end(main())
