"""Recognises the kind of a file by its content; most names and suffixes are the user's choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowshot.compat.formats import checkpoint, features, generator, matching_network, results
from lowshot.compat.formats.features import Format
from lowshot.data import experiment_files
from lowshot.errors import InputError
from lowshot.estimator_files import estimator_kind
from lowshot.files import Pathlike, is_file, is_folder, read_json
from lowshot.torch_files import load_torch

_HDF5 = b"\x89HDF\r\n\x1a\n"
_READABLE = (
    "checkpoints, generators, matching networks, features (HDF5), class splits, experiments, and results (a folder of "
    "the original's files, or a .jsonl)"
)


@dataclass(frozen=True)
class Found:
    """A source that was recognised.

    Attributes:
        path (str): The path or pattern, as it was given.
        kind (str): "checkpoint", "generator", "matching network", "features", "class split", "experiments" or
            "results".
        format (str): The program whose format it has, "original" or "lowshot".
        content (object): The loaded content of a file that torch wrote; None for other files.
    """

    path: str
    kind: str
    format: Format
    content: Any = None


def recognise(source: Pathlike) -> Found:
    """Recognise the kind and the format of a source.

    Args:
        source (str or path): A file, a folder of results, or a pattern of experiments such as
            ``splitfile_{:d}.json``.

    Raises:
        InputError: It does not exist, is damaged, or is nothing that lowshot converts.
    """
    text, path = str(source), Path(source)
    if "{" in text:
        return Found(text, "experiments", _experiment_format(experiment_files.files_to_read(text, None)[0]))
    if is_folder(path):
        return Found(text, "results", _results_format(path))
    if not is_file(path):
        raise InputError(f"{path} does not exist")
    with open(path, "rb") as file:
        head = file.read(9)
    if head.startswith(_HDF5):
        added = features.additions(features.open_features(path))
        return Found(text, "features", "lowshot" if added else "original")
    if path.suffix == ".jsonl":
        return Found(text, "results", "lowshot")
    if head[8:] == b"{":
        return _safetensors(path)
    if head.lstrip()[:1] in (b"{", b"["):
        return _json(path)
    return _torch(path)


def _torch(path: Path) -> Found:
    content = load_torch(path, "file")
    if isinstance(content, Mapping) and {"state", "backbone"} <= content.keys():
        return Found(str(path), "checkpoint", "lowshot", content)
    if checkpoint.is_checkpoint(content):
        return Found(str(path), "checkpoint", "original", content)
    if generator.is_generator(content):
        return Found(str(path), "generator", "original", content)
    if matching_network.is_matching_network(content):
        return Found(str(path), "matching network", "original", content)
    holds = f"holds {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else "is no dictionary"
    raise _unknown(path, f"torch wrote it, but it {holds}")


def _safetensors(path: Path) -> Found:
    if (kind := estimator_kind(path)) is None:
        raise _unknown(path, "it is a safetensors file that lowshot did not write")
    return Found(str(path), "matching network" if kind == "classifier" else kind, "lowshot")


def _json(path: Path) -> Found:
    value = read_json(path)
    if isinstance(value, dict) and "base_classes_1" in value:
        return Found(str(path), "class split", "original")
    if isinstance(value, list) or (isinstance(value, dict) and "shots" in value):
        return Found(str(path), "experiments", _experiment_format(path))
    if isinstance(value, dict) and "accs" in value:
        raise InputError(f"{path} is one result of the original: give the folder that holds all of them")
    raise _unknown(path, "it is JSON of another kind")


def _experiment_format(path: Path) -> Format:
    draw = experiment_files.read_draw(path)
    return "lowshot" if draw.paths is not None or draw.class_names is not None else "original"


def _results_format(folder: Path) -> Format:
    if results.result_files(folder):
        return "original"
    if is_file(folder / "results.jsonl"):
        return "lowshot"
    raise InputError(f"folder {folder} holds no results: neither files of the original's names nor results.jsonl")


def _unknown(path: Path, why: str) -> InputError:
    return InputError(f"{path} is nothing that lowshot converts: {why}. It converts {_READABLE}")
