"""Advice in refusals that no other test follows: what it says to do leads on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lowshot.benchmark.parameter_grid import Tuning
from lowshot.data.sets import glyphs
from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from tests.data.conftest import write_tree
from tests.pipeline.recipes import IMAGES, run_recipe, write_features_recipe, write_image_recipe


def test_a_test_folder_and_a_holdout(tmp_path: Path) -> None:
    classes = [f"{part}/class{c:02d}" for part in ("train", "test") for c in range(16)]
    write_tree(tmp_path / "photos", [f"{name}/{number}.png" for name in classes for number in range(8)])
    data = {"dataset": "auto", "root": str(tmp_path / "photos"), "options": {"test_per_class": 2}, "preset": "small"}
    recipe = write_image_recipe(tmp_path, data={**IMAGES["data"], **data})
    with pytest.raises(InputError, match="has a test folder already") as refused:
        validate_recipe(recipe)
    advice = re.search(r"data\.options\.test_per_class=null", str(refused.value))
    assert advice is not None
    assert "sound" in validate_recipe(recipe, [advice[0]])


def test_more_glyphs_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "MOST_BYTES", 16 * 6 * 16 * 16 * 3)
    recipe = write_image_recipe(tmp_path)
    with pytest.raises(InputError, match="are allowed") as refused:
        validate_recipe(recipe)
    advice = re.search(r"data\.options\.train_per_class=\d+", str(refused.value))
    assert advice is not None
    assert "sound" in validate_recipe(recipe, [advice[0]])


def test_a_loss_weight_without_a_loss(tmp_path: Path) -> None:
    recipe = write_image_recipe(tmp_path, representations={"net": {}})
    with pytest.raises(InputError, match="loss: null for a baseline"):
        validate_recipe(recipe, ["train.loss=sgm", "train.loss_weight=0"])
    assert "sound" in validate_recipe(recipe, ["train.loss=null"])
    assert "sound" in validate_recipe(recipe, ["train.loss=sgm", "train.loss_weight=0.1"])


def test_damaged_choices_are_made_again_by_force(tmp_path: Path) -> None:
    recipe = write_features_recipe(tmp_path)
    run_recipe(recipe, only="split")
    run_recipe(recipe, only="tune")
    path = tmp_path / "out" / "tuned" / "given" / "ridge.json"
    before = Tuning.read(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="tune again, with --force"):
        Tuning.read(path)
    run_recipe(recipe, only="tune", force=True)
    assert Tuning.read(path) == before
