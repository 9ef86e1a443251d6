"""Features, checkpoints and experiments that a recipe brings: used as they are, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest

from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.hallucination import AnalogyGenerator
from lowshot.pipeline import validate_recipe
from lowshot.torch_files import load_torch, save_torch
from tests.pipeline.recipes import extracted, features_files, records, run_recipe, write_features_recipe

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


def renamed(source: str, target: Path, names: str) -> str:
    """A copy of a features file that names its classes."""
    store = FeatureStore.open(source)
    with FeatureStore.create(target, store.dim, len(store), class_names=list(names)) as out:
        out.append(store.features, store.labels, store.paths)
    return str(target)


def test_train_and_test_features_of_other_classes_are_refused(tmp_path: Path) -> None:
    files = features_files(tmp_path / "features", class_names=False)
    names = {"train": "abdefghi", "test": "abcdefgi"}
    given = {part: renamed(file, tmp_path / f"{part}.h5", names[part]) for part, file in files.items()}
    path = write_features_recipe(tmp_path, representations={"given": {"features": given}})
    for call in (validate_recipe, run_recipe):
        with pytest.raises(
            InputError, match=r"have different classes: 'h' is only in .*train\.h5; 'c' is only in .*test"
        ):
            call(path)
    assert not (tmp_path / "out" / "split" / "label_idx.json").exists()


def test_features_of_two_representations_with_other_classes_are_refused(tmp_path: Path) -> None:
    files = features_files(tmp_path / "features", class_names=False)
    one, two = (
        {part: renamed(file, tmp_path / f"{part}{names}.h5", names) for part, file in files.items()}
        for names in ("abcdefgh", "abcdefhg")
    )
    path = write_features_recipe(tmp_path, representations={"one": {"features": one}, "two": {"features": two}})
    for call in (validate_recipe, run_recipe):
        with pytest.raises(InputError, match=r"label 6 is 'g' in .*trainabcdefgh\.h5 but 'h' in .*trainabcdefhg\.h5"):
            call(path)


def test_features_of_other_classes_than_the_images_are_refused(
    finished: Path, write_recipe: Write, tmp_path: Path
) -> None:
    files = extracted(tmp_path, "sgm")
    names = "abcdefghijklmnop"
    given = {part: renamed(file, tmp_path / f"{part}.h5", names) for part, file in files.items()}
    path = write_recipe(representations={"trained": {}, "given": {"features": given}})
    with pytest.raises(InputError, match=r"glyphs and .*train\.h5 have different classes"):
        validate_recipe(path)


def test_experiment_files_of_other_classes_are_refused(tmp_path: Path) -> None:
    path = write_features_recipe(tmp_path)
    run_recipe(path, only="split")
    (tmp_path / "out" / "split").rename(tmp_path / "given")
    for file in (tmp_path / "given").glob("splitfile_*.json"):
        file.write_text(file.read_text().replace('"class 3"', '"a third class"'))
    changes = [f"split.experiment_files={tmp_path / 'given' / 'splitfile_{:d}.json'}"]
    for call in (validate_recipe, run_recipe):
        with pytest.raises(
            InputError, match=r"splitfile_\{:d\}\.json and the data have different .* 'a third class' is only"
        ):
            call(path, changes)


@pytest.mark.parametrize("other", [False, True])
def test_the_classifier_of_a_checkpoint_of_other_classes_is_left_aside(
    finished: Path, write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: bool
) -> None:
    checkpoint = tmp_path / "out" / "representations" / "sgm" / "checkpoints" / "epoch_002.ckpt"
    content = load_torch(checkpoint)
    if other:
        save_torch(checkpoint, {**content, "class_names": content["class_names"][::-1]})
    path = write_recipe(
        representations={"given": {"checkpoint": str(checkpoint)}},
        generators={"analogies": {"generator": "analogies", "params": {"n_clusters": 3, "n_steps": 20}}},
        evaluate={
            "n_shots": [1],
            "methods": {"m": {"classifier": "ridge", "generator": "analogies", "n_per_class": 3}},
        },
    )
    with mock.patch.object(AnalogyGenerator, "fit", autospec=True, side_effect=KeyboardInterrupt) as fit:
        for kind in ("split", "extract"):
            run_recipe(path, output=tmp_path / "given", only=kind)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(path, output=tmp_path / "given", only="fit-generator")
    [call] = fit.mock_calls
    assert (call.args[3] is None) == other
    assert ("was trained on other classes" in capsys.readouterr().err) == other
