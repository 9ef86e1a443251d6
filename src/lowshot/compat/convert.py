"""The original's files into lowshot's and back: one function a kind, each naming what the target cannot hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lowshot.benchmark.results import ResultStore, write_records
from lowshot.classifiers import MatchingNetwork
from lowshot.classifiers.persistence import load_classifier, save_classifier
from lowshot.compat.formats import checkpoint, features, generator, matching_network, results, splits
from lowshot.compat.formats.features import Format
from lowshot.compat.formats.recognise import Found, recognise
from lowshot.data import experiment_files
from lowshot.errors import InputError
from lowshot.files import Pathlike, require_writable
from lowshot.hallucination import Generator
from lowshot.representation.checkpoints import rebuild_backbone
from lowshot.torch_files import save_torch


@dataclass(frozen=True)
class Options:
    """What a source may leave open.

    Attributes:
        model: which network a checkpoint must hold.
        features: train features that experiments are of.
        setup: which setup results are of.
        query_steps: K of a matching network.
        names: what the original's module calls the parts of a matching network.
    """

    model: str | None = None
    features: Path | None = None
    setup: Literal["val", "test"] = "test"
    query_steps: int = 5
    names: matching_network.Names | None = None


@dataclass(frozen=True)
class Converted:
    """What was done.

    Attributes:
        what: what the source is, in words.
        to: whose format the target has.
        notes: what the target does not hold or say as the source did, a sentence each.
    """

    what: str
    to: Format
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where to write, if that is possible, and nothing is there or it may be replaced."""

    target: str
    force: bool

    def require_free(self, *files: Pathlike) -> None:
        for file in files:
            require_writable(file, "target")
        found = [str(file) for file in files if Path(file).exists()]
        if found and not self.force:
            raise InputError(f"{found[0]} exists: give --force to replace it, or another target")


def convert(
    source: Pathlike, target: Pathlike, to: Format | None = None, options: Options | None = None, force: bool = False
) -> Converted:
    """Convert a file, a folder of results, or a pattern of experiments.

    Args:
        source: recognised by its content.
        target: a file; a folder for results in the original's format; a pattern for several experiments.
        to: whose format to write; None takes the one that the source is not of.
        options: what the source leaves open.
        force: replace what is there.

    Raises:
        InputError: the source is missing, damaged, foreign or holds what the target has no place for; the target
            exists; or nothing is to be converted. Nothing is written then.
    """
    found = recognise(source)
    to = to or ("original" if found.format == "lowshot" else "lowshot")
    if to == found.format and found.kind not in ("features", "class split"):
        raise InputError(f"{source} has {to}'s format already: there is nothing to convert")
    place = _Place(str(target), force)
    if found.kind not in ("experiments", "results"):
        place.require_free(target)
    try:
        what, notes = _CONVERTERS[found.kind](found, to, options or Options(), place)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from None
    return Converted(what, to, tuple(notes))


_Result = tuple[str, list[str]]


def _checkpoint(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    if to == "lowshot":
        read = checkpoint.parse_checkpoint(found.content, f"checkpoint {found.path}", options.model)
        # The original's number is that of the last epoch, from 0; lowshot's says how many are done.
        epochs = None if read.epoch is None else read.epoch + 1
        save_torch(
            place.target,
            {"epoch": epochs, "state": dict(read.state), "backbone": read.backbone.config, "class_names": None},
        )
        what = f"checkpoint of {read.model} with {read.backbone.num_classes} classes"
        what += "" if epochs is None else f" after {epochs} epochs"
        return what, [*read.notes, "the optimiser's state is not in it, so it serves as it is but cannot train on"]
    backbone = rebuild_backbone(found.content, f"checkpoint {found.path}")
    epochs = found.content.get("epoch")
    if not isinstance(epochs, int):
        raise InputError(f"checkpoint {found.path} does not say how many epochs it has seen")
    checkpoint.write_checkpoint(place.target, backbone, epochs - 1)
    what = f"checkpoint of {backbone.config['name']} with {backbone.num_classes} classes after {epochs} epochs"
    kept = {"epoch", "state", "backbone"}
    lost = sorted(key for key, value in found.content.items() if key not in kept and value is not None)
    notes = [f"left out, for the original has no place for it: {', '.join(lost)}"] if lost else []
    return what, [*notes, "batch counters were left out: the original's torch had none"]


def _generator(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    if to == "lowshot":
        fitted = generator.parse_generator(found.content, f"generator {found.path}")
        fitted.save(place.target)
        notes = ["how it was trained is not in it: its parameters for fitting are the defaults"]
    else:
        loaded = Generator.load(found.path)
        notes = generator.write_generator(place.target, loaded)
        notes += ["left out, for the original has no place for it: parameters of the fit, history, provenance"]
        fitted = loaded
    return f"generator of {len(fitted.counts_)} base classes on {fitted.n_features_in_}-wide features", notes


def _matching_network(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    if to == "lowshot":
        weights = matching_network.parse_weights(found.content, f"matching network {found.path}")
        save_classifier(matching_network.classifier_of(weights, options.query_steps), place.target)
        notes = [f"how often a query reads the support set is not in it: it will {options.query_steps} times"]
        return f"matching network on {weights.dim}-wide features", notes
    network = load_classifier(found.path)
    if not isinstance(network, MatchingNetwork):
        raise InputError(f"{found.path} holds a {type(network).__name__}, which the original does not have")
    matching_network.write_matching_network(place.target, network, options.names)
    what = f"matching network on {network.n_features_in_}-wide features"
    return what, ["left out, for the original has no place for it: the parameters, and a support set if there is one"]


def _features(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    store = features.open_features(found.path)
    notes = features.new_layout(store)
    notes += features.rewrite_features(store, place.target, to)
    return f"features, {len(store)} rows of {store.dim}", notes


def _class_split(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    split = splits.read_split(found.path)
    split.to_json(place.target)
    sizes = f"{len(split.base)} base and {len(split.novel)} novel of {split.num_classes} classes"
    return f"class split of {sizes}", ["both programs have the same file; it was checked and written anew"]


def _experiments(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    store = None if options.features is None else features.open_features(options.features)
    experiments = splits.read_experiments(found.path, store)
    if "{" in place.target:
        place.require_free(*experiment_files.files_to_write(place.target, len(experiments)))
    else:
        place.require_free(place.target)
    splits.write_experiments(place.target, experiments, bare=to == "original")
    notes = []
    if to == "original" and experiments.paths is not None:
        notes.append("image paths and class names were left out: rows in another order will no longer be noticed")
    if to == "lowshot" and experiments.paths is None:
        notes.append(
            "no image paths were known: give --features with a file that has them, and they are added"
            if store is None
            else f"{store.path} has no image paths, so none were added: features that lowshot extracts have them"
        )
    if store is None:
        notes.append("rows were not checked against labels: give --features to have that done")
    return f"{len(experiments)} experiment{'s' * (len(experiments) != 1)} of {experiments.num_classes} classes", notes


def _results(found: Found, to: Format, options: Options, place: _Place) -> _Result:
    if to == "lowshot":
        runs = results.read_runs(found.path)
        place.require_free(place.target)
        write_records(place.target, results.to_records(runs, options.setup))
        notes = [f"the files do not say whether they are of setup val or test: they were taken as {options.setup!r}"]
    else:
        runs, notes = results.from_records(ResultStore(found.path).records, options.setup)
        if not runs:
            why = f" ({'; '.join(notes)})" if notes else ""
            raise InputError(f"{found.path} holds no result of setup {options.setup!r} for the original{why}")
        place.require_free(*(Path(place.target) / run.file_name for run in runs))
        for run in runs:
            results.write_run(place.target, run)
        notes = [*notes, "left out: all but the six accuracies, and which generator and parameters were used"]
    return f"{len(runs)} results of setup {options.setup!r}", notes


_CONVERTERS: dict[str, Callable[[Found, Format, Options, _Place], _Result]] = {
    "checkpoint": _checkpoint,
    "generator": _generator,
    "matching network": _matching_network,
    "features": _features,
    "class split": _class_split,
    "experiments": _experiments,
    "results": _results,
}
