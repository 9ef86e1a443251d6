"""``matching_network.py`` of the original: train matching networks on base classes, or test them on novel ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowshot.compat.program import SWITCH, Flags, end, integer, parser, run


def flags() -> argparse.ArgumentParser:
    """Make a parser with the original's flags and defaults."""
    found = parser("matching_network", "Train matching networks on the base classes, or test them on the novel ones.")
    add = found.add_argument
    add("--test", required=True, type=int, choices=SWITCH, help="0 trains and writes modelfile, 1 tests it")
    add("--trainfile", required=True, help="features of the training images")
    add("--lowshotmeta", required=True, help="class split, label_idx.json")
    add("--modelfile", required=True, help="the weights: written or read")
    add("--testfile", help="features of the test images (to test)")
    add("--experimentpath", help="experiments, such as splitfile_{:d}.json (to test)")
    add("--experimentid", default=1, type=integer(0), help="which of them")
    add("--lowshotn", default=1, type=integer(1), help="shots of each novel class")
    add("--testsetup", default=0, type=int, choices=SWITCH, help="0 for the validation classes, 1 for the test classes")
    add("--K", default=5, type=integer(1), help="steps of a query over the support set")
    add("--outdir", help="folder for result files (to test)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _run, arguments)


def _run(given: Flags) -> None:
    from lowshot.compat import matching

    if given.test:
        matching.test(given)
    else:
        matching.train(given)


if __name__ == "__main__":
    end(main())
