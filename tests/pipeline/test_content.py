"""What a stage depends on is content: other content makes it run, another name or place does not."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import yaml
from PIL import Image

from lowshot.benchmark.task import Task
from lowshot.cli import run
from lowshot.data import Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import read_json
from tests.pipeline.recipes import IMAGES, due_but_report, run_recipe, write_features_recipe, write_image_recipe

METHODS = {"plain": {"classifier": "nearest_mean"}, "ridge": {"classifier": "ridge"}}
EPISODES = {"n_way": 2, "n_shots": [1], "n_query": 4, "n_tasks": 3}
KINDS = ("split", "evaluate", "episodes")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of given features with image paths, finished up to the report."""
    path = write_features_recipe(tmp_path, METHODS, episodes=EPISODES)
    for part in ("train", "test"):
        rewritten(tmp_path / "features" / f"{part}.hdf5", lambda rows: rows, with_paths=True)
    for kind in KINDS:
        run_recipe(path, only=kind)
    return path


def rewritten(
    file: Path, order: Callable[[np.ndarray], np.ndarray], with_paths: bool, scale: float = 1, **attributes: str
) -> None:
    """Extract a features file again: its rows in another order, or some of them twice."""
    store = FeatureStore.open(file)
    paths = store.paths or [f"{row}.png" for row in range(len(store))]
    rows = order(np.arange(len(store)))
    features, labels, names = scale * np.array(store.features), store.labels, store.class_names
    with FeatureStore.create(file, store.dim, len(rows), class_names=names, **attributes) as out:
        out.append(features[rows], labels[rows], [paths[row] for row in rows] if with_paths else None)


def records(out: Path) -> list[dict[str, Any]]:
    lines = [yaml.safe_load(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [{key: r[key] for key in ("setup", "method", "n_shots", "experiment", "all_top1", "shots")} for r in lines]


@pytest.mark.parametrize("with_paths", [True, False])
@pytest.mark.parametrize("how", ["another order", "rows twice"])
def test_features_extracted_again_in_other_rows_get_new_experiments(
    recipe: Path, tmp_path: Path, with_paths: bool, how: str
) -> None:
    order = {
        "another order": lambda rows: np.random.default_rng(5).permutation(rows),
        "rows twice": lambda rows: np.repeat(rows, 2),
    }[how]
    rewritten(tmp_path / "features" / "train.hdf5", order, with_paths)
    assert {"split", "evaluate:given/ridge", "episodes:given/plain"} <= due_but_report(recipe)
    for kind in KINDS:
        run_recipe(recipe, only=kind)
    store = FeatureStore.open(tmp_path / "features" / "train.hdf5")
    Experiments.from_files(str(tmp_path / "out" / "split" / "splitfile_{:d}.json"), 2).check(store.labels, store.paths)
    fresh = tmp_path / "fresh"
    for kind in KINDS:
        run_recipe(recipe, only=kind, output=fresh)
    assert records(tmp_path / "out") == records(fresh)
    assert not due_but_report(recipe)


def test_a_forced_run_draws_again_as_well(recipe: Path, tmp_path: Path) -> None:
    rewritten(tmp_path / "features" / "train.hdf5", lambda rows: rows[::-1], with_paths=True)
    stage = "lowshot.pipeline.stages.report"
    with mock.patch.multiple(stage, _write=lambda inputs, *_: inputs.outputs.report.touch(), _report=mock.MagicMock()):
        (tmp_path / "out" / "report").mkdir()
        run_recipe(recipe, force=True)


def test_features_of_other_values_in_the_same_rows_keep_their_experiments(recipe: Path, tmp_path: Path) -> None:
    rewritten(tmp_path / "features" / "train.hdf5", lambda rows: rows, with_paths=True, scale=2)
    found = due_but_report(recipe)
    assert "split" not in found
    assert {"evaluate:given/ridge", "evaluate:given/plain"} <= found


def test_a_path_that_is_spelled_otherwise_and_a_moved_file_change_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = yaml.safe_load(recipe.read_text())
    shutil.copytree(tmp_path / "features", tmp_path / "elsewhere")
    for folder in ("features", "./features/../features", "elsewhere", str(tmp_path / "elsewhere")):
        tree["representations"]["given"]["features"] = {p: f"{folder}/{p}.hdf5" for p in ("train", "test")}
        recipe.write_text(yaml.safe_dump(tree))
        assert not due_but_report(recipe)
    with mock.patch.object(Task, "run", side_effect=AssertionError("nothing is left to measure")):
        run_recipe(recipe, only="evaluate")


def test_given_split_files_count_by_content(recipe: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "out" / "split", tmp_path / "given")
    tree = yaml.safe_load(recipe.read_text())
    tree["split"] |= {
        "file": str(tmp_path / "given" / "label_idx.json"),
        "experiment_files": str(tmp_path / "given" / "splitfile_{:d}.json"),
    }
    recipe.write_text(yaml.safe_dump(tree))
    run_recipe(recipe, only="split")
    run_recipe(recipe, only="evaluate")
    (tmp_path / "given").rename(tmp_path / "moved")
    recipe.write_text(recipe.read_text().replace(f"{tmp_path}/given", f"{tmp_path}/moved"))
    assert not due_but_report(recipe) & {"split", "evaluate:given/ridge"}
    one, two = (tmp_path / "moved" / f"splitfile_{number}.json" for number in (1, 2))
    shutil.copy(two, one)
    assert {"split", "evaluate:given/ridge"} <= due_but_report(recipe)


def test_experiment_files_of_other_rows_are_refused_and_the_advice_helps(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tmp_path / "out" / "split", tmp_path / "given")
    pattern = f"split.experiment_files={tmp_path}/given/splitfile_{{:d}}.json"
    rewritten(tmp_path / "features" / "train.hdf5", lambda rows: rows[::-1], with_paths=True)
    assert run(["split", str(recipe), pattern]) == 2
    said = capsys.readouterr().err
    advice = said.split("or draw new experiments with ")[1].strip()
    assert run(["split", str(recipe), pattern, advice]) == 0


def test_two_given_features_of_other_rows_are_refused_and_the_advice_helps(recipe: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "features", tmp_path / "more")
    tree = yaml.safe_load(recipe.read_text())
    tree["representations"]["more"] = {"features": {p: str(tmp_path / "more" / f"{p}.hdf5") for p in ("train", "test")}}
    recipe.write_text(yaml.safe_dump(tree))
    for kind in KINDS:
        run_recipe(recipe, only=kind)
    rewritten(tmp_path / "more" / "train.hdf5", lambda rows: rows[::-1], with_paths=True)
    assert "split" in due_but_report(recipe)
    for kind in ("split", "evaluate"):
        with pytest.raises(InputError, match=r"more/train\.hdf5: .*extract them from the same list of images"):
            run_recipe(recipe, only=kind)
    rewritten(tmp_path / "more" / "train.hdf5", lambda rows: rows[::-1], with_paths=True)
    for kind in KINDS:
        run_recipe(recipe, only=kind)


def photos(folder: Path, brightness: int = 0, extension: str = "bmp") -> None:
    """Eight classes of uncompressed images, which are of equal size whatever they show."""
    for name in "abcdefgh":
        for number in range(8):
            place = folder / name / f"{number}.{extension}"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (ord(name), 25 * number, brightness)).save(place)


def image_recipe(folder: Path, root: str, **data: Any) -> Path:
    return write_image_recipe(
        folder,
        data={**IMAGES["data"], "dataset": "auto", "root": root, "options": {"test_per_class": 2}, **data},
        split={"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 3},
        evaluate={"n_shots": [1], "methods": {"plain": {"classifier": "nearest_mean"}}},
        representations={"net": {}},
    )


def test_pictures_replaced_by_others_of_equal_size_are_other_pictures(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    path = image_recipe(tmp_path, str(tmp_path / "photos"))
    for kind in ("split", "train", "extract"):
        run_recipe(path, only=kind)
    assert not due_but_report(path) & {"split", "train:net", "extract:net"}
    sizes = [file.stat().st_size for file in (tmp_path / "photos").rglob("*.bmp")]
    photos(tmp_path / "photos", brightness=200)
    assert sizes == [file.stat().st_size for file in (tmp_path / "photos").rglob("*.bmp")]
    assert {"split", "train:net", "extract:net"} <= due_but_report(path)
    before = (tmp_path / "out/features/net/train.hdf5").read_bytes()
    for kind in ("split", "train", "extract"):
        run_recipe(path, only=kind)
    assert (tmp_path / "out/features/net/train.hdf5").read_bytes() != before


def test_a_folder_of_pictures_may_move_be_zipped_and_be_named_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", extension="png")
    run_recipe(image_recipe(tmp_path, "photos"), only="split")
    (tmp_path / "photos").rename(tmp_path / "moved")
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "moved")
    for root in ("moved", "./moved", str(tmp_path / "moved"), "zipped.zip"):
        assert "split" not in due_but_report(image_recipe(tmp_path, root))
    for file in (tmp_path / "moved").rglob("*.png"):
        os.utime(file)
    assert "split" not in due_but_report(image_recipe(tmp_path, "moved"))


def test_pictures_of_a_json_list_count_by_content(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    for part, numbers in (("train", range(6)), ("test", range(6, 8))):
        names = [f"{name}/{number}.bmp" for name in "abcdefgh" for number in numbers]
        labels = ["abcdefgh".index(name[0]) for name in names]
        (tmp_path / "photos" / f"{part}.json").write_text(json.dumps({"image_names": names, "image_labels": labels}))
    path = image_recipe(tmp_path, str(tmp_path / "photos"), options={})
    run_recipe(path, only="split")
    assert "split" not in due_but_report(path)
    photos(tmp_path / "photos", brightness=9)
    assert "split" in due_but_report(path)


LOSS = """
    def loss(features, scores, labels, classifier_weight):
        return {weight} * features.square().mean()
"""


@pytest.mark.parametrize("kind", ["plug-in", "file"])
def test_a_loss_that_was_edited_is_trained_with(tmp_path: Path, kind: str) -> None:
    """And one that was only moved is not."""
    photos(tmp_path / "photos")
    path = image_recipe(tmp_path, str(tmp_path / "photos"))
    loss = tmp_path / "my_loss.py"
    tree = yaml.safe_load(path.read_text())
    text = textwrap.dedent(LOSS)
    if kind == "file":
        tree["representations"]["net"]["train"] = {"loss": f"file:{loss}", "loss_weight": 1.0}
    else:
        tree["representations"]["net"]["train"] = {"loss": "mine", "loss_weight": 1.0}
        tree["plugins"].append("my_loss.py")
        text = textwrap.dedent("""
            from lowshot.registry import LOSSES
            from lowshot.representation.losses import AuxiliaryLoss

            @LOSSES.register("mine", "for this test")
            class Mine(AuxiliaryLoss):
                def formula(self, features, scores, labels, classifier_weight):
                    return {weight} * features.square().mean()
        """)
    path.write_text(yaml.safe_dump(tree))

    def network(weight: float) -> bytes:
        loss.write_text(text.replace("{weight}", str(weight)))
        for kind in ("split", "train"):
            run_recipe(path, only=kind)
        return (tmp_path / "out/representations/net/checkpoints/epoch_002.ckpt").read_bytes()

    first, second = network(1.0), network(5.0)
    assert first != second
    if kind == "file":
        moved = loss.rename(tmp_path / "moved_loss.py")
        path.write_text(path.read_text().replace(str(loss), str(moved)))
        assert "train:net" not in due_but_report(path)


def test_a_fitted_part_that_a_method_names_counts_by_content(recipe: Path, tmp_path: Path) -> None:
    classifier = {"classifier": "matching_network", "params": {"n_episodes": 1, "n_way": 2}}
    path = write_features_recipe(tmp_path, {"mn": classifier})
    for kind in ("split", "fit-classifier"):
        run_recipe(path, only=kind)
    [fitted] = (tmp_path / "out" / "classifiers").rglob("*.safetensors")
    shutil.copy(fitted, tmp_path / "mine.safetensors")
    named = {"classifier": "matching_network", "params": {"pretrained": str(tmp_path / "mine.safetensors")}}
    run_recipe(write_features_recipe(tmp_path, {"mn": named}), only="evaluate")
    (tmp_path / "mine.safetensors").rename(tmp_path / "other.safetensors")
    named["params"]["pretrained"] = str(tmp_path / "other.safetensors")  # type: ignore[index]
    assert "evaluate:given/mn" not in due_but_report(write_features_recipe(tmp_path, {"mn": named}))
    assert read_json(tmp_path / "out/state/evaluate/given/mn.json")["inputs"]["params"]["pretrained"].startswith(
        "file "
    )
