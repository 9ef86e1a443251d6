"""A calibration bias that is 0 whatever happens is said, once, with the cause and a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowshot.pipeline.bias_note import zero_bias_note
from lowshot.recipe.method_sections import EvaluateSection
from tests.pipeline.recipes import run_recipe, write_features_recipe

METHODS = {"plain": {"classifier": "nearest_mean"}, "ridge": {"classifier": "ridge"}}
TOP5 = EvaluateSection(prior_target="all_top5")


def record(method: str, prior: float | None, setup: str = "val", base: int = 3, novel: int = 1) -> dict[str, Any]:
    data = {"base": base, "novel": novel}
    return {"representation": "r", "method": method, "setup": setup, "prior": prior, "data": data}


def test_one_novel_class_on_val_is_said_once_with_a_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"base": [3, 1], "novel": [1, 3], "experiments": 2, "max_shots": 3}
    evaluate = {"n_shots": [1, 3], "methods": METHODS, "prior_target": "all_top5"}
    path = write_features_recipe(tmp_path, split=sizes, evaluate=evaluate)
    run_recipe(path, only="split")
    run_recipe(path, only="evaluate")
    said = " ".join(capsys.readouterr().err.split())
    note = "is 0 for every method: with 3 base and 1 novel classes there, all_top5 is right whatever the bias"
    assert said.count(note) == 1
    run_recipe(path, only="evaluate")  # nothing is measured: nothing is said again
    assert "bias" not in capsys.readouterr().err
    assert said.count("evaluate.prior_target=all_top1") == 1
    run_recipe(path, ["evaluate.prior_target=all_top1"], only="evaluate")
    assert "whatever the bias" not in capsys.readouterr().err


def test_a_bias_that_was_chosen_is_not_mentioned() -> None:
    for records in (
        [],
        [record("m", None)],
        [record("m", 0.0, setup="test")],
        [record("m", 0.0), record("m", 0.5)],
    ):
        assert zero_bias_note(records, TOP5) is None


def test_methods_without_a_bias_are_named() -> None:
    large = {"base": 10, "novel": 10}
    note = zero_bias_note([record("m", 0.0, **large), record("n", 0.5, **large)], TOP5)
    assert note is not None
    assert "is 0 for r/m: no other one improves all_top5 there" in note
    assert "split" not in note
