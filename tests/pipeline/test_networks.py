"""Representations that share one training: `network` takes another's, `views` sets how its images are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import due, records, run_recipe, write_image_recipe

EVALUATE = {"n_shots": [1, 5], "methods": {"mean": {"classifier": "nearest_mean"}}}


def representations(**crops: Any) -> dict[str, Any]:
    return {"plain": {"seeds": 2}, "crops": {"network": "plain", "views": "ten_crop", "seeds": 2, **crops}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    run_recipe(write_image_recipe(folder, representations=representations(), evaluate=EVALUATE))
    return folder


def features(run: Path, name: str) -> np.ndarray:
    with h5py.File(run / "out" / "features" / name / "test.hdf5") as file:
        return np.asarray(file["all_feats"])


def test_one_training_is_measured_with_two_kinds_of_views(run: Path) -> None:
    assert sorted(one.name for one in (run / "out" / "representations").iterdir()) == ["plain", "plain@2"]
    for number in ("", "@2"):
        plain, crops = features(run, f"plain{number}"), features(run, f"crops{number}")
        assert plain.shape == crops.shape
        assert not np.allclose(plain, crops)
        assert np.corrcoef(plain.ravel(), crops.ravel())[0, 1] > 0.5  # of one network, and of the same images
    assert np.corrcoef(features(run, "plain").ravel(), features(run, "plain@2").ravel())[0, 1] < 0.5
    assert {r["representation"] for r in records(run / "out")} == {"plain", "crops"}


def test_views_extract_again_and_train_nothing(run: Path) -> None:
    path = write_image_recipe(run, representations=representations(views="flip"), evaluate=EVALUATE)
    stages = due(path)
    assert [one for one in stages if one.startswith(("train", "extract"))] == ["extract:crops", "extract:crops@2"]
    write_image_recipe(run, representations=representations(), evaluate=EVALUATE)
    assert due(path) == []


def test_a_changed_training_is_extracted_again_wherever_it_is_used(run: Path) -> None:
    changed = representations()
    changed["plain"]["train"] = {"lr": 0.011}
    path = write_image_recipe(run, representations=changed, evaluate=EVALUATE)
    again = {one.partition(":")[2] for one in due(path) if one.startswith("extract")}
    assert again == {"plain", "plain@2", "crops", "crops@2"}
    write_image_recipe(run, representations=representations(), evaluate=EVALUATE)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"sgm": {}, "b": {"network": "smg"}}, r"b.network: 'smg' is no representation. Did you mean 'sgm'"),
        ({"a": {"network": "a"}}, "representations.a.network: a is not trained by this recipe"),
        ({"a": {}, "b": {"network": "a"}, "c": {"network": "b"}}, "c.network: b is not trained by this recipe"),
        ({"a": {"seeds": 2}, "b": {"network": "a", "seeds": 3}}, "set representations.a.seeds=3"),
        ({"a": {}, "b": {"network": "a", "train": {"epochs": 2}}}, "give one of train, .* not train and network"),
        ({"a": {"features": {"train": "x.hdf5", "test": "y.hdf5"}, "views": "flip"}}, "leave preset, transform and"),
    ],
)
def test_networks_that_are_not_trained_here_are_refused(tmp_path: Path, sections: dict, words: str) -> None:
    path = write_image_recipe(tmp_path, representations=sections, evaluate=EVALUATE)
    with pytest.raises(InputError, match=words):
        validate_recipe(path)


def test_keys_that_say_nothing_leave_the_fingerprint_of_a_recipe(tmp_path: Path) -> None:
    plain = load_recipe(write_image_recipe(tmp_path, representations={"a": {}}, evaluate=EVALUATE)).fingerprint
    written = {"a": {"views": None, "network": None, "seeds": 1}}
    assert load_recipe(write_image_recipe(tmp_path, representations=written, evaluate=EVALUATE)).fingerprint == plain
