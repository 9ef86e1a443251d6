"""Tuning: the numbers of the benchmark on setup "val", chosen from without a look at anything else."""

from __future__ import annotations

import functools
import json
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from lowshot import benchmark
from lowshot.benchmark import Engine, ResultStore, summarise, tuning
from lowshot.benchmark.parameter_grid import GridPoint, Target, Tuning, declared_grid, grid_complaints, grid_points
from lowshot.benchmark.validation import ValidationData
from lowshot.classifiers import Gaussian, Logistic, NearestMean, Ridge
from lowshot.data import ClassSplit
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.parallel.shared_arrays import Scratch
from tests.benchmark.problems import Problem, fitted_difference, poison, write_features

QUICK = {"n_steps": 6, "batch_size": 20}
N_SHOTS = (1, 3)

#: Small problems are not worth a second process; with four classes in play every top-5 accuracy is one.
run_benchmark = functools.partial(benchmark.run_benchmark, engine=Engine("serial"))
tune = functools.partial(tuning.tune, engine=Engine("serial"), target="mean_all_top1")


@pytest.fixture
def data(problem: Problem) -> ValidationData:
    return ValidationData(*problem.parts)


# ------------------------------------------------------------------------------------ what tuning can see


def test_validation_data_has_no_test_half(data: ValidationData, problem: Problem) -> None:
    hidden = np.union1d(problem.split.base_2, problem.split.novel_2)
    for store in (data.train, data.test):
        assert not np.isin(store.labels, hidden).any()
        assert len(store.rows_of(hidden)) == 0
        assert store.rows(np.arange(len(store))).shape == store.features.shape == (len(store), store.dim)
        with pytest.raises(InputError, match=f"there is no row {len(store)}"):
            store.rows([len(store)])
    with pytest.raises(InputError, match="setup 'test' does not exist here"):
        data.split.setup("test")
    with pytest.raises(InputError, match="setup 'test' does not exist here"):
        data.setup("test", Scratch("unused"), 1)
    for label in hidden:
        with pytest.raises(InputError, match="has 0 images"):
            data.experiments.shots(1, 1, [label])
    assert not hasattr(data.split, "novel_2")
    assert not hasattr(data.split, "base_2")


def test_validation_data_shows_the_validation_half_as_it_is(data: ValidationData, problem: Problem) -> None:
    for whole, seen in ((problem.train, data.train), (problem.test, data.test)):
        rows = whole.rows_of(np.union1d(problem.split.base_1, problem.split.novel_1))
        assert np.array_equal(seen.labels, whole.labels[rows])
        assert np.array_equal(seen.features, whole.rows(rows))
        assert seen.paths == [whole.paths[row] for row in rows]  # type: ignore[index]
        assert np.array_equal(np.concatenate([block for _, block, _ in seen.iter_blocks(size=7)]), whole.rows(rows))
    for experiment in (1, 2, 3):
        here = data.experiments.shots(experiment, 4, problem.split.novel_1)
        there = problem.experiments.shots(experiment, 4, problem.split.novel_1)
        assert np.array_equal(data.train.rows(here), problem.train.rows(there))


def test_every_public_part_of_a_features_file_is_restricted() -> None:
    # A new way to get at features must be closed here as well: this list is what the tests above go through.
    public = {name for name in vars(FeatureStore) if not name.startswith("_")}
    assert public == {
        "open",
        "create",
        "features",
        "paths",
        "class_names",
        "fingerprint",
        "rows_of",
        "rows",
        "iter_blocks",
        "check_finite",
    }


def test_experiments_of_other_data_are_refused(problem: Problem, tmp_path: Path) -> None:
    moved = write_features(tmp_path / "moved" / "train.h5", np.roll(problem.train.labels, 1), seed=2)
    with pytest.raises(InputError, match="the experiments were made for other data"):
        ValidationData(moved, problem.test, problem.split, problem.experiments)
    with pytest.raises(InputError, match="4 experiments are asked for, but there are 3"):
        ValidationData(*problem.parts, n_experiments=4)


def poisoned(problem: Problem, folder: Path) -> Problem:
    """The same problem with noise and exchanged labels in the test half of its split."""
    stores = [
        poison(store, problem.split, folder / f"{name}.h5")
        for name, store in (("train", problem.train), ("test", problem.test))
    ]
    return Problem(*stores, problem.split, problem.experiments)


@pytest.mark.parametrize(
    ("classifier", "grid"),
    [
        ("logistic", {"lr": [0.1, 1.0]}),
        ("cosine", {"scale": [5.0, 20.0]}),
        ("ridge", None),
        ("gaussian", None),
        ("nearest_mean", None),
    ],
)
def test_poisoning_the_test_half_changes_nothing(
    classifier: str, grid: dict | None, problem: Problem, tmp_path: Path
) -> None:
    other = poisoned(problem, tmp_path / "poisoned")
    assert other.train.fingerprint != problem.train.fingerprint
    params = QUICK if classifier in ("logistic", "cosine") else None
    given = {"n_shots": N_SHOTS, "generator": fitted_difference(problem), "n_per_class": 4}
    found = [tune(ValidationData(*parts), classifier, params, grid, **given) for parts in (problem.parts, other.parts)]
    assert json.dumps(found[0].to_json()) == json.dumps(found[1].to_json())


def test_poisoning_the_validation_half_changes_much(problem: Problem, tmp_path: Path) -> None:
    """Otherwise the claim above would be empty."""
    split = problem.split
    turned = ClassSplit(split.base_2, split.base_1, split.novel_2, split.novel_1, split.label_names)
    test = poisoned(Problem(problem.train, problem.test, turned, problem.experiments), tmp_path / "poisoned").test
    clean, dirty = (
        tune(ValidationData(problem.train, queries, split, problem.experiments), "ridge", n_shots=N_SHOTS)
        for queries in (problem.test, test)
    )
    assert clean.data != dirty.data
    assert clean.best.value > dirty.best.value + 0.1  # type: ignore[operator]


# ------------------------------------------------------------------------------------------- the numbers


CASES: list[tuple[str, dict, dict]] = [
    ("logistic", QUICK, {"lr": [0.05, 0.5], "weight_decay": [0.01]}),
    ("ridge", {}, {"alpha": [0.01, 1.0, 30.0]}),
    ("gaussian", {}, {"shrinkage": [0.1, 0.9], "predictive": [False, True]}),
    ("nearest_mean", {}, {"feature_transform": ["none", "l2"], "metric": ["euclidean", "cosine"]}),
    ("cosine", QUICK, {"scale": [5.0, 20.0], "fine_tune_steps": [0, 3]}),
]


@pytest.mark.parametrize(("name", "params", "grid"), CASES, ids=[name for name, *_ in CASES])
def test_a_point_has_the_numbers_of_the_benchmark_on_val(
    name: str, params: dict, grid: dict, data: ValidationData, problem: Problem
) -> None:
    found = tune(data, name, params, grid, n_shots=N_SHOTS, seed=5)
    assert [point.params for point in found.points] == [dict(zip(grid, values)) for values in product(*grid.values())]
    for point in found.points:
        records = run_benchmark(
            *problem.parts, name, {**params, **point.params}, n_shots=N_SHOTS, setup="val", prior=False, seed=5
        )
        (mean,) = summarise(records, "all_top1", over_shots=True)
        assert (point.value, point.half_width) == (mean.mean, mean.half_width)
        assert point.by_n_shots == {str(one.n_shots): one.mean for one in summarise(records, "all_top1")}


def test_n_per_class_is_tuned_with_the_generator(data: ValidationData, problem: Problem) -> None:
    generator = fitted_difference(problem)
    grid = {"n_per_class": [2, 6], "alpha": [0.1, 1.0]}
    found = tune(data, Ridge(), grid=grid, n_shots=(1,), target="novel_top1", generator=generator, n_per_class=3)
    assert found.generator == "difference"
    for point in found.points:
        records = run_benchmark(
            *problem.parts,
            Ridge(alpha=point.params["alpha"]),
            n_shots=(1,),
            setup="val",
            prior=False,
            generator=generator,
            n_per_class=point.params["n_per_class"],
        )
        assert point.value == summarise(records, "novel_top1")[0].mean


def test_only_the_first_experiments_are_used_when_few_are_asked_for(problem: Problem) -> None:
    few = tune(ValidationData(*problem.parts, n_experiments=2), "ridge", n_shots=(1,))
    records = run_benchmark(*problem.parts, "ridge", few.best.params, n_shots=(1,), setup="val", prior=False)
    (mean,) = summarise([record for record in records if record["experiment"] <= 2], "all_top1")
    assert (few.n_experiments, few.best.value) == (2, mean.mean)


@pytest.mark.parametrize(
    ("classifier", "grid", "fits"),
    [
        (Ridge(), {"alpha": [0.1, 1.0, 10.0]}, 1),
        (Logistic(**QUICK), {"lr": [0.1, 1.0], "weight_decay": [0.0, 0.1]}, 1),
        (Gaussian(), {"predictive": [False, True], "shrinkage": [0.1, 0.5]}, 2),
        (NearestMean(), {"metric": ["cosine", "euclidean"]}, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_base_is_fitted_once_for_all_points_it_serves(
    classifier, grid: dict, fits: int, data: ValidationData
) -> None:
    kind = type(classifier)
    with mock.patch.object(kind, "_fit_base", autospec=True, side_effect=kind._fit_base) as fit_base:
        tune(data, classifier, grid=grid, n_shots=N_SHOTS)
    assert fit_base.call_count == fits


# -------------------------------------------------------------------------------------------- the winner


def tuning_of(values: list[float | None], grid: dict | None = None) -> Tuning:
    """A tuning whose points have these values."""
    grid = grid or {"alpha": tuple(range(len(values)))}
    points = [GridPoint(point, value, None, {}) for point, value in zip(grid_points(grid), values, strict=True)]
    return Tuning("ridge", None, "mean_all_top5", (1,), 1, 0, "", grid, tuple(points))


def test_the_first_of_equal_points_wins_and_nan_never_does() -> None:
    assert tuning_of([0.1, 0.5, 0.5, 0.2]).best.params == {"alpha": 1}
    assert tuning_of([None, 0.0, None]).best.params == {"alpha": 1}
    with pytest.raises(InputError, match="every score was NaN"):
        _ = tuning_of([None, None]).best


@pytest.mark.parametrize("every", [1, 4])  # with several steps a gradient the classifier refuses to learn
def test_a_training_that_diverges_is_a_point_without_a_value(every: int, data: ValidationData) -> None:
    params = {**QUICK, "n_steps": 60, "gradient_every": every}
    with np.errstate(all="ignore"):
        found = tune(data, "logistic", params, {"lr": [1e30, 0.1]}, n_shots=N_SHOTS)
    assert found.points[0].value is None
    assert found.best.params == {"lr": 0.1}
    assert Tuning.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_a_winner_at_the_edge_of_its_range_is_pointed_out() -> None:
    grid = {"a": (1.0, 2.0, 3.0), "b": (0, 10), "kind": ("x", "y"), "one": (5,)}
    values = [0.0] * 12
    assert tuning_of([*values[:-1], 1.0], grid).edges == {"a": "largest", "b": "largest"}
    assert tuning_of([1.0, *values[1:]], grid).edges == {"a": "smallest"}, "nothing lies below zero"
    inside = [point == {"a": 2.0, "b": 0, "kind": "x", "one": 5} for point in grid_points(grid)]
    assert tuning_of([float(here) for here in inside], grid).edges == {}


@pytest.mark.parametrize("generates", [False, True])
def test_a_tuning_comes_back_from_its_file(data: ValidationData, problem: Problem, generates: bool) -> None:
    given = {"generator": fitted_difference(problem), "n_per_class": 3} if generates else {}
    found = tune(data, "gaussian", n_shots=N_SHOTS, **given)
    assert found.grid == declared_grid("gaussian")
    assert Tuning.from_json({**json.loads(json.dumps(found.to_json())), "recipe": "extra"}) == found


# ---------------------------------------------------------------------------------------------- execution


def test_the_result_does_not_depend_on_the_workers(data: ValidationData, problem: Problem) -> None:
    study = ("logistic", QUICK, {"lr": [0.05, 0.5]})
    given = {"n_shots": N_SHOTS, "seed": 3, "generator": fitted_difference(problem), "n_per_class": 4}
    assert tune(data, *study, **given, engine=Engine("loky", 2)) == tune(data, *study, **given)


def test_a_killed_tuning_goes_on_where_it_was(data: ValidationData, tmp_path: Path) -> None:
    grid, store = {"alpha": [0.1, 1.0, 10.0]}, tmp_path / "runs.jsonl"
    calls = 0

    def dies_at_the_fourth(self, X, codes):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls > 3 * 3:
            raise KeyboardInterrupt
        return real(self, X, codes)

    real = Ridge._fit_novel
    with mock.patch.object(Ridge, "_fit_novel", dies_at_the_fourth), pytest.raises(KeyboardInterrupt):
        tune(data, "ridge", grid=grid, n_shots=N_SHOTS, store=ResultStore(store))
    finished = {record["unit"] for record in ResultStore(store).records}
    assert 0 < len(finished) < 6
    with mock.patch.object(Ridge, "fit_novel_runs", autospec=True, side_effect=Ridge.fit_novel_runs) as runs:
        resumed = tune(data, "ridge", grid=grid, n_shots=N_SHOTS, store=ResultStore(store))
    assert runs.call_count == 6 - len(finished)
    assert resumed == tune(data, "ridge", grid=grid, n_shots=N_SHOTS)


def test_a_wider_grid_runs_its_new_points_alone_and_drops_the_others(data: ValidationData, tmp_path: Path) -> None:
    store = tmp_path / "runs.jsonl"
    tune(data, "ridge", grid={"alpha": [0.1, 1.0]}, n_shots=N_SHOTS, store=ResultStore(store))
    with mock.patch.object(Ridge, "fit_novel_runs", autospec=True, side_effect=Ridge.fit_novel_runs) as runs:
        tune(
            data,
            "ridge",
            grid={"alpha": [1.0, 10.0]},
            n_shots=N_SHOTS,
            store=ResultStore(store),
            target="mean_all_top1",
        )
    assert runs.call_count == 2
    records = ResultStore(store).records
    assert {record["params"]["alpha"] for record in records} == {1.0, 10.0}
    assert {record["setup"] for record in records} == {"val"}


# --------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": {}}, "the grid is empty"),
        ({"grid": {"alpha": []}}, "'alpha' has no value to try"),
        ({"grid": {"alpha": [1.0, 1.0]}}, "'alpha' lists 1.0 twice"),
        ({"grid": {"alpah": [1.0]}}, "Did you mean 'alpha'"),
        ({"grid": {"n_per_class": [5]}}, "goes together with a generator"),
        ({"n_per_class": 5}, "goes together with a generator"),
        ({"target": "mean_al_top5"}, "Did you mean 'all_top5'"),
        ({"target": "all_top5"}, "use mean_all_top5, or give one n_shots"),
        ({"grid": {"alpha": [-1.0]}}, "must be a finite number above 0"),
        ({"n_shots": (1, 9)}, "but 9 shots are asked for"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, message: str, data: ValidationData) -> None:
    with pytest.raises(InputError, match=message):
        tune(data, "ridge", **{"n_shots": N_SHOTS, **change})


def test_a_generator_needs_a_number_of_features(data: ValidationData, problem: Problem) -> None:
    with pytest.raises(InputError, match="n_per_class must be at least 1"):
        tune(data, "ridge", generator=fitted_difference(problem))


@pytest.mark.parametrize(
    ("classifier", "grid", "generates", "complaint"),
    [
        ("ridge", {"alpha": [1.0]}, False, None),
        ("ridge", {"alpha": [1.0], "n_per_class": [5, 20]}, True, None),
        ("ridge", {"alpha": ["much"]}, False, "parameter 'alpha': input should be a valid number"),
        ("ridge", {"alpha": [1.0], "n_per_class": [5]}, False, "'n_per_class' is for methods with a generator"),
        ("ridge", {"n_per_class": [0]}, True, "from 1 on, got 0"),
        ("matching_network", {"n_support": [5, 10]}, False, None),
        ("matching_network", {"lr": [0.1]}, False, "only n_support can be tuned"),
        ("prototypical", {"scale": [1.0]}, False, "nothing else can be tuned here"),
    ],
)
def test_grids_of_recipes_are_looked_over(classifier: str, grid: dict, generates: bool, complaint: str | None) -> None:
    found = grid_complaints(classifier, grid, generates)
    assert (not found) if complaint is None else (len(found) == 1 and complaint in found[0])


def test_a_single_number_of_shots_needs_no_mean() -> None:
    assert Target.parse("novel_top1", (5,)) == Target("novel_top1", False)
    assert Target.parse("mean_novel_top1", (5,)).metric == "novel_top1"
