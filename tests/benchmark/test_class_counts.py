"""Records say which classes were answered rightly, and which were confused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.benchmark import Engine, run_benchmark
from lowshot.benchmark.class_counts import MOST_CONFUSIONS, class_order, run_counts, task_counts
from lowshot.benchmark.metrics import top_k_ranks
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.data.splits import Setup
from tests.benchmark.problems import Problem
from tests.reference import metrics as reference

SETUP = Setup("test", np.array([4, 0, 2]), np.array([6, 1, 3, 5]))
ORDER = [0, 2, 4, 1, 3, 5, 6]


@st.composite
def runs(draw):
    """Labels of some queries and several runs' scores, with many ties."""
    labels = draw(st.lists(st.integers(0, 6), min_size=1, max_size=15))
    score = st.sampled_from([0.0, 0.25, 1.0, 2.0])
    row = st.lists(score, min_size=7, max_size=7)
    some = st.lists(row, min_size=len(labels), max_size=len(labels))
    return labels, draw(st.lists(some, min_size=1, max_size=3)), draw(st.sampled_from([-1.0, 0.0, 0.25, 5.0]))


@settings(deadline=None, max_examples=100)
@given(runs())
def test_they_are_the_definition(run):
    labels, all_scores, bias = run
    rows = [100 + i for i in range(len(labels))]
    ranks = [top_k_ranks(scores, labels, SETUP.base, SETUP.novel) for scores in all_scores]
    for one, scores in zip(ranks, all_scores):
        found = run_counts(one, np.array(labels), SETUP, bias)
        shifted = (np.array(scores) + np.where(np.isin(np.arange(7), SETUP.novel), bias, 0)).tolist()
        for k in (1, 5):
            assert found[f"top{k}_by_class"] == reference.right_by_class(scores, labels, ORDER, range(7), k)
            assert found[f"all_prior_top{k}_by_class"] == reference.right_by_class(shifted, labels, ORDER, range(7), k)
            novel_only = reference.right_by_class(scores, labels, ORDER[3:], ORDER[3:], k)
            assert found[f"novel_only_top{k}_by_class"] == novel_only
        for entry, b in (("answered_as", 0.0), ("answered_as_prior", bias)):
            answers = reference.answers(scores, SETUP.novel.tolist(), b)
            kinds = {"base": SETUP.base, "novel": SETUP.novel}
            for kind, classes in kinds.items():
                of = [i for i, label in enumerate(labels) if label in classes]
                right = sum(answers[i] == labels[i] for i in of)
                same = sum(answers[i] in classes for i in of)
                assert found[entry][kind] == [right, same - right, len(of) - same]
    answers = [reference.answers(scores, SETUP.novel.tolist()) for scores in all_scores]
    found = task_counts(ranks, np.arange(7), np.array(labels), np.array(rows), SETUP)
    assert found["confusions"] == reference.confusions(answers, labels, rows, MOST_CONFUSIONS)
    assert found["queries_by_class"] == [labels.count(c) for c in ORDER]
    assert found["classes"] == {"base": ORDER[:3], "novel": ORDER[3:]}
    assert class_order(SETUP).tolist() == ORDER


def test_the_counts_of_a_record_add_up_to_its_accuracies(problem: Problem) -> None:
    records = run_benchmark(*problem.parts, NearestMean(), n_shots=(1, 2), engine=Engine("serial"))
    for record in records:
        first = next(r for r in records if r["unit"] == record["unit"])
        queries, n_base = np.array(first["queries_by_class"]), len(first["classes"]["base"])
        for k in (1, 5):
            right = np.array(record[f"top{k}_by_class"])
            assert record[f"all_top{k}"] == pytest.approx(right.sum() / queries.sum())
            assert record[f"base_top{k}"] == pytest.approx(right[:n_base].sum() / queries[:n_base].sum())
            assert record[f"novel_top{k}"] == pytest.approx(right[n_base:].sum() / queries[n_base:].sum())
            novel_only = np.array(record[f"novel_only_top{k}_by_class"])
            assert record[f"novel_only_top{k}"] == pytest.approx(novel_only.sum() / queries[n_base:].sum())
            if record["setup"] == "test":
                with_bias = np.array(record[f"all_prior_top{k}_by_class"])
                assert record[f"all_prior_top{k}"] == pytest.approx(with_bias.sum() / queries.sum())
        assert sum(sum(kind) for kind in record["answered_as"].values()) == queries.sum()


def test_the_first_record_of_a_task_names_the_classes_and_the_confused_queries(problem: Problem) -> None:
    records = run_benchmark(*problem.parts, NearestMean(), n_shots=(1,), setup="test", engine=Engine("serial"))
    first, *others = [record for record in records if record["setup"] == "test"]
    labels = [*first["classes"]["base"], *first["classes"]["novel"]]
    assert first["class_names"] == [f"class {label}" for label in labels]
    assert first["confusions"]
    for true, answered, times, row in first["confusions"]:
        assert problem.test.labels[row] == true != answered
        assert answered in labels
        assert 1 <= times <= 3 * 9
    assert not any("confusions" in other or "classes" in other for other in others)


def test_equal_answers_have_equal_fingerprints(problem: Problem) -> None:
    one, same, other = (
        [r["answers"] for r in run_benchmark(*problem.parts, c, n_shots=(1,), engine=Engine("serial"))]
        for c in (NearestMean(), NearestMean(), NearestMean(metric="euclidean", feature_transform="none"))
    )
    assert one == same
    assert one != other


def test_a_record_of_a_thousand_classes_is_small() -> None:
    rng = np.random.default_rng(0)
    setup = Setup("test", np.arange(400), np.arange(400, 1000))
    labels = np.repeat(np.arange(1000), 10)
    scores = rng.normal(size=(len(labels), 1000)).astype(np.float32)
    scores[np.arange(len(labels)), labels] += 2
    ranks = top_k_ranks(scores, labels, setup.base, setup.novel)
    entries = run_counts(ranks, labels, setup, 0.5)
    assert len(json.dumps(entries)) < 20_000
    assert len(json.dumps(task_counts([ranks], np.arange(1000), labels, labels, setup)["confusions"])) < 1_000
