"""``label_idx.json`` and ``splitfile_N.json``: the original's split and experiments, read, checked, and written back.

A class split is the same file in both programs. An experiment of the original is a bare list of lists of row numbers,
right only for images in one order; lowshot's says which images those rows are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lowshot.data import ClassSplit, Experiments, experiment_files
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import Pathlike, read_json


def read_split(path: Pathlike) -> ClassSplit:
    """Read ``label_idx.json``; errors as :meth:`ClassSplit.from_json`."""
    return ClassSplit.from_json(Path(path))


def base_classes(path: Pathlike) -> np.ndarray:
    """Read all base classes of ``label_idx.json``, (B,) int64, in the order of its list ``base_classes``.

    Without the list they are those of the two setups, in ascending order. Errors as :meth:`ClassSplit.from_json`.
    """
    split = read_split(path)
    listed = read_json(path, "class split").get("base_classes")
    return split.base if listed is None else np.array(listed, np.int64)


def read_experiments(path: Pathlike, features: FeatureStore | None = None) -> Experiments:
    """Read experiments of either format.

    Args:
        path (str or path): A pattern such as ``splitfile_{:d}.json``, for all that there are, or a single file.
        features (FeatureStore or None): The train features whose rows the experiments list. Labels, and paths where
            both have them, must agree; paths and class names that the file does not hold are taken from here.

    Raises:
        InputError: A file is missing or no experiment, or its rows have other labels or images than it says.
    """
    if "{" in str(path):
        found = Experiments.from_files(str(path))
    else:
        draw = experiment_files.read_draw(Path(path))
        try:
            found = Experiments([draw.rows], None if draw.paths is None else [draw.paths], draw.class_names)
        except InputError as error:
            raise InputError(f"experiment {path}: {error}") from None
    if features is None:
        return found
    try:
        paths, names = found.paths, found.class_names
        if names is None and len(features.class_names or []) == found.num_classes:
            names = features.class_names
        named = Experiments(found.rows, paths, names)
        named.check(features.labels, features.paths)
        if paths is not None or (known := features.paths) is None:
            return named
        paths = [[[known[row] for row in rows] for rows in draw] for draw in found.rows]
        return Experiments(found.rows, paths, names)
    except InputError as error:
        raise InputError(f"experiments {path} do not fit {features.path}: {error}") from None


def write_experiments(path: Pathlike, experiments: Experiments, bare: bool) -> list[Path]:
    """Write experiments to a pattern, or a single one to a file; ``bare`` is the original's format.

    Raises:
        InputError: Several experiments and no place for their number, or files with higher numbers are there.
    """
    if "{" in str(path):
        return experiments.write(str(path), bare=bare)
    if len(experiments) != 1:
        raise InputError(
            f"{len(experiments)} experiments need a pattern with a place for their number, such as "
            f"splitfile_{{:d}}.json, not {path}"
        )
    paths = None if experiments.paths is None else experiments.paths[0]
    rows = [shots.tolist() for shots in experiments.rows[0]]
    experiment_files.write_draw(Path(path), experiment_files.Draw(rows, paths, experiments.class_names), bare)
    return [Path(path)]
