"""Features, checkpoints and experiments that a recipe brings: used as they are, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.pipeline import validate_recipe
from tests.pipeline.recipes import extracted, records, run_recipe

Write = Callable[..., Path]


def test_features_made_elsewhere_take_the_place_of_training(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = extracted(tmp_path, "sgm")
    path = write_recipe(representations={"given": {"features": features}}, data={}, train={}, plugins=[], name="given")
    run_recipe(path, output=tmp_path / "given", only="split")
    run_recipe(path, output=tmp_path / "given", only="evaluate")
    ours = [r["all_top5"] for r in records(tmp_path / "out") if r["representation"] == "sgm" and r["setup"] == "test"]
    theirs = [r["all_top5"] for r in records(tmp_path / "given") if r["setup"] == "test"]
    assert ours == theirs


def test_a_checkpoint_takes_the_place_of_training(finished: Path, write_recipe: Write, tmp_path: Path) -> None:
    checkpoint = tmp_path / "out" / "representations" / "sgm" / "checkpoints" / "epoch_002.ckpt"
    path = write_recipe(representations={"given": {"checkpoint": str(checkpoint)}})
    run_recipe(path, output=tmp_path / "given", only="extract")
    ours = FeatureStore.open(tmp_path / "out" / "features" / "sgm" / "test.hdf5").features
    theirs = FeatureStore.open(tmp_path / "given" / "features" / "given" / "test.hdf5").features
    assert (ours == theirs).all()


def test_experiments_of_other_data_are_refused(finished: Path, write_recipe: Write, tmp_path: Path) -> None:
    pattern = str(tmp_path / "out" / "split" / "splitfile_{:d}.json")
    other = {"experiments": 2, "max_shots": 5, "base": [4, 4], "novel": [4, 4], "experiment_files": pattern}
    data = {"dataset": "glyphs", "options": {"classes": 16, "train_per_class": 9, "image_size": 16}, "preset": "small"}
    path = write_recipe(split=other, data=data)
    with pytest.raises(InputError, match=r"experiments were made for other data|images were in another order"):
        run_recipe(path, output=tmp_path / "other")


def test_a_checkpoint_of_another_architecture_is_refused(finished: Path, write_recipe: Write, tmp_path: Path) -> None:
    checkpoint = tmp_path / "out" / "representations" / "sgm" / "checkpoints" / "epoch_002.ckpt"
    path = write_recipe(representations={"given": {"checkpoint": str(checkpoint)}}, train={"backbone": "resnet18"})
    message = "'resnet18' in the recipe, but 'pipeline_tiny' in the checkpoint"
    with pytest.raises(InputError, match=message):
        validate_recipe(path)
    with pytest.raises(InputError, match=message):
        run_recipe(path, output=tmp_path / "given")
    assert not (tmp_path / "given" / "features").exists()


def test_features_with_nan_are_refused_and_nothing_is_measured(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    features = extracted(tmp_path, "sgm")
    with h5py.File(features["test"], "r+") as file:
        file["all_feats"][5, 3] = np.nan
    path = write_recipe(representations={"given": {"features": features}}, name="given")
    for call in (lambda: validate_recipe(path), lambda: run_recipe(path, output=tmp_path / "given")):
        with pytest.raises(InputError, match=r"test\.hdf5.*row 5"):
            call()
    assert not (tmp_path / "given" / "results").exists()
