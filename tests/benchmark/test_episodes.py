"""Standard episodes are what the definition says, the same for all methods, and cost little."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.benchmark import Engine, ResultStore
from lowshot.benchmark.episode_sampler import DRAWN_TOGETHER, EpisodeDesign, NovelEpisodeSampler, novel_rows
from lowshot.benchmark.episodes import run_episodes
from lowshot.benchmark.metrics import mean_over_episodes
from lowshot.classifiers.logistic import Logistic
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.classifiers.ridge import Ridge
from lowshot.data import ClassSplit
from lowshot.errors import InputError
from tests.benchmark.problems import Problem, fitted_difference, without_times, write_features
from tests.reference import episodes as reference

SMALL = {"n_way": 2, "n_query": 4, "n_tasks": 30, "engine": Engine("serial")}


def _sampler(
    counts: list[int], design: EpisodeDesign, seed: int = 0
) -> tuple[NovelEpisodeSampler, np.ndarray, list[int]]:
    """A sampler over shuffled rows of classes 10, 11, … with these many images, the labels, and the classes."""
    classes = [10 + i for i in range(len(counts))]
    labels = np.random.default_rng(7).permutation(np.repeat(classes, counts))
    return NovelEpisodeSampler([np.flatnonzero(labels == label) for label in classes], design, seed), labels, classes


@settings(deadline=None, max_examples=40)
@given(
    n_way=st.integers(2, 6),
    n_shots=st.integers(1, 5),
    n_query=st.integers(1, 6),
    spare=st.lists(st.integers(0, 9), min_size=6, max_size=8),
    seed=st.integers(0, 2**31),
)
def test_every_task_is_an_episode(n_way: int, n_shots: int, n_query: int, spare: list[int], seed: int) -> None:
    design = EpisodeDesign(n_way, n_shots, n_query, n_tasks=7)
    sampler, labels, classes = _sampler([n_shots + n_query + more for more in spare], design, seed)
    [tasks] = sampler
    assert len(tasks.classes) == 7
    for places, shots, queries in zip(*tasks, strict=True):
        names = [classes[place] for place in places]
        reference.check_task(labels, classes, names, shots.tolist(), queries.tolist(), n_way, n_shots, n_query)


def test_classes_and_images_are_drawn_uniformly() -> None:
    sampler, labels, _ = _sampler([3, 4, 5, 6], EpisodeDesign(2, 1, 2, n_tasks=12_000))
    blocks = list(sampler)
    classes = np.concatenate([tasks.classes for tasks in blocks])
    assert np.bincount(classes.ravel()) / 12_000 == pytest.approx([0.5] * 4, abs=0.02)
    shots = np.bincount(np.concatenate([tasks.shots.ravel() for tasks in blocks]), minlength=18)
    expected = 6_000 / np.bincount(labels)[labels]  # half of the tasks have a class, and one of its images as shot
    assert (np.abs(shots - expected) < 5 * np.sqrt(expected)).all()


def test_tasks_depend_on_nothing_but_rows_design_and_seed() -> None:
    few, _, _ = _sampler([9, 9, 9], EpisodeDesign(2, 1, 3, n_tasks=DRAWN_TOGETHER + 5))
    many, _, _ = _sampler([9, 9, 9], EpisodeDesign(2, 1, 3, n_tasks=3 * DRAWN_TOGETHER))
    of_few, of_many = (
        [np.concatenate(parts)[: DRAWN_TOGETHER + 5] for parts in zip(*sampler)] for sampler in (few, many)
    )
    for ours, theirs in zip(of_few, of_many):
        np.testing.assert_array_equal(ours, theirs)
    other, _, _ = _sampler([9, 9, 9], few.design, seed=1)
    assert other.digest != few.digest != many.digest
    assert not np.array_equal(next(iter(other)).shots, next(iter(few)).shots)


@pytest.mark.parametrize("setup", ["val", "test"])
@pytest.mark.parametrize("n_shots", [1, 3])
def test_an_accuracy_is_the_mean_over_tasks_done_by_hand(problem: Problem, setup: str, n_shots: int) -> None:
    [record] = run_episodes(
        problem.train, problem.test, problem.split, NearestMean(), n_shots=[n_shots], setup=setup, seed=3, **SMALL
    )
    classes = problem.split.setup(setup)
    base = np.isin(problem.train.labels, classes.base)
    centre = problem.train.features[base].astype(np.float64).mean(axis=0)
    features = problem.test.features.astype(np.float64)
    novel = np.sort(classes.novel)
    sampler = NovelEpisodeSampler(
        [np.flatnonzero(problem.test.labels == label) for label in novel], EpisodeDesign(2, n_shots, 4, 30), seed=3
    )
    accuracies = []
    for tasks in sampler:
        for places, shots, queries in zip(*tasks, strict=True):
            reference.check_task(problem.test.labels, novel, novel[places], shots, queries, 2, n_shots, 4)
            accuracies.append(reference.nearest_mean_accuracy(features, shots, queries, centre))
    mean, half_width = reference.mean_and_half_width(accuracies)
    assert record["accuracy"] == pytest.approx(mean)
    assert record["half_width"] == pytest.approx(half_width)
    assert (record["part"], record["n_tasks"], record["n_way"], record["n_query"]) == ("test", 30, 2, 4)


def test_all_methods_and_representations_meet_the_same_tasks(problem: Problem, tmp_path: Path) -> None:
    other = [write_features(tmp_path / f"{name}.h5", getattr(problem, name).labels, 9) for name in ("train", "test")]
    runs = [
        run_episodes(*parts, problem.split, classifier, **SMALL)
        for parts in ((problem.train, problem.test), other)
        for classifier in (NearestMean(), Ridge())
    ]
    assert len({tuple(record["tasks"] for record in records) for records in runs}) == 1
    assert len({record["unit"] for records in runs for record in records}) == 8
    assert len({record["tasks"] for record in runs[0]}) == 2  # 1 and 5 shots are different tasks


def test_a_guess_is_right_once_in_n_ways(problem: Problem) -> None:
    def noise(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.random.default_rng(1).normal(size=features.shape)

    test = write_features(problem.test.path.with_name("noise.h5"), problem.test.labels, seed=0, change=noise)
    settings = {**SMALL, "n_tasks": 1000}
    [record] = run_episodes(problem.train, test, problem.split, NearestMean(), n_shots=[1], **settings)
    assert record["accuracy"] == pytest.approx(0.5, abs=0.05)


def test_a_generator_takes_part_in_every_task(problem: Problem) -> None:
    generator = fitted_difference(problem)
    plain, more = (
        run_episodes(problem.train, problem.test, problem.split, Ridge(), n_shots=[1], **SMALL, **generation)
        for generation in ({}, {"generator": generator, "n_per_class": 6})
    )
    assert (plain[0]["generator"], more[0]["generator"], more[0]["n_per_class"]) == (None, "difference", 6)
    assert plain[0]["tasks"] == more[0]["tasks"]
    assert plain[0]["accuracy"] != more[0]["accuracy"]
    again = run_episodes(
        problem.train, problem.test, problem.split, Ridge(), n_shots=[1], **SMALL, generator=generator, n_per_class=6
    )
    assert without_times(again) == without_times(more)


def test_memory_and_workers_change_no_number(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    method = Logistic(n_steps=10, batch_size=20)
    whole = run_episodes(problem.train, problem.test, problem.split, method, n_shots=[1], **SMALL)
    monkeypatch.setattr("lowshot.benchmark.episodes._FLOATS", 500)
    monkeypatch.setattr("lowshot.benchmark.episodes._POOL_BYTES", 0)
    in_pieces = run_episodes(problem.train, problem.test, problem.split, method, n_shots=[1], **SMALL)
    assert in_pieces[0]["accuracy"] == pytest.approx(whole[0]["accuracy"], abs=0.01)  # sums in another order
    nearest = [
        run_episodes(problem.train, problem.test, problem.split, NearestMean(), **{**SMALL, "engine": engine})
        for engine in (Engine("serial"), Engine("loky", workers=2))
    ]
    assert without_times(nearest[0]) == without_times(nearest[1])


def test_what_a_store_has_is_not_measured_again(problem: Problem, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "episodes.jsonl")
    first = run_episodes(problem.train, problem.test, problem.split, NearestMean(), store=store, **SMALL)
    size = store.path.stat().st_size
    again = run_episodes(
        problem.train, problem.test, problem.split, NearestMean(), store=ResultStore(store.path), **SMALL
    )
    assert again == first
    assert store.path.stat().st_size == size
    assert len(run_episodes(problem.train, problem.test, problem.split, Ridge(), store=store, **SMALL)) == 2
    assert len(ResultStore(store.path).records) == 4


def test_records_are_of_todays_settings_under_todays_tags(problem: Problem, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "episodes.jsonl")

    def run(n_tasks: int, **tags: str) -> list[dict]:
        settings = {**SMALL, "n_tasks": n_tasks, "n_shots": [1], "store": store, "tags": tags}
        return run_episodes(problem.train, problem.test, problem.split, NearestMean(), **settings)

    [old] = run(30, method="old", representation="r")
    [new] = run(20, method="old", representation="r")
    [renamed] = run(30, method="new", note="added")
    assert new["n_tasks"] == 20
    assert renamed == {**old, "method": "new", "note": "added", "representation": "features"}
    assert len(store.records) == 2
    assert not store.path.with_suffix(".scratch").exists()


def test_what_is_no_method_is_refused(problem: Problem) -> None:
    with pytest.raises(InputError, match="int is no LowShotClassifier"):
        run_episodes(problem.train, problem.test, problem.split, 5, **SMALL)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="generator and n_per_class go together"):
        run_episodes(problem.train, problem.test, problem.split, NearestMean(), n_per_class=5, **SMALL)


def test_the_interval_is_that_of_the_literature() -> None:
    assert mean_over_episodes(np.array([0.2, 0.4, 0.6, 0.8])) == pytest.approx((0.5, 1.96 * math.sqrt(0.2 / 3 / 4)))
    assert mean_over_episodes(np.array([0.25])) == (0.25, None)


def test_shots_and_queries_come_from_the_test_part_if_it_has_enough() -> None:
    split = ClassSplit([0], [1], [2, 3], [4, 5], [f"class {label}" for label in range(6)])
    labels = {"test": np.tile(np.arange(6), 6), "train": np.tile(np.arange(6), 20)}
    part, rows = novel_rows(labels, split, "test", EpisodeDesign(2, 1, 5))
    assert part == "test"
    assert [own.tolist() for own in rows] == [[4, 10, 16, 22, 28, 34], [5, 11, 17, 23, 29, 35]]
    part, rows = novel_rows(labels, split, "test", EpisodeDesign(2, 5, 15))
    assert (part, {len(own) for own in rows}) == ("train", {20})


@pytest.mark.parametrize(
    ("design", "says"),
    [
        (EpisodeDesign(n_way=3), "n_way=3 classes need as many novel classes, but setup 'test' has 2"),
        (
            EpisodeDesign(2, 1, 30),
            r"need 31 images .* only 6 of class 4 .* in the test part and 19 of class 5.*set episodes\.n_query=18",
        ),
        (EpisodeDesign(2, 20, 5), r"set episodes\.n_shots=\[1\] and episodes\.n_query=18"),
    ],
)
def test_too_few_classes_or_images_are_refused_with_the_numbers(design: EpisodeDesign, says: str) -> None:
    split = ClassSplit([0], [1], [2, 3], [4, 5], [f"class {label}" for label in range(6)])
    labels = {"test": np.tile(np.arange(6), 6), "train": np.concatenate([np.tile(np.arange(6), 19), [4]])}
    with pytest.raises(InputError, match=says) as caught:
        novel_rows(labels, split, "test", design)
    advised = dict(re.findall(r"episodes\.(n_\w+)=\[?(\d+)", str(caught.value)))
    assert novel_rows(labels, split, "test", replace(design, **{key: int(value) for key, value in advised.items()}))
