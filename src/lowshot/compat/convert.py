"""Converts the original's files into lowshot's and back: one function a kind, each naming what the target lacks."""

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
from lowshot.files import Pathlike, exists, require_writable
from lowshot.hallucination import Generator
from lowshot.representation.checkpoints import rebuild_backbone
from lowshot.torch_files import save_torch


@dataclass(frozen=True)
class Options:
    """Settings for what the files of some kinds do not state themselves.

    Attributes:
        model (str or None): The network that a checkpoint must hold, such as ``ResNet10``; None takes any.
        features (path or None): The train features that the rows of experiments are checked against.
        setup (str): The setup of results, "val" or "test".
        query_steps (int): K, the number of query steps of a matching network.
        names (Names or None): The names that the original's module gives the parts of a matching network; None for
            those of the file, or else the original's.
    """

    model: str | None = None
    features: Path | None = None
    setup: Literal["val", "test"] = "test"
    query_steps: int = 5
    names: matching_network.Names | None = None


@dataclass(frozen=True)
class Converted:
    """The outcome of a conversion.

    Attributes:
        what (str): A description of the source, such as "features, 600 rows of 512".
        to (str): The program whose format the target has, "original" or "lowshot".
        notes (tuple of str): A sentence for each thing that the target does not hold or say as the source did.
    """

    what: str
    to: Format
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Target:
    """The path to write to; with ``force`` an existing file is replaced."""

    path: str
    force: bool

    def require_free(self, *files: Pathlike) -> None:
        for file in files:
            require_writable(file, "target")
        found = [str(file) for file in files if exists(file)]
        if found and not self.force:
            raise InputError(f"{found[0]} exists: give --force to replace it, or another target")


def convert(
    source: Pathlike, target: Pathlike, to: Format | None = None, options: Options | None = None, force: bool = False
) -> Converted:
    """Convert a file, a folder of results, or a pattern of experiments.

    Args:
        source (str or path): The file, folder or pattern to convert; its kind is recognised by its content.
        target (str or path): The file to write; a folder for results in the original's format; a pattern for several
            experiments.
        to (str or None): The program whose format is written, "original" or "lowshot"; None takes the one that the
            source is not of.
        options (Options or None): The settings that the source does not state; ``Options()`` when None.
        force (bool): True to replace a target that exists.

    Returns:
        Converted: A description of the source, and notes on what the target lacks.

    Raises:
        InputError: The source is missing, damaged, foreign or holds what the target has no place for; the target
            exists; or nothing is to be converted. Nothing is written then.
    """
    found = recognise(source)
    to = to or ("original" if found.format == "lowshot" else "lowshot")
    if to == found.format and found.kind not in ("features", "class split"):
        raise InputError(f"{source} has {to}'s format already: there is nothing to convert")
    written = _Target(str(target), force)
    if found.kind not in ("experiments", "results"):
        written.require_free(target)
    try:
        what, notes = _CONVERTERS[found.kind](found, to, options or Options(), written)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from None
    return Converted(what, to, tuple(notes))


_Result = tuple[str, list[str]]


def _checkpoint(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    if to == "lowshot":
        read = checkpoint.parse_checkpoint(found.content, f"checkpoint {found.path}", options.model)
        # The original's number is that of the last epoch, from 0; lowshot's says how many are done.
        epochs = None if read.epoch is None else read.epoch + 1
        save_torch(
            target.path,
            {"epoch": epochs, "state": dict(read.state), "backbone": read.backbone.config, "class_names": None},
        )
        what = f"checkpoint of {read.model} with {read.backbone.num_classes} classes"
        what += "" if epochs is None else f" after {epochs} epochs"
        return what, [*read.notes, "the optimiser's state is not in it, so it serves as it is but cannot train on"]
    backbone = rebuild_backbone(found.content, f"checkpoint {found.path}")
    epochs = found.content.get("epoch")
    if not isinstance(epochs, int):
        raise InputError(f"checkpoint {found.path} does not say how many epochs it has seen")
    checkpoint.write_checkpoint(target.path, backbone, epochs - 1)
    what = f"checkpoint of {backbone.config['name']} with {backbone.num_classes} classes after {epochs} epochs"
    kept = {"epoch", "state", "backbone"}
    lost = sorted(key for key, value in found.content.items() if key not in kept and value is not None)
    notes = [f"left out, for the original has no place for it: {', '.join(lost)}"] if lost else []
    return what, [*notes, "batch counters were left out: the original's torch had none"]


def _generator(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    if to == "lowshot":
        fitted = generator.parse_generator(found.content, f"generator {found.path}")
        fitted.save(target.path)
        notes = ["how it was trained is not in it: its parameters for fitting are the defaults"]
    else:
        loaded = Generator.load(found.path)
        notes = generator.write_generator(target.path, loaded)
        notes += ["left out, for the original has no place for it: parameters of the fit, history, provenance"]
        fitted = loaded
    return f"generator of {len(fitted.counts_)} base classes on {fitted.n_features_in_}-wide features", notes


def _matching_network(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    if to == "lowshot":
        weights = matching_network.parse_weights(found.content, f"matching network {found.path}")
        save_classifier(matching_network.classifier_of(weights, options.query_steps), target.path)
        notes = [f"how often a query reads the support set is not in it: it will {options.query_steps} times"]
        return f"matching network on {weights.dim}-wide features", notes
    network = load_classifier(found.path)
    if not isinstance(network, MatchingNetwork):
        raise InputError(f"{found.path} holds a {type(network).__name__}, which the original does not have")
    matching_network.write_matching_network(target.path, network, options.names)
    what = f"matching network on {network.n_features_in_}-wide features"
    return what, ["left out, for the original has no place for it: the parameters, and a support set if there is one"]


def _features(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    store = features.open_features(found.path)
    notes = features.new_layout(store)
    notes += features.rewrite_features(store, target.path, to)
    return f"features, {len(store)} rows of {store.dim}", notes


def _class_split(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    split = splits.read_split(found.path)
    split.to_json(target.path)
    sizes = f"{len(split.base)} base and {len(split.novel)} novel of {split.num_classes} classes"
    return f"class split of {sizes}", ["both programs have the same file; it was checked and written anew"]


def _experiments(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    store = None if options.features is None else features.open_features(options.features)
    experiments = splits.read_experiments(found.path, store)
    if "{" in target.path:
        target.require_free(*experiment_files.files_to_write(target.path, len(experiments)))
    else:
        target.require_free(target.path)
    splits.write_experiments(target.path, experiments, bare=to == "original")
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


def _results(found: Found, to: Format, options: Options, target: _Target) -> _Result:
    if to == "lowshot":
        runs = results.read_runs(found.path)
        target.require_free(target.path)
        write_records(target.path, results.to_records(runs, options.setup))
        notes = [f"the files do not say whether they are of setup val or test: they were taken as {options.setup!r}"]
    else:
        runs, notes = results.from_records(ResultStore(found.path).records, options.setup)
        if not runs:
            why = f" ({'; '.join(notes)})" if notes else ""
            raise InputError(f"{found.path} holds no result of setup {options.setup!r} for the original{why}")
        target.require_free(*(Path(target.path) / run.file_name for run in runs))
        for run in runs:
            results.write_run(target.path, run)
        notes = [*notes, "left out: all but the six accuracies, and which generator and parameters were used"]
    return f"{len(runs)} results of setup {options.setup!r}", notes


_CONVERTERS: dict[str, Callable[[Found, Format, Options, _Target], _Result]] = {
    "checkpoint": _checkpoint,
    "generator": _generator,
    "matching network": _matching_network,
    "features": _features,
    "class split": _class_split,
    "experiments": _experiments,
    "results": _results,
}
