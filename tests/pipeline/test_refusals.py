"""``validate``, ``run --dry-run`` and ``run`` refuse the same recipes in the same words, and write nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from PIL import Image

from lowshot.cli import run
from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from tests.permissions import read_only
from tests.pipeline.recipes import METHODS, features_files, run_recipe, write_features_recipe, write_image_recipe

Fault = Callable[[Path], Path]


def image_recipe(**sections: Any) -> Fault:
    return lambda folder: write_image_recipe(folder, **sections)


def features_recipe(methods: Any = METHODS, **sections: Any) -> Fault:
    return lambda folder: write_features_recipe(folder, methods, **sections)


def with_plugin(text: str, **sections: Any) -> Fault:
    def write(folder: Path) -> Path:
        (folder / "mine.py").write_text(text)
        return write_features_recipe(folder, plugins=["mine.py"], **sections)

    return write


def photos(spoil: Callable[[Path], Any], **data: Any) -> Fault:
    """A recipe on a folder of images of eight classes, with something wrong in it."""

    def write(folder: Path) -> Path:
        for number, name in enumerate("abcdefgh"):
            for image in range(12):
                path = folder / "photos" / name / f"{image}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (30 * number, 20 * image, 0)).save(path)
        spoil(folder / "photos")
        section = {"dataset": "image_folder", "root": str(folder / "photos"), "options": {"test_per_class": 4}}
        section |= {"preset": "small", "transform": {"image_size": 16}, "workers": 0, **data}
        split = {"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 5}
        return write_image_recipe(folder, data=section, split=split)

    return write


def nan_features(folder: Path) -> Path:
    with h5py.File(features_files(folder / "features")["test"], "r+") as file:
        features = next(data for data in file.values() if data.ndim == 2)
        features[3, 0] = float("nan")
    return write_features_recipe(folder)


def other_split(folder: Path) -> Path:
    """A split file of other classes."""
    groups = {"base_classes_1": [0], "base_classes_2": [1], "novel_classes_1": [2], "novel_classes_2": [300]}
    (folder / "label_idx.json").write_text(json.dumps({"label_names": ["x"] * 400, **groups}))
    return write_features_recipe(folder, split={"file": str(folder / "label_idx.json"), "max_shots": 3})


SHORT = """
import numpy as np
from lowshot.classifiers import LowShotClassifier
from lowshot.registry import CLASSIFIERS

@CLASSIFIERS.register("refused_short", "of the tests of refusals")
class Short(LowShotClassifier):
    def _fit_novel(self, X, codes):
        pass

    def _scores(self, X):
        return np.zeros((len(X), len(self.classes_) - 1))
"""
NO_BIBTEX = """
from lowshot.classifiers import NearestMean
from lowshot.registry import CLASSIFIERS

@CLASSIFIERS.register("refused_bibtex", "of the tests of refusals", bibtex="Doe 2020")
class Cited(NearestMean): ...
"""

FAULTS: dict[str, tuple[Fault, str]] = {
    "an unknown key": (features_recipe(tuning={}), "tuning: unknown key"),
    "a wrong type": (image_recipe(train={"epochs": "ten"}), "train.epochs: input should be a valid integer"),
    "an unknown classifier": (features_recipe({"m": {"classifier": "rigde"}}), "Did you mean 'ridge'"),
    "an unknown parameter": (features_recipe({"m": {"classifier": "ridge", "params": {"l2": 1}}}), "no parameter 'l2'"),
    "an unknown generator": (features_recipe(generators={"g": {"generator": "none"}}), "unknown generator 'none'"),
    "an unknown objective": (image_recipe(train={"objective": ["mixip"]}), "mixup"),
    "an unknown loss": (image_recipe(train={"loss": "sgmm", "loss_weight": 1.0}), "'sgm'"),
    "an unknown backbone": (image_recipe(train={"backbone": "timm:nothere"}), "nothere"),
    "options that a backbone lacks": (
        image_recipe(train={"backbone": "resnet10", "backbone_options": {"stem": "tiny"}}),
        "tiny",
    ),
    "a grid of another parameter": (features_recipe({"m": {"classifier": "ridge", "grid": {"l2": [1]}}}), "'l2'"),
    "a missing plug-in": (features_recipe(plugins=["nothere.py"]), "nothere.py"),
    "a plug-in that cannot be imported": (with_plugin("import no_such_module"), "no_such_module"),
    "a plug-in whose scores have another shape": (
        with_plugin(SHORT, evaluate={"n_shots": [1], "methods": {"m": {"classifier": "refused_short"}}}),
        "evaluate.methods.m.classifier",
    ),
    "a plug-in with broken BibTeX": (with_plugin(NO_BIBTEX), "bibtex of classifier 'refused_bibtex'"),
    "a missing features file": (
        features_recipe(representations={"r": {"features": {"train": "no.hdf5", "test": "nor.hdf5"}}}),
        "no.hdf5 does not exist",
    ),
    "features with NaN": (nan_features, "NaN"),
    "a missing checkpoint": (image_recipe(representations={"r": {"checkpoint": "no.ckpt"}}), "no.ckpt does not exist"),
    "missing images": (
        image_recipe(data={"dataset": "image_folder", "root": "nowhere", "preset": "small"}),
        "nowhere",
    ),
    "no root": (image_recipe(data={"dataset": "auto"}), "data.root is not set"),
    "an unknown preset": (image_recipe(data={"dataset": "glyphs", "preset": "smal"}), "Did you mean 'small'"),
    "an image that cannot be read": (photos(lambda root: (root / "a" / "3.png").write_bytes(b"no")), "3.png"),
    "more classes than there are": (
        image_recipe(split={"base": [4, 4], "novel": [4, 400], "max_shots": 5}),
        "need 412 classes",
    ),
    "a split of other data": (other_split, "label_idx.json"),
    "more shots than images": (
        image_recipe(
            split={"base": [4, 4], "novel": [4, 4], "max_shots": 20}, evaluate={"n_shots": [20], "methods": {"m": {}}}
        ),
        "8 training images, but evaluate.n_shots asks for 20",
    ),
    "several at once": (
        image_recipe(
            representations={"r": {"checkpoint": "no.ckpt"}}, split={"base": [4, 4], "novel": [40, 4], "max_shots": 5}
        ),
        "no.ckpt does not exist",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_all_three_refuse_it_with_the_same_words_and_write_nothing(tmp_path: Path, name: str) -> None:
    write, words = FAULTS[name]
    path = write(tmp_path)
    said = []
    for refuse in (validate_recipe, lambda path: run_recipe(path, dry_run=True), run_recipe):
        with pytest.raises(InputError) as caught:
            refuse(path)
        said.append(str(caught.value))
    assert said[0].startswith(f"recipe {path} has mistakes:\n")
    assert words in said[0]
    assert said[1] == said[0]
    assert said[2] == said[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["split", "evaluate", "report"])
def test_a_dry_run_of_one_stage_refuses_what_the_stage_would_refuse(tmp_path: Path, kind: str) -> None:
    path = write_features_recipe(tmp_path)
    words = []
    for dry_run in (True, False):
        with pytest.raises(InputError) as caught:
            run_recipe(path, ["evaluate.methods.plain.classifier=rigde"], only=kind, dry_run=dry_run)
        words.append(str(caught.value))
    assert words[0] == words[1]
    assert "Did you mean 'ridge'" in words[0]
    if kind != "split":
        words = []
        for dry_run in (True, False):
            with pytest.raises(InputError) as caught:
                run_recipe(path, only=kind, dry_run=dry_run)
            words.append(str(caught.value))
        assert words[0] == words[1]
        assert "is not up to date" in words[0]
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_one_stage_names_that_stage_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_features_recipe(tmp_path)
    run_recipe(path, only="split")
    capsys.readouterr()
    for kind in ("tune", "evaluate"):
        code = run([kind, str(path), "--dry-run"])
        text = capsys.readouterr()
        if kind == "tune":
            assert code == 0
            assert "tune:given/ridge" in text.out
            assert "evaluate" not in text.out
        else:
            assert code == 2
            assert "needs tune:given/ridge" in text.err
    assert not (tmp_path / "out" / "tuned").exists()


def test_a_folder_that_cannot_be_written_is_refused_by_both(tmp_path: Path) -> None:
    path = write_features_recipe(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir()
    for place in (closed / "out", path / "out"):  # a folder without the right, and a file
        words = []
        with read_only(closed):
            for dry_run in (True, False):
                with pytest.raises(InputError, match="cannot be written") as caught:
                    run_recipe(path, output=place, dry_run=dry_run)
                words.append(str(caught.value).rpartition("), but ")[2])
        assert words[0] == words[1]


def test_the_report_of_stores_has_no_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.jsonl").write_text("")
    assert run(["report", str(tmp_path / "results.jsonl"), "--dry-run"]) == 2
    assert "stages of a recipe" in " ".join(capsys.readouterr().err.split())
