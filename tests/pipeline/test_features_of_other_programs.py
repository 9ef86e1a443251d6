"""A recipe that brings arrays of other programs measures what it measures on the same features in files of lowshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import validate_recipe
from tests.pipeline.recipes import due, features_files, records, run_recipe, write_features_recipe

ACCURACIES = ("setup", "method", "n_shots", "experiment", "all_top1", "novel_top1", "base_top1")


def arrays(folder: Path, kind: str) -> dict[str, dict[str, str]]:
    """The features of :func:`features_files` as arrays, as a recipe names them."""
    folder.mkdir(exist_ok=True)
    given: dict[str, dict[str, str]] = {}
    for part, file in features_files(folder, class_names=False).items():
        store = FeatureStore.open(file)
        if kind == "npy":
            np.save(folder / f"{part}_x.npy", store.features)
            np.save(folder / f"{part}_y.npy", store.labels)
            given[part] = {"features": str(folder / f"{part}_x.npy"), "labels": str(folder / f"{part}_y.npy")}
        else:
            np.savez_compressed(folder / f"{part}.npz", x=store.features, y=store.labels)
            given[part] = {"features": f"{folder / part}.npz:x", "labels": f"{folder / part}.npz:y"}
    return given


def accuracies(output: Path) -> list[dict[str, Any]]:
    return [{key: record.get(key) for key in ACCURACIES} for record in records(output)]


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays_give_the_accuracies_of_features_files(tmp_path: Path, kind: str) -> None:
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    for folder in (own, theirs):
        folder.mkdir()
    files = features_files(tmp_path / "features", class_names=False)
    run_recipe(write_features_recipe(own, representations={"given": {"features": files}}))
    path = write_features_recipe(theirs, representations={"given": {"features": arrays(tmp_path / "features", kind)}})
    assert "is sound" in validate_recipe(path)
    run_recipe(path)  # tunes, fits a generator and evaluates, in workers too
    assert accuracies(theirs / "out") == accuracies(own / "out") != []
    assert due(path) == []
    again = arrays(tmp_path / "features", kind)
    store = FeatureStore.open(features_files(tmp_path / "features", class_names=False)["test"])
    changed = store.features + 1
    if kind == "npy":
        np.save(again["test"]["features"], changed)
    else:
        np.savez_compressed(tmp_path / "features" / "test.npz", x=changed, y=store.labels)
    assert {key.partition(":")[0] for key in due(path)} >= {"tune", "evaluate"}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"features": "x.npy"}, r"features\.train.*labels: is missing"),
        ({"features": "x.npy", "labels": "y.npy", "paths": "p"}, r"features\.train.*paths: unknown key"),
        ({"features": "none.npy", "labels": "y.npy"}, r"features file .*none\.npy does not exist"),
        ([3], r"features\.train.*expected a path, got"),
    ],
)
def test_arrays_that_are_not_named_rightly_are_refused(tmp_path: Path, train: Any, message: str) -> None:
    given = {**arrays(tmp_path / "features", "npy"), "train": train}
    path = write_features_recipe(tmp_path, representations={"given": {"features": given}})
    with pytest.raises(InputError, match=message):
        validate_recipe(path)


def test_an_array_in_place_of_a_features_file_is_answered_with_how_to_name_it(tmp_path: Path) -> None:
    given = arrays(tmp_path / "features", "npz")
    bare = {part: spec["features"].partition(":")[0] for part, spec in given.items()}
    path = write_features_recipe(tmp_path, representations={"given": {"features": bare}})
    with pytest.raises(InputError, match=r"is not HDF5; arrays .* \{features: FILE, labels: FILE\}"):
        validate_recipe(path)
    advised = {part: {"features": f"{file}:x", "labels": f"{file}:y"} for part, file in bare.items()}
    path = write_features_recipe(tmp_path, representations={"given": {"features": advised}})
    assert "is sound" in validate_recipe(path)
