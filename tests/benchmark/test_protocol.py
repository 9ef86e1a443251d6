"""The protocol: every record is the run done by hand, and nothing that is chosen sees the test half."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from lowshot import benchmark
from lowshot.benchmark import Engine, ResultStore, low_shot_metrics
from lowshot.classifiers.logistic import Logistic
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from tests.benchmark.problems import Problem, without_times, write_features
from tests.reference import calibration as reference

#: Small problems are not worth a second process.
run_benchmark = functools.partial(benchmark.run_benchmark, engine=Engine("serial"))

SETUPS = ("val", "test")
METRICS = [f"{scope}_top{k}" for scope in ("novel", "base", "all", "novel_only") for k in (1, 5)]


class Doubling:
    """A generator that repeats the shots; remembers what it was asked."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift_ = np.array(shift)
        self.calls: list[tuple] = []

    def generate(self, features, labels, n_per_class, random_state):
        self.calls.append((features.copy(), labels.copy(), n_per_class, random_state))
        return np.concatenate([features, features + self.shift_]), np.concatenate([labels, labels])


def scores_by_hand(problem, setup, n, experiment, classifier):
    """Scores over the whole label space, labels and groups of one run, put together row by row."""
    classes = problem.split.setup(setup)
    rows = [row for row, label in enumerate(problem.train.labels) if label in classes.base]
    known = copy.copy(classifier).fit_base(problem.train.features[rows], problem.train.labels[rows])
    shots = [row for c in classes.novel for row in problem.experiments.rows[experiment - 1][c][:n]]
    known.fit_novel(problem.train.features[shots], problem.train.labels[shots])
    of_setup = [row for row, label in enumerate(problem.test.labels) if label in [*classes.base, *classes.novel]]
    scores = np.full((len(of_setup), 8), -1e9)
    scores[:, known.classes_] = known.scores(problem.test.features[of_setup])
    return scores.tolist(), problem.test.labels[of_setup], classes.base, classes.novel


@pytest.mark.parametrize("setup", ["val", "test"])
def test_every_run_is_the_run_done_by_hand(problem: Problem, setup: str) -> None:
    records = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 5), setup=setup, prior=False)
    assert [(r["n_shots"], r["experiment"]) for r in records] == [(n, e) for n in (1, 5) for e in (1, 2, 3)]
    for record in records:
        by_hand = scores_by_hand(problem, setup, record["n_shots"], record["experiment"], NearestMean())
        assert {key: record[key] for key in METRICS} == pytest.approx(low_shot_metrics(*by_hand))
        assert record["setup"] == setup
        assert record["prior"] is None


def test_the_bias_is_the_best_one_of_the_validation_runs(problem: Problem) -> None:
    records = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 2), prior_target="all_top1")
    for n in (1, 2):
        runs = {
            setup: [scores_by_hand(problem, setup, n, e, NearestMean()) for e in (1, 2, 3)] for setup in ("val", "test")
        }
        of_test = [r for r in records if r["n_shots"] == n and r["setup"] == "test"]
        bias = of_test[0]["prior"]
        assert {r["prior"] for r in records if r["n_shots"] == n} == {bias}
        best = max(reference.accuracy(runs["val"], other, "all_top1") for other in reference.candidates(runs["val"]))
        assert reference.accuracy(runs["val"], bias, "all_top1") == pytest.approx(best)
        for record, run in zip(of_test, runs["test"], strict=True):
            for k in (1, 5):
                accuracy = reference.accuracy([run], bias, f"all_top{k}")
                assert record[f"all_prior_top{k}"] == pytest.approx(accuracy)


def test_nothing_that_is_chosen_depends_on_the_test_half(problem: Problem, tmp_path: Path) -> None:
    test_half = [*problem.split.base_2, *problem.split.novel_2]

    def poison(features, labels):
        features[np.isin(labels, test_half)] = 1e3
        return features

    before = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 5))
    problem.train = write_features(tmp_path / "poisoned" / "train.h5", problem.train.labels, 2, poison)
    problem.test = write_features(tmp_path / "poisoned" / "test.h5", problem.test.labels, 3, poison)
    after = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 5))
    assert [r["prior"] for r in before] == [r["prior"] for r in after]
    val, test = ([[r["all_top1"] for r in records if r["setup"] == s] for records in (before, after)] for s in SETUPS)
    assert val[0] == val[1]
    assert test[0] != test[1]


def test_a_result_does_not_depend_on_what_else_is_run(problem: Problem) -> None:
    classifier = Logistic(n_steps=5, batch_size=30)
    together = run_benchmark(*problem.parts, classifier, n_shots=(1, 2, 5), seed=4)
    alone = run_benchmark(*problem.parts, classifier, n_shots=(5,), setup="val", seed=4)
    assert without_times(alone) == [r for r in without_times(together) if r["setup"] == "val" and r["n_shots"] == 5]
    other = run_benchmark(*problem.parts, classifier, n_shots=(5,), setup="val", seed=5)
    assert [r["task"] for r in other] != [r["task"] for r in alone]


def test_base_features_are_read_once_per_setup(problem: Problem) -> None:
    read = []
    rows = type(problem.train).rows

    def counted(store, index):
        read.extend([] if store is problem.test else np.asarray(index).tolist())
        return rows(store, index)

    with mock.patch.object(type(problem.train), "rows", counted):
        run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 2, 5))
    of_base = np.flatnonzero(np.isin(problem.train.labels, problem.split.base))
    assert sorted(row for row in read if row in of_base) == of_base.tolist()


def test_a_record_says_what_was_done(problem: Problem) -> None:
    first = run_benchmark(*problem.parts, "logistic", {"n_steps": 3, "lr": 0.5}, n_shots=(1,), prior=False)[0]
    json.dumps(first, allow_nan=False)
    expected = {"representation": "features", "method": "logistic", "classifier": "logistic", "generator": None}
    expected |= {"n_per_class": 0, "seed": 0, "experiment": 1, "unit_size": 3}
    assert expected.items() <= first.items()
    assert first["params"]["lr"] == 0.5
    assert {"time", "host", "versions", "seconds", "task", "unit"} <= first.keys()
    tagged = run_benchmark(
        *problem.parts, NearestMean(), n_shots=(1,), prior=False, tags={"method": "mine", "hash": "x"}
    )
    assert (tagged[0]["method"], tagged[0]["hash"], tagged[0]["representation"]) == ("mine", "x", "features")


def test_a_finished_task_is_not_run_again(problem: Problem, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 2), store=ResultStore(path))
    written = path.read_bytes()
    with mock.patch.object(NearestMean, "fit_base", side_effect=AssertionError("it was fitted again")):
        again = run_benchmark(*problem.parts, NearestMean(), n_shots=(2, 1), store=ResultStore(path))
    assert sorted(r["task"] for r in again) == sorted(r["task"] for r in first)
    assert path.read_bytes() == written
    path.write_bytes(written[:-5])  # a kill in the last task: n = 2 on test
    continued = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 2), store=ResultStore(path))
    assert without_times(continued) == without_times(first)
    assert ResultStore(path).records == continued


def test_another_method_seed_generator_or_file_is_another_task(problem: Problem, tmp_path: Path) -> None:
    def fingerprints(classifier=None, problem=problem, **options):
        records = run_benchmark(*problem.parts, classifier or NearestMean(), n_shots=(1,), prior=False, **options)
        return {r["unit"] for r in records}

    one = fingerprints()
    assert fingerprints() == one
    found = [one, fingerprints(Logistic(n_steps=1)), fingerprints(seed=1), fingerprints(setup="val")]
    found += [fingerprints(generator=Doubling(), n_per_class=n) for n in (2, 3)]
    found.append(fingerprints(generator=Doubling(0.5), n_per_class=3))
    changed = write_features(tmp_path / "other.h5", problem.train.labels, seed=9)
    found.append(fingerprints(problem=Problem(changed, problem.test, problem.split, problem.experiments)))
    assert len(set.union(*found)) == len(found)


def test_generated_features_join_the_shots_of_each_run(problem: Problem) -> None:
    generator = Doubling(shift=0.25)
    records = run_benchmark(
        *problem.parts, NearestMean(), n_shots=(2,), generator=generator, n_per_class=4, prior=False, seed=1
    )
    assert {(r["generator"], r["n_per_class"], r["method"]) for r in records} == {
        ("Doubling", 4, "Doubling + nearest_mean")
    }
    assert len(generator.calls) == 3
    assert len({seed for *_, seed in generator.calls}) == 3
    for experiment, (features, labels, n_per_class, _) in enumerate(generator.calls, start=1):
        rows = problem.experiments.shots(experiment, 2, problem.split.novel_2)
        np.testing.assert_array_equal(features, problem.train.features[rows])
        np.testing.assert_array_equal(labels, problem.train.labels[rows])
        assert n_per_class == 4


def test_examples_are_the_same_queries_for_every_method(problem: Problem) -> None:
    kept = []
    for classifier in (NearestMean(), Logistic(n_steps=5)):
        records = run_benchmark(*problem.parts, classifier, n_shots=(1,), prior=False, examples=4)
        assert ["examples" in r for r in records] == [True, False, False]
        kept.append(records[0]["examples"])
    assert [e["row"] for e in kept[0]] == [e["row"] for e in kept[1]]
    for example in kept[0]:
        assert example["true"] == problem.test.labels[example["row"]]
        assert example["true"] in problem.split.novel_2
        assert example["path"] == problem.test.paths[example["row"]]
        assert example["predicted"] in [*problem.split.base_2, *problem.split.novel_2]


class TestBadInput:
    def run(self, problem: Problem, **options: object) -> None:
        with mock.patch.object(NearestMean, "fit_base", side_effect=AssertionError("something was fitted")):
            run_benchmark(*problem.parts, NearestMean(), **{"n_shots": (1, 2), **options})

    def test_features_of_another_width(self, problem: Problem, tmp_path: Path) -> None:
        with FeatureStore.create(tmp_path / "wide.h5", 9) as out:
            out.append(np.zeros((8, 9)), np.arange(8))
        problem.test = FeatureStore.open(tmp_path / "wide.h5")
        with pytest.raises(InputError, match=r"6 features per image and .*wide\.h5 9"):
            self.run(problem)

    def test_features_of_other_weights(self, problem: Problem) -> None:
        problem.train.attributes["backbone_fingerprint"] = "a"
        problem.test.attributes["backbone_fingerprint"] = "b"
        with pytest.raises(InputError, match="different weights"):
            self.run(problem)

    def renamed(self, store: FeatureStore, path: Path, names: str) -> FeatureStore:
        """A copy of a features file that names its classes."""
        with FeatureStore.create(path, store.dim, class_names=list(names)) as out:
            out.append(store.features, store.labels, store.paths)
        return FeatureStore.open(path)

    def test_train_and_test_features_of_other_classes(self, problem: Problem, tmp_path: Path) -> None:
        problem.train = self.renamed(problem.train, tmp_path / "one.h5", "abdefghi")
        problem.test = self.renamed(problem.test, tmp_path / "two.h5", "abcdefgi")
        message = r"one\.h5 and .*two\.h5 have different classes: 'h' is only in .*one\.h5; 'c' is only in .*two"
        with pytest.raises(InputError, match=message):
            self.run(problem)

    def test_a_split_or_experiments_of_other_classes(self, problem: Problem, tmp_path: Path) -> None:
        problem.train = self.renamed(problem.train, tmp_path / "one.h5", "abcdefgh")
        groups = (problem.split.base_1, problem.split.base_2, problem.split.novel_1, problem.split.novel_2)
        problem.split = ClassSplit(*groups, list("abdcefgh"))
        with pytest.raises(InputError, match=r"label 2 is 'd' in the class split but 'c' in .*one\.h5"):
            self.run(problem)
        problem.split = ClassSplit(*groups, list("abcdefgh"))
        problem.experiments.class_names = list("abcdefgx")
        with pytest.raises(InputError, match=r"'x' is only in the experiments; 'h' is only in .*one\.h5"):
            self.run(problem)

    def test_names_of_another_kind_are_not_compared(self, problem: Problem, tmp_path: Path) -> None:
        problem.train = self.renamed(problem.train, tmp_path / "one.h5", "abcdefgh")
        run_benchmark(*problem.parts, NearestMean(), n_shots=(1,))  # the split says "class 0" for "a"

    def test_labels_outside_the_split(self, problem: Problem) -> None:
        problem.split = ClassSplit([0], [1], [2], [3], list("abcd"))
        with pytest.raises(InputError, match=r"train\.h5: row \d+ has label \d, outside the split"):
            self.run(problem)

    @pytest.mark.parametrize("part", ["train", "test"])
    def test_a_class_without_images(self, problem: Problem, tmp_path: Path, part: str) -> None:
        labels = getattr(problem, part).labels
        present = np.where(labels == 6, 1, labels)
        setattr(problem, part, write_features(tmp_path / "less.h5", present, seed=0))
        problem.experiments = Experiments.random(problem.train.labels, problem.train.paths, ["x"] * 8, 3, 5)
        with pytest.raises(InputError, match=r"less\.h5 has no image of class 6 \('class 6'\), which setup 'test'"):
            self.run(problem, prior=False)

    def test_experiments_for_other_data(self, problem: Problem) -> None:
        problem.experiments = Experiments.random(np.sort(problem.train.labels), None)
        with pytest.raises(InputError, match=r"train\.h5: experiment 1 lists row"):
            self.run(problem)

    def test_more_shots_than_a_class_has(self, problem: Problem) -> None:
        with pytest.raises(InputError, match="has 5 images in experiment 1, but 6 shots are asked for"):
            self.run(problem, n_shots=(1, 6))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"setup": "final"}, "expected 'val'"),
            ({"n_per_class": 5}, "generator and n_per_class go together"),
            ({"generator": Doubling()}, "generator and n_per_class go together"),
        ],
    )
    def test_options_that_make_no_sense(self, problem: Problem, options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            self.run(problem, **options)

    def test_a_classifier_without_two_phases(self, problem: Problem) -> None:
        from sklearn.linear_model import LogisticRegression

        with pytest.raises(InputError, match="LogisticRegression is no LowShotClassifier"):
            run_benchmark(*problem.parts, LogisticRegression())

    def test_features_that_are_not_numbers(self, problem: Problem, tmp_path: Path) -> None:
        import h5py

        with h5py.File(problem.test.path, "a") as file:
            file["all_feats"][4, 2] = np.nan
        problem.test = type(problem.test).open(problem.test.path)
        with pytest.raises(InputError, match=r"test\.h5: row 4 holds NaN"):
            run_benchmark(*problem.parts, NearestMean(), n_shots=(1,), prior=False)


def test_a_record_names_its_data_and_its_draw_of_shots(problem: Problem) -> None:
    first = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 5), prior=False)
    second = run_benchmark(*problem.parts, NearestMean("euclidean"), n_shots=(1, 5), prior=False)
    assert [r["shots"] for r in first] == [r["shots"] for r in second]
    rows = [problem.experiments.shots(r["experiment"], r["n_shots"], [4, 5]).tolist() for r in first]
    for one, its_rows in zip(first, rows):  # two draws of one shot may well be the same
        assert [one["shots"] == r["shots"] for r in first] == [its_rows == other for other in rows]
    assert {json.dumps(r["data"]) for r in first + second} == {json.dumps(first[0]["data"])}
    assert {key: first[0]["data"][key] for key in ("base", "novel", "classes")} == {"base": 2, "novel": 2, "classes": 8}
    fewer = write_features(problem.test.path.with_name("fewer.h5"), problem.test.labels[:64], seed=3)
    [other, *_] = run_benchmark(problem.train, fewer, *problem.parts[2:], NearestMean(), n_shots=(1,), prior=False)
    assert other["data"]["train"] == first[0]["data"]["train"]
    assert other["data"]["test"] != first[0]["data"]["test"]
    assert other["features"] != first[0]["features"] == second[0]["features"]
