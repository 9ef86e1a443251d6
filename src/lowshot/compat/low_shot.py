"""``low_shot.py`` of the original: one experiment for one number of shots, with or without a generator."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowshot.compat.all_outputs import AllOutputs
from lowshot.compat.formats.generator import read_generator
from lowshot.compat.low_shot_run import run_one
from lowshot.compat.program import SWITCH, Flags, fraction, not_negative, parser, positive, run, whole
from lowshot.errors import InputError, did_you_mean
from lowshot.hallucination import wrap_functions
from lowshot.hallucination.functions import FunctionGenerator
from lowshot.plugins import functions_of, plugin_functions
from lowshot.registry import GENERATORS

PLUGIN_FUNCTIONS = ("init_generator", "do_generate")


def flags() -> argparse.ArgumentParser:
    """The original's flags and defaults."""
    found = parser("low_shot", "Learn the novel classes from a few shots, measure, and write one result file.")
    add = found.add_argument
    add("--lowshotmeta", required=True, help="class split, label_idx.json")
    add("--experimentpath", required=True, help="experiments, such as splitfile_{:d}.json")
    add("--experimentid", default=1, type=whole(0), help="which of them")
    add("--lowshotn", required=True, type=whole(1), help="shots of each novel class")
    add("--trainfile", required=True, help="features of the training images")
    add("--testfile", required=True, help="features of the test images")
    add("--testsetup", default=0, type=int, choices=SWITCH, help="0 for the validation classes, 1 for the test classes")
    add("--numclasses", default=1000, type=whole(1), help="outputs of the classifier")
    add("--lr", default=0.1, type=positive, help="learning rate")
    add("--momentum", default=0.9, type=fraction, help="momentum of SGD, and its dampening is 0.9")
    add("--wd", default=0.001, type=not_negative, help="weight decay")
    add("--maxiters", default=10000, type=whole(1), help="steps")
    add("--batchsize", default=1000, type=whole(1), help="examples a step")
    add("--outdir", default=".", help="folder for result files")
    add(
        "--max_per_label", default=0, type=whole(0), help="shots and generated features of each class; 0 generates none"
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
    generation: dict[str, Any] = {}
    if bool(given.generator_name) != (given.max_per_label > 0):
        raise InputError("--generator_name and --max_per_label go together: give both, the second above 0, or neither")
    if given.generator_name:
        generator = load_generator(given.generator_name, given.generator_file)
        if isinstance(generator, FunctionGenerator):
            generator.prepare()
        generation = {"generator": generator, "n_per_class": given.max_per_label}
    classifier = AllOutputs(
        lr=given.lr,
        weight_decay=given.wd,
        momentum=given.momentum,
        n_steps=given.maxiters,
        batch_size=given.batchsize,
        n_outputs=given.numclasses,
    )
    named = {"lr": given.lr, "weight_decay": given.wd, "max_per_label": given.max_per_label}
    run_one(given, classifier, named, given.numclasses, **generation)


def load_generator(name: str, file: str) -> Any:
    """The generator that ``--generator_name`` and ``--generator_file`` mean.

    ``analogies`` is read from the original's ``generator.tar``; that and any other generator of lowshot from its own
    files. Any other name is a Python file or a module with the original's two functions.

    Raises:
        InputError: no such generator, or the file is missing or holds another one.
    """
    if name in GENERATORS:
        if not file:
            raise InputError(f"--generator_name {name} needs --generator_file: what the generator was saved in")
        if name == "analogies" and Path(file).suffix != ".safetensors":
            return read_generator(file)
        kind: Any = GENERATORS.get(name)
        return kind(file) if issubclass(kind, FunctionGenerator) else kind.load(file)
    if name.endswith(".py"):
        init_generator, do_generate = plugin_functions(name, *PLUGIN_FUNCTIONS)
        return wrap_functions(init_generator, do_generate, file)
    if _importable(name):
        init_generator, do_generate = functions_of(_imported(name), *PLUGIN_FUNCTIONS)
        return wrap_functions(init_generator, do_generate, file)
    raise InputError(
        f"--generator_name {name!r} is no generator, Python file or module. {did_you_mean(name, GENERATORS.names())}"
    )


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise InputError(f"module {name} failed while it was imported: {type(error).__name__}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
