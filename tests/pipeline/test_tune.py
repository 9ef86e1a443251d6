"""The tune stages of a recipe: between fitting and evaluating, resumable, and blind to the test half."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lowshot.benchmark.parameter_grid import Tuning
from lowshot.classifiers import Ridge
from lowshot.cli import run
from lowshot.data import ClassSplit
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import read_json
from lowshot.pipeline.plan import Plan
from lowshot.recipe import load_recipe
from tests.benchmark.problems import poison
from tests.pipeline.recipes import (
    METHODS,
    due,
    due_but_report,
    features_files,
    records,
    run_recipe,
    tuned_file,
    write_features_recipe,
)

GENERATED = {"classifier": "ridge", "generator": "difference", "n_per_class": 4, "grid": {"n_per_class": [2, 9]}}


def of_method(folder: Path, method: str) -> list[dict[str, Any]]:
    """The records of a method."""
    return records(folder / "out", f"results/given/{method}.jsonl")


def measure(path: Path) -> None:
    """Run all stages but the report, whose figures take longer than everything else here."""
    for kind in ("fit-generator", "fit-classifier", "tune", "evaluate"):
        run_recipe(path, only=kind)


def test_the_winner_is_evaluated_and_the_records_say_so(tmp_path: Path) -> None:
    measure(write_features_recipe(tmp_path, {**METHODS, "generated": GENERATED}))
    found = Tuning.from_json(read_json(tuned_file(tmp_path)))
    assert found.best.params["alpha"] in (0.01, 1.0, 100.0)
    assert {r["params"]["alpha"] for r in of_method(tmp_path, "ridge")} == {found.best.params["alpha"]}
    assert {r["tuned"] for r in of_method(tmp_path, "ridge")} == {True}
    assert {r["tuned"] for r in of_method(tmp_path, "plain")} == {False}
    assert not tuned_file(tmp_path, "plain").exists()
    generated = Tuning.from_json(read_json(tuned_file(tmp_path, "generated")))
    assert {r["n_per_class"] for r in of_method(tmp_path, "generated")} == {generated.best.params["n_per_class"]}
    assert {r["params"]["alpha"] for r in of_method(tmp_path, "generated")} == {1.0}

    by_hand = tmp_path / "by hand"
    by_hand.mkdir()
    run_recipe(
        write_features_recipe(by_hand, {"ridge": {"classifier": "ridge", "params": found.best.params}}), only="evaluate"
    )
    accuracies = [
        [(r["setup"], r["n_shots"], r["experiment"], r["all_top1"], r.get("all_prior_top1")) for r in found_records]
        for found_records in (of_method(tmp_path, "ridge"), of_method(by_hand, "ridge"))
    ]
    assert accuracies[0] == accuracies[1]


def test_the_file_of_winners_says_what_the_choice_rests_on(tmp_path: Path) -> None:
    recipe = run_recipe(write_features_recipe(tmp_path), only="tune")
    written = read_json(tuned_file(tmp_path))
    assert {key: written[key] for key in ("setup", "target", "n_shots", "n_experiments", "seed")} == {
        "setup": "val",
        "target": "mean_all_top1",
        "n_shots": [1, 3],
        "n_experiments": 2,
        "seed": 0,
    }
    assert written["recipe_fingerprint"] == recipe.fingerprint
    assert written["grid"] == {"alpha": [0.01, 1.0, 100.0]}
    assert len(written["points"]) == 3
    assert written["versions"]["lowshot"]
    assert not (tmp_path / "out" / "results").exists(), "nothing but tuning ran"


def test_what_is_out_of_date_is_tuned_again_and_nothing_else(tmp_path: Path) -> None:
    path = write_features_recipe(tmp_path)
    measure(path)
    assert not due_but_report(path)
    changes = {
        "evaluate.methods.ridge.grid.alpha=[0.1,1.0]": {"tune:given/ridge", "evaluate:given/ridge"},
        "tune.target=mean_novel_top1": {"tune:given/ridge", "evaluate:given/ridge"},
        "evaluate.calibrate=none": {"evaluate:given/ridge", "evaluate:given/plain"},
        "evaluate.methods.plain.params.metric=euclidean": {"evaluate:given/plain"},
    }
    for override, expected in changes.items():
        assert due_but_report(path, override) == expected, override


def test_evaluating_alone_asks_for_tuning_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `lowshot tune` with this recipe first"):
        run_recipe(write_features_recipe(tmp_path), only="evaluate")


def test_a_killed_tuning_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    path = write_features_recipe(tmp_path)
    real, calls = Ridge.fit_novel_runs, []

    def dies_at_the_fourth(self, *arguments):  # type: ignore[no-untyped-def]
        calls.append(self.alpha)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, *arguments)

    with mock.patch.object(Ridge, "fit_novel_runs", dies_at_the_fourth), pytest.raises(KeyboardInterrupt):
        run_recipe(path, only="tune")
    assert not tuned_file(tmp_path).exists()
    run_recipe(path, only="tune")
    assert len(calls) == 4
    resumed = tuned_file(tmp_path).read_bytes()
    with mock.patch.object(Ridge, "fit_novel_runs", autospec=True, side_effect=real) as counted:
        run_recipe(path, only="tune", force=True)
    assert counted.call_count == 0, "finished points are never run again"
    for file in (tmp_path / "out" / "tuned" / "given").iterdir():
        file.unlink()
    run_recipe(path, only="tune")
    assert tuned_file(tmp_path).read_bytes() == resumed


def test_poisoning_the_test_half_leaves_the_winners_as_they_are(tmp_path: Path) -> None:
    methods = {
        **METHODS,
        "gaussian": {"classifier": "gaussian", "grid": "default"},
        "linear": {"classifier": "logistic", "params": {"n_steps": 5, "batch_size": 9}, "grid": {"lr": [0.1, 1.0]}},
    }
    path = write_features_recipe(tmp_path, methods)
    run_recipe(path, only="tune")
    files = [tuned_file(tmp_path, name) for name in ("ridge", "gaussian", "linear")]
    before = [file.read_bytes() for file in files]
    split = ClassSplit.from_json(tmp_path / "out" / "split" / "label_idx.json")
    for file in features_files(tmp_path / "features").values():
        store = FeatureStore.open(file)
        poisoned = poison(store, split, tmp_path / "poisoned.hdf5")
        assert poisoned.fingerprint != store.fingerprint
        poisoned.path.replace(file)
    for file in files:
        file.unlink()
    run_recipe(path, only="tune", force=True)
    assert [file.read_bytes() for file in files] == before


def test_what_a_trained_network_leaves_open_can_be_tuned(tmp_path: Path) -> None:
    params = {"contextual": False, "n_episodes": 2, "decay_every": 2}
    matching = {"classifier": "matching_network", "params": params, "grid": {"n_support": [2, 4]}}
    measure(write_features_recipe(tmp_path, {"matching": matching}))
    best = read_json(tuned_file(tmp_path, "matching"))["params"]
    found = of_method(tmp_path, "matching")
    assert {r["params"]["n_support"] for r in found} == {best["n_support"]}
    assert {r["params"]["pretrained"].split(":")[0] for r in found} == {"matching.safetensors"}


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"classifier": "ridge", "grid": {"alhpa": [1]}}, r"methods\.m\.grid: .*Did you mean 'alpha'"),
        ({"classifier": "ridge", "grid": {"alpha": []}}, r"methods\.m\.grid: alpha needs a list of at least one value"),
        ({"classifier": "ridge", "grid": {"alpha": 1}}, "alpha needs a list of at least one value to try, got 1"),
        ({"classifier": "ridge", "grid": {}}, r"methods\.m\.grid: expected default, or parameters with lists"),
        ({"classifier": "ridge", "grid": "all"}, "expected default, or parameters with lists .* got 'all'"),
        ({"classifier": "ridge", "grid": {"alpha": ["x"]}}, "'alpha': input should be a valid number"),
        ({"classifier": "ridge", "grid": {"n_per_class": [5]}}, "'n_per_class' is for methods with a generator"),
        ({"classifier": "prototypical", "grid": {"lr": [0.1]}}, "training on episodes, which is over before tuning"),
        ({"classifier": "prototypical", "grid": "default"}, "declares no grid of its own"),
    ],
)
def test_mistakes_in_a_grid_are_named_before_anything_runs(
    method: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        run_recipe(write_features_recipe(tmp_path, {"m": method}), dry_run=True)


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"target": "mean_al_top5"}, r"tune\.target: .*Did you mean 'all_top5'"),
        ({"target": "all_top5"}, "use mean_all_top5, or give one n_shots"),
        ({"n_shots": [1, 9]}, r"tune\.n_shots: 9 shots are asked for but split\.max_shots is 3"),
        ({"experiments": 3}, r"tune\.experiments: 3 draws are asked for but split\.experiments is 2"),
    ],
)
def test_mistakes_in_the_tune_section_are_named(tune: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run_recipe(write_features_recipe(tmp_path, tune=tune), dry_run=True)


def test_the_command_prints_the_grid_now_and_whenever_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_features_recipe(tmp_path, tune={"target": "novel_top1", "n_shots": [3], "experiments": 1})
    for _ in range(2):
        assert run(["tune", str(path), "--engine", "serial"]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert printed.count("◀ best") == 1
        assert "novel_top1" in printed
        assert "1 experiment;" in printed
    assert read_json(tuned_file(tmp_path))["n_shots"] == [3]


def test_a_recipe_without_a_grid_has_nothing_to_tune(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_features_recipe(tmp_path, {"plain": {"classifier": "nearest_mean"}})
    assert run(["tune", str(path), "--engine", "serial"]) == 2
    assert "no method has a grid" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("asked", [False, True])
def test_few_classes_are_chosen_for_by_top_1_unless_a_target_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: bool
) -> None:
    tune = {"target": "mean_all_top5"} if asked else {}
    path = write_features_recipe(tmp_path, tune=tune)
    changes = ["evaluate.prior_target=all_top5"] if asked else []
    run_recipe(path, changes)
    top = "top5" if asked else "top1"
    assert read_json(tuned_file(tmp_path))["target"] == f"mean_all_{top}"
    stage = next(stage for stage in Plan(load_recipe(path, changes)).stages if stage.kind == "evaluate")
    assert stage.inputs["evaluate"]["prior_target"] == f"all_{top}"
    assert capsys.readouterr().out.count("Top-1, all classes") == 2  # plain and with the bias
    assert due(path, *changes) == []
    # The recipe that the run wrote down means the same.
    again = load_recipe(tmp_path / "out" / "recipe.yaml")
    assert (again.tune.target_for(4), again.evaluate.prior_target_for(4)) == (f"mean_all_{top}", f"all_{top}")
    assert again.tune.target_for(11) == "mean_all_top5"
