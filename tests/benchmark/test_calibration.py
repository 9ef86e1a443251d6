"""The calibration bias: no other is better on validation, and nothing else is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowshot.benchmark.calibration_bias import Validation, choose_bias
from lowshot.benchmark.metrics import top_k_ranks
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.data.splits import Setup
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import calibration as reference

TARGETS = st.sampled_from(["all_top1", "all_top5"])


@st.composite
def runs(draw):
    """One to three runs of the same classes, with queries of both groups."""
    n_base, n_novel = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    order = draw(st.permutations(range(n_base + n_novel)))
    base, novel = list(order[:n_base]), list(order[n_base:])
    found = []
    for _ in range(draw(st.integers(1, 3))):
        labels = draw(st.lists(st.sampled_from([*base, *novel]), min_size=1, max_size=6))
        row = st.lists(st.integers(-8, 8).map(lambda i: i / 4), min_size=len(order), max_size=len(order))
        scores = draw(st.lists(row, min_size=len(labels), max_size=len(labels)))
        found.append((scores, labels, base, novel))
    return found


def validation(found, name="val"):
    _, _, base, novel = found[0]
    return Validation(Setup(name, np.array(base), np.array(novel)), [top_k_ranks(*run) for run in found])


@settings(deadline=None, max_examples=150)
@given(runs(), TARGETS)
@example([([[0.0] * 6, [0.0] * 6, [0, 0, 0, 0.25, 0.25, 0]], [0, 0, 3], [0, 1, 2, 4], [3, 5])], "all_top1")
@example([([[0.0] * 6, [0.0] * 6, [0, 0, 0, 0.25, 0.25, 0]], [0, 0, 3], [0, 1, 2, 4], [3, 5])], "all_top5")
def test_no_bias_is_better_than_the_chosen_one(found, target):
    bias = choose_bias(validation(found), target)
    best = max(reference.accuracy(found, candidate, target) for candidate in reference.candidates(found))
    assert reference.accuracy(found, bias, target) == pytest.approx(best)


@settings(deadline=None, max_examples=50)
@given(runs(), st.integers(-9, 9).map(lambda i: i / 8))
def test_accuracies_with_a_bias_are_those_of_moved_scores(found, bias):
    for run in found:
        moved = top_k_ranks(*run).accuracies(bias)
        for k in (1, 5):
            assert moved[f"all_prior_top{k}"] == pytest.approx(reference.accuracy([run], bias, f"all_top{k}"))


@settings(deadline=None, max_examples=50)
@given(runs(), TARGETS, st.sampled_from([0.125, 2.0, 64.0]))
def test_the_scale_of_the_scores_does_not_matter(found, target, scale):
    scaled = [([[scale * s for s in row] for row in scores], *rest) for scores, *rest in found]
    accuracies = [
        reference.accuracy(group, choose_bias(validation(group), target), target) for group in (found, scaled)
    ]
    assert accuracies[0] == pytest.approx(accuracies[1])


def test_a_handicap_of_novel_scores_is_made_up_for():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 8
    scores = rng.normal(size=(400, 8)) + 4 * np.eye(8)[labels]
    scores[:, 4:] -= 10
    chosen = choose_bias(validation([(scores, labels, range(4), range(4, 8))]), "all_top1")
    assert abs(chosen - 10) < 1
    assert top_k_ranks(scores, labels, range(4), range(4, 8)).accuracies(chosen)["all_prior_top1"] > 0.9


def test_where_nothing_is_gained_the_scores_stay_as_they_are():
    right = np.eye(4)[[0, 1, 2, 3]] * 9
    assert choose_bias(validation([(right, [0, 1, 2, 3], [0, 1], [2, 3])]), "all_top1") == 0
    assert choose_bias(validation([(np.zeros((2, 4)), [0, 3], [0, 1], [2, 3])]), "all_top5") == 0


def test_infinite_scores_do_not_become_the_bias():
    scores = [[0.0, -np.inf, 1.0, -np.inf], [2.0, 0.0, -np.inf, 1.0]]
    assert np.isfinite(choose_bias(validation([(scores, [0, 3], [0, 1], [2, 3])]), "all_top1"))


def test_choices_on_the_test_setup_are_impossible():
    run = (np.eye(4), [0, 1, 2, 3], [0, 1], [2, 3])
    with pytest.raises(InputError, match="never on setup 'test'"):
        validation([run], name="test")
    with pytest.raises(InputError, match="there are none"):
        Validation(Setup("val", np.array([0]), np.array([1])), [])
    with pytest.raises(InputError, match="novel_top1"):
        choose_bias(validation([run]), "novel_top1")


def test_a_classifier_with_the_chosen_bias_is_as_good_as_the_search_says():
    p = problem(n_base=12, n_novel=3, noise=1.0)
    setup = Setup("val", np.unique(p.base[1]), np.unique(p.novel[1]))
    draws = [problem(n_base=12, n_novel=3, noise=1.0, n_shots=n).novel for n in (1, 2)]
    runs = NearestMean().fit_base(*p.base).fit_novel_runs(draws, [0, 1])
    validation = Validation.of(setup, runs, *p.queries)
    bias = choose_bias(validation, "all_top1")
    promised = np.mean([run.accuracies(bias)["all_prior_top1"] for run in validation.runs])
    reached = np.mean([one.with_calibration_bias(bias).predict(p.queries[0]) == p.queries[1] for one in runs])
    plain = np.mean([one.predict(p.queries[0]) == p.queries[1] for one in runs])
    assert reached == promised
    assert reached >= plain


def test_other_classes_than_those_of_the_setup_are_refused():
    p = problem()
    setup = Setup("val", np.unique(p.base[1]), np.unique(p.novel[1]))
    fitted = NearestMean().fit_base(*p.base).fit_novel(*p.novel)
    with pytest.raises(InputError, match=r"query labels \[99\] are no classes of setup 'val'"):
        Validation.of(setup, [fitted], p.queries[0][:1], [99])
    with pytest.raises(InputError, match="NearestMean was fitted on other classes"):
        Validation.of(setup, [NearestMean().fit_base(*p.base).fit_novel(p.novel[0][:1], [1])], *p.queries)
    with pytest.raises(InputError, match="never on setup 'test'"):
        Validation.of(Setup("test", setup.base, setup.novel), [fitted], *p.queries)
