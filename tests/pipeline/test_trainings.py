"""A representation with several trainings: each is trained, extracted and evaluated, and rows are their mean."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from lowshot.benchmark import summarise
from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from lowshot.pipeline.recogniser_start import start_from_run
from lowshot.pipeline.report_command import report_on
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import (
    IMAGES,
    due,
    due_but_report,
    records,
    run_recipe,
    write_features_recipe,
    write_image_recipe,
)

METHODS = {
    "mean": {"classifier": "nearest_mean"},
    "ridge": {"classifier": "ridge", "grid": {"alpha": [0.1, 10.0]}},
}
EVALUATE = {"n_shots": [1, 5], "methods": METHODS}


def representations(seeds: int) -> dict:
    return {"baseline": {}, "sgm": {"label": "SGM", "seeds": seeds, "train": {"loss": "sgm", "loss_weight": 0.02}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recipe that was run with one training, and then with three."""
    folder = tmp_path_factory.mktemp("trainings")
    run_recipe(write_image_recipe(folder, representations=representations(1), evaluate=EVALUATE))
    (folder / "before.jsonl").write_bytes((folder / "out" / "results.jsonl").read_bytes())
    path = write_image_recipe(folder, representations=representations(3), evaluate=EVALUATE)
    (folder / "due").write_text("\n".join(due(path)))
    run_recipe(path)
    return folder


def test_stages_are_named_by_training_and_the_first_one_is_the_one_there_was(run: Path) -> None:
    expected = [f"{kind}:sgm@{number}" for kind in ("train", "extract") for number in (2, 3)]
    expected += [f"evaluate:sgm@{number}/{method}" for number in (2, 3) for method in METHODS]
    assert (run / "due").read_text().splitlines() == [*expected, "report"]
    assert due(run / "recipe.yaml") == []


def test_each_training_has_results_of_its_own_on_the_same_draws(run: Path) -> None:
    found = [r for r in records(run / "out") if r["representation"] == "sgm"]
    assert {r["training"] for r in found} == {1, 2, 3}
    one, two = ([r for r in found if r["training"] == t and r["setup"] == "test"] for t in (1, 2))
    assert [r["shots"] for r in one] == [r["shots"] for r in two]
    assert [r["all_top5"] for r in one] != [r["all_top5"] for r in two]
    assert not any("training" in r for r in records(run / "out") if r["representation"] == "baseline")


def test_the_results_of_the_first_training_are_those_without_the_others(run: Path) -> None:
    before = [r for r in records(run, "before.jsonl") if r["representation"] == "sgm"]
    after = [r for r in records(run / "out") if r.get("training") == 1]
    assert [r["task"] for r in before] == [r["task"] for r in after]
    assert [r["all_top5"] for r in before] == [r["all_top5"] for r in after]


def test_parameters_are_chosen_on_the_first_training(run: Path) -> None:
    assert not (run / "out" / "tuned" / "sgm@2").exists()
    found = [r for r in records(run / "out") if (r["representation"], r["method"]) == ("sgm", "ridge")]
    assert len({str(r["params"]) for r in found}) == 1


def test_rows_are_means_over_trainings_and_draws(run: Path) -> None:
    found = records(run / "out")
    lines = list(csv.DictReader(io.StringIO((run / "out" / "report" / "tables.csv").read_text())))
    of_sgm = [line for line in lines if (line["representation"], line["metric"]) == ("SGM", "all_top5")]
    assert len(of_sgm) == len(METHODS) * 2
    summaries = [s for s in summarise(found, "all_top5") if s.representation == "sgm" and s.setup == "test"]
    for line, summary in zip(of_sgm, summaries, strict=True):
        assert float(line["mean"]) == pytest.approx(100 * summary.mean, abs=1e-4)
        assert float(line["interval95"]) == pytest.approx(100 * summary.half_width, abs=1e-4)
        assert (summary.n_experiments, summary.n_trainings) == (2, 3)
        values = [
            r["all_top5"]
            for r in found
            if (r["representation"], r["method"], r["n_shots"], r["setup"])
            == ("sgm", summary.method, summary.n_shots, "test")
        ]
        assert summary.mean == pytest.approx(sum(values) / 6)
    assert "Would another training change it?" in (run / "out" / "report" / "report.html").read_text()
    report_on([str(run / "out")], output=run / "again")
    assert (run / "again" / "trainings.csv").read_text() == (run / "out" / "report" / "trainings.csv").read_text()


def test_the_example_of_the_protocol_page_computes_the_accuracy_of_each_class(run: Path) -> None:
    pytest.importorskip("pandas")
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
    [block] = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "top1_by_class" in block]
    *lines, last = block.replace("runs/cifar100", str(run / "out")).rstrip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*lines, f"found = {last}"]), names)
    entries = list(csv.DictReader(io.StringIO((run / "out" / "report" / "classes.csv").read_text())))
    assert entries
    for line in (line for line in entries if line["kind"] == "novel"):
        key = {"Baseline": "baseline", "SGM": "sgm"}.get(line["representation"], line["representation"])
        value = names["found"][key, line["method"], int(line["n_shots"]), line["class"]]
        assert 100 * value == pytest.approx(float(line["top1"]), abs=1e-3)


def test_a_recogniser_starts_from_the_first_training(run: Path) -> None:
    assert start_from_run(run / "out", "sgm", "mean").base.origin.endswith("sgm, mean")


def test_fewer_seeds_leave_the_first_training_as_it_was(run: Path) -> None:
    path = write_image_recipe(run, representations=representations(1), evaluate=EVALUATE)
    assert due_but_report(path) == set()
    write_image_recipe(run, representations=representations(3), evaluate=EVALUATE)


def test_a_changed_seed_trains_all_again(run: Path) -> None:
    assert {"train:sgm", "train:sgm@2", "train:sgm@3"} <= set(due(run / "recipe.yaml", "seed=1"))


def test_a_recipe_that_says_one_seed_is_the_recipe_that_says_none(tmp_path: Path) -> None:
    plain = load_recipe(write_image_recipe(tmp_path))
    said = load_recipe(write_image_recipe(tmp_path), ["representations.sgm.seeds=1"])
    three = load_recipe(write_image_recipe(tmp_path), ["representations.sgm.seeds=3"])
    assert plain.fingerprint == said.fingerprint != three.fingerprint
    assert list(three.trainings) == ["baseline", "sgm", "sgm@2", "sgm@3"]
    assert list(plain.trainings) == list(IMAGES["representations"])
    seeds = [three.training_seed(number) for number in (1, 2, 3)]
    assert seeds[0] == three.seed
    assert len(set(seeds)) == 3


def test_validation_counts_trainings(tmp_path: Path) -> None:
    sound = validate_recipe(write_image_recipe(tmp_path), ["representations.sgm.seeds=3"])
    assert "2 representations from 4 trainings × 1 method × n = 1, 5" in sound


def test_what_is_not_trained_has_no_seeds(tmp_path: Path) -> None:
    path = write_features_recipe(tmp_path)
    with pytest.raises(InputError, match=r"representations\.given: seeds: 2 trains .* features is not trained"):
        load_recipe(path, ["representations.given.seeds=2"])
    with pytest.raises(InputError, match=r"representations\.sgm\.seeds"):
        load_recipe(write_image_recipe(tmp_path), ["representations.sgm.seeds=0"])
