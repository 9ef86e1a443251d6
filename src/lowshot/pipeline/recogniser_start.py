"""The start of a recogniser from a run: its network, its base classes, its tuned parameters and calibration biases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

import numpy as np

from lowshot.benchmark.results import read_records
from lowshot.data import ClassSplit
from lowshot.errors import InputError, did_you_mean
from lowshot.files import Pathlike, is_file
from lowshot.pipeline.inputs import Inputs
from lowshot.pipeline.low_shot import LowShotPhase
from lowshot.pipeline.representation import Representation
from lowshot.progress import say
from lowshot.recipe import load_recipe
from lowshot.recogniser.start import BaseClasses, Start


def start_from_run(folder: Pathlike, representation: str | None = None, method: str | None = None) -> Start:
    """Read what a recogniser starts from out of the results of a recipe.

    All base classes of the split come along, those of both halves: the benchmark keeps half of them apart for
    validation, a recogniser has no reason to.

    Args:
        folder (path-like): The output folder of the recipe, such as ``runs/cifar100``.
        representation (str, optional): The key of the representation; the only one where there is no other.
        method (str, optional): The key of the method; the only one where there is no other.

    Raises:
        InputError: The run is not complete, a key is unknown or missing, or the method generates features.
    """
    folder = Path(folder)
    if not (folder / "recipe.yaml").is_file():
        raise InputError(f"{folder} is no run: expected the output folder of a recipe, with a recipe.yaml")
    recipe = load_recipe(folder / "recipe.yaml", values={"output": str(folder)})
    name = _one_of("--representation", representation, recipe.representations, folder)
    chosen = _one_of("--method", method, recipe.methods_of(name), folder)
    section = recipe.evaluate.methods[chosen]
    if section.generator is not None:
        others = (key for key in recipe.methods_of(name) if recipe.evaluate.methods[key].generator is None)
        raise InputError(
            f"method {chosen} of {folder} generates features, which a recogniser does not: take one without, such as "
            f"{next(others, 'another')}"
        )
    phase = LowShotPhase(Representation(Inputs(recipe), name))
    if not phase.representation.is_extracted:
        raise InputError(
            f"representation {name} of {folder} is features made elsewhere, and a recogniser needs the network"
        )
    split = ClassSplit.from_json(phase.outputs.split)
    base = sorted(int(label) for label in split.base)
    features, labels = phase.base_examples(base)
    say(f"learning {len(base)} base classes from {len(labels)} features of {folder}")
    classifier = phase.method(chosen).classifier
    if "random_state" in classifier.get_params(deep=False):
        classifier.set_params(random_state=recipe.seed)  # equal shots, equal answers
    classifier.fit_base(features, np.searchsorted(base, labels))
    backbone = phase.representation.load_backbone()
    names = [split.label_names[label] for label in base]
    known = BaseClasses(f"{folder}, {name}, {chosen}", names, classifier, _biases(phase, chosen))
    config = backbone.config
    return Start(config["name"], config["kwargs"], backbone, phase.representation.inputs.transforms, True, known)


def _one_of(flag: str, given: str | None, known: Iterable[str], folder: Path) -> str:
    keys = list(known)
    if given is None and len(keys) == 1:
        return keys[0]
    if given is None:
        raise InputError(f"{folder} has {len(keys)} of them: say which with {flag} ({', '.join(keys)})")
    if given not in keys:
        raise InputError(f"{folder} has no {flag[2:]} {given!r}. {did_you_mean(given, keys)}")
    return given


def _biases(phase: LowShotPhase, method: str) -> dict[int, float]:
    """Number of shots → calibration bias that the run chose on val; empty where it chose none."""
    path = phase.outputs.method_results(phase.name, method)
    if not is_file(path):
        raise InputError(f"{path} is missing: let the run finish, with lowshot run")
    found: dict[int, list[float]] = defaultdict(list)
    for record in read_records(path):
        if record.get("setup") == "test" and record.get("prior") is not None:
            found[int(record["n_shots"])].append(float(record["prior"]))
    return {n: mean(biases) for n, biases in sorted(found.items())}
