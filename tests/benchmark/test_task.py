"""The benchmark as tasks: the same records from any engine, order and number of kills."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lowshot.benchmark import Engine, ResultStore, run_benchmark, summarise
from lowshot.benchmark.method import GeneratorSource, Method
from lowshot.benchmark.protocol import benchmark_tasks, experiment_blocks
from lowshot.benchmark.results import Record
from lowshot.benchmark.setup_data import BenchmarkData
from lowshot.benchmark.task import TaskList
from lowshot.classifiers import Logistic, NearestMean
from lowshot.data import Experiments
from lowshot.parallel.scheduler import run_groups
from lowshot.parallel.shared_arrays import Scratch
from tests.benchmark.counting import PAUSE, measure
from tests.benchmark.problems import Problem, fitted_difference, without_times
from tests.parallel.tasks import noted

SETTINGS = {"n_shots": (1, 5), "n_per_class": 6, "seed": 3, "examples": 2}


@pytest.fixture
def many_experiments(problem: Problem) -> Problem:
    """More experiments than are trained together."""
    problem.experiments = Experiments.random(problem.train.labels, problem.train.paths, n_experiments=27, max_shots=5)
    return problem


def test_engines_and_numbers_of_workers_change_no_digit(many_experiments: Problem, tmp_path: Path) -> None:
    classifier, generator = Logistic(n_steps=8, batch_size=20), fitted_difference(many_experiments)
    found = []
    for engine in (Engine("serial"), Engine("loky", 2)):
        store = tmp_path / f"{engine.kind}.jsonl"
        options = {**SETTINGS, "store": ResultStore(store), "generator": generator, "engine": engine}
        records = run_benchmark(*many_experiments.parts, classifier, **options)
        assert ResultStore(store).records == records
        assert not store.with_suffix(".scratch").exists()
        found.append(without_times(records))
    assert found[0] == found[1]
    assert {(r["setup"], r["experiment"]) for r in found[0]} == {
        *(("val", e) for e in range(1, 26)),
        *(("test", e) for e in range(1, 28)),
    }


def test_the_order_of_tasks_changes_nothing(many_experiments: Problem, tmp_path: Path) -> None:
    generator, found = fitted_difference(many_experiments), []
    for number in range(2):
        scratch, store = Scratch(tmp_path / f"scratch {number}"), ResultStore(tmp_path / f"{number}.jsonl")
        method = Method(NearestMean(), GeneratorSource(generator, scratch), 6, 3, 2)
        tags = {"representation": "r", "method": "m"}
        data = BenchmarkData(*many_experiments.parts)
        options = {"n_shots": (1, 5), "setup": "test", "bias_target": "all_top1", "tags": tags}
        tasks = TaskList(benchmark_tasks(data, method, scratch, **options), data, store)
        group = tasks.group("m")
        group.tasks = random.Random(number).sample(group.tasks, len(group.tasks)) if number else group.tasks
        run_groups([group], Engine("serial"))
        store.arrange(tasks.fingerprints)
        found.append(without_times(ResultStore(store.path).records))
    assert found[0] == found[1]


def test_the_bias_is_that_of_the_first_block_of_validation_runs(many_experiments: Problem) -> None:
    first = dataclasses.replace(many_experiments, experiments=Experiments(many_experiments.experiments.rows[:25]))
    options = {"n_shots": (1, 3), "prior_target": "all_top1"}
    few, many = (run_benchmark(*one.parts, NearestMean(), **options) for one in (first, many_experiments))
    for n in (1, 3):
        assert len({r["prior"] for r in few + many if r["n_shots"] == n}) == 1
    assert any(r["prior"] for r in many)
    # More experiments leave the full blocks alone: nothing of them is run again.
    shared = {r["task"] for r in few} & {r["task"] for r in many}
    assert shared == {r["task"] for r in few}


def test_an_interval_over_many_draws_counts_all_of_them(many_experiments: Problem) -> None:
    records = run_benchmark(*many_experiments.parts, NearestMean(), n_shots=(1,), prior=False)
    [summary] = summarise(records, "novel_top1")
    assert summary.n_experiments == 27
    assert summary.half_width is not None
    assert summary.mean == pytest.approx(np.mean([r["novel_top1"] for r in records]))


@pytest.mark.parametrize("n_experiments", [1, 24, 25, 26, 100])
def test_blocks_hold_every_experiment_once(n_experiments: int) -> None:
    blocks = experiment_blocks(n_experiments)
    assert [e for block in blocks for e in block] == list(range(1, n_experiments + 1))
    assert {len(block) for block in blocks[:-1]} <= {25}


@pytest.mark.parametrize("kind", ["serial", "loky"])
def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(problem: Problem, tmp_path: Path, kind: str) -> None:
    problem.split.to_json(tmp_path / "label_idx.json")
    problem.experiments.write(str(tmp_path / "splitfile_{:d}.json"))
    store = tmp_path / "killed.jsonl"
    command = [sys.executable, "-m", "tests.benchmark.counting", str(tmp_path), str(store), kind]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, PAUSE: "0.2"})
    for _ in range(3000):
        if (store.exists() and len(ResultStore(store).records) >= 9) or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.0)  # an orphaned worker ends what it was at, and then itself
    finished = ResultStore(store).records
    ran = len(noted(tmp_path))
    assert 9 <= len(finished) < 30

    records = measure(tmp_path, store, (1, 2, 3, 4, 5), Engine("serial"))
    assert len(noted(tmp_path)) - ran == 10 - len(finished) // 3  # tasks of three experiments
    assert [r for r in records if r in finished] == sorted(finished, key=records.index)
    again = measure(tmp_path, tmp_path / "whole.jsonl", (1, 2, 3, 4, 5), Engine("serial"))
    assert without_times(records) == without_times(again)
    assert not store.with_suffix(".scratch").exists()


def test_records_are_lines_of_json_with_all_that_made_them(problem: Problem, tmp_path: Path) -> None:
    run_benchmark(*problem.parts, NearestMean(), n_shots=(1,), store=ResultStore(tmp_path))
    for line in (tmp_path / "results.jsonl").read_text().splitlines():
        assert {"seed", "versions", "host", "time", "unit", "task", "shots", "data"} <= json.loads(line).keys()


def test_records_that_are_found_again_have_todays_tags(problem: Problem, tmp_path: Path) -> None:
    def run(**tags: object) -> list[Record]:
        store = ResultStore(tmp_path / "r.jsonl")
        return run_benchmark(*problem.parts, NearestMean(), n_shots=(1,), setup="val", store=store, tags=tags)

    first = run(recipe_hash="then", tuned=False)
    assert run(recipe_hash="now", tuned=True, method="renamed") == [
        {**record, "recipe_hash": "now", "tuned": True, "method": "renamed"} for record in first
    ]
