"""With few classes top-5 says nothing: what is chosen by default is then chosen by top-1."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

from lowshot import benchmark
from lowshot.benchmark import Engine, summarise, tuning
from lowshot.benchmark.calibration_bias import Validation, choose_bias, default_target
from lowshot.benchmark.metrics import informative_k, top_k_ranks
from lowshot.benchmark.parameter_grid import GridPoint, Tuning
from lowshot.benchmark.validation import ValidationData
from lowshot.data.splits import Setup
from tests.benchmark.problems import Problem

run_benchmark = functools.partial(benchmark.run_benchmark, engine=Engine("serial"))
tune = functools.partial(tuning.tune, engine=Engine("serial"))


def test_top_5_is_for_more_than_ten_classes() -> None:
    assert [informative_k(n) for n in (2, 5, 10, 11, 1000)] == [1, 1, 1, 5, 5]
    few, many = (Setup("val", np.arange(5), np.arange(5, n)) for n in (10, 11))
    assert (default_target(few), default_target(many)) == ("all_top1", "all_top5")


@pytest.mark.parametrize("n_classes", [10, 11])
def test_the_bias_maximises_what_tells_methods_apart(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    base, novel = np.arange(5), np.arange(5, n_classes)
    scores = rng.normal(size=(200, n_classes)) + np.where(np.arange(n_classes) < 5, 1.0, 0.0)
    ranks = top_k_ranks(scores, rng.integers(n_classes, size=200), base, novel)
    validation = Validation(Setup("val", base, novel), [ranks])
    biases = {target: choose_bias(validation, target) for target in ("all_top1", "all_top5")}
    assert biases["all_top1"] != biases["all_top5"]
    assert choose_bias(validation) == biases["all_top1" if n_classes == 10 else "all_top5"]


def test_the_bias_of_a_benchmark_of_four_classes_is_chosen_by_top_1(problem: Problem) -> None:
    biases = {}
    for target in (None, "all_top1", "all_top5"):
        records = run_benchmark(*problem.parts, "ridge", n_shots=(1,), prior_target=target)
        biases[target] = [record["prior"] for record in records]
    assert biases[None] == biases["all_top1"]
    assert set(biases["all_top5"]) == {0.0}  # every query is right among four classes, whatever the bias
    assert biases[None] != biases["all_top5"]


def test_four_classes_are_tuned_by_top_1_unless_asked_otherwise(problem: Problem) -> None:
    data = ValidationData(*problem.parts)
    grid = {"alpha": [1e6, 0.01, 1.0, 100.0]}
    by_hand = {
        alpha: summarise(
            run_benchmark(*problem.parts, "ridge", {"alpha": alpha}, n_shots=(1, 3), setup="val", prior=False),
            "all_top1",
            over_shots=True,
        )[0].mean
        for alpha in grid["alpha"]
    }
    assert by_hand[1e6] < max(by_hand.values())
    default = tune(data, "ridge", grid=grid, n_shots=(1, 3))
    asked = tune(data, "ridge", grid=grid, n_shots=(1, 3), target="mean_all_top5")
    assert default.target == "mean_all_top1"
    assert asked.target == "mean_all_top5"
    assert [point.value for point in asked.points] == [1.0] * 4  # a tie of all
    for found in (default, asked):
        assert found.best.params["alpha"] == max(by_hand, key=by_hand.__getitem__)
    assert [point.top1 for point in asked.points] == list(by_hand.values())
    assert [point.top1 for point in default.points] == [None] * 4
    assert Tuning.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    assert '"top1"' not in json.dumps(default.to_json())


def of(*points: tuple[float | None, float | None]) -> Tuning:
    """A tuning over the numbers 0, 1, … with these values and top-1 values."""
    grid = {"alpha": tuple(range(len(points)))}
    found = [GridPoint({"alpha": i}, value, None, {}, top1) for i, (value, top1) in enumerate(points)]
    return Tuning("ridge", None, "mean_all_top5", (1,), 1, 0, "", grid, tuple(found))


def test_ties_are_broken_by_top_1_and_then_by_the_first() -> None:
    assert of((0.9, 0.1), (0.9, 0.3), (0.9, 0.3), (0.5, None)).best.params == {"alpha": 1}
    assert of((0.9, None), (0.9, None)).best.params == {"alpha": 0}
    assert of((None, None), (0.9, None), (0.8, 0.9)).best.params == {"alpha": 1}
    assert of((0.0, 0.0), (0.0, 0.1)).best.params == {"alpha": 1}
