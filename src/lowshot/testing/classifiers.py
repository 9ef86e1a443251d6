"""The contract of a classifier, checked on small data."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from lowshot.classifiers import LowShotClassifier, load_classifier, save_classifier
from lowshot.registry import CLASSIFIERS
from lowshot.testing.conformance import Check, Problem, built, problem, run_checks, untouched

_ROUNDING = 1e-4


def check_classifier(
    classifier: LowShotClassifier | type[LowShotClassifier] | str, *, thorough: bool = True, **params: Any
) -> None:
    """Check that a classifier keeps the contract that the benchmark and recognisers rest on.

    Checked are: the shapes and finiteness of its scores, also with one shot, one novel class or one query; that it
    tells classes apart that are far from each other; that a seed controls all that is random; that it changes neither
    its arguments nor, with one draw of shots, the answers to the next; that ``novel_parameters`` are read in the novel
    phase alone; probabilities; N-way K-shot episodes; and, for a registered class, that a file gives back what was
    saved.

    Args:
        classifier (LowShotClassifier, class or str): An estimator, which is cloned; its class; or a registered name.
            A classifier that trains for long is best given with parameters that make it quick.
        thorough (bool): False fits twice and checks scores alone, as ``lowshot validate`` does.
        **params (objects): The parameters of a class or name.

    Raises:
        ConformanceError: It breaks the contract; a line for each finding.
        InputError: The name or a parameter is unknown.

    Example:
        >>> check_classifier("ridge", alpha=1.0)
    """
    made = clone(built(CLASSIFIERS, classifier, params))
    if made.get_params(deep=False).get("random_state", 0) is None:
        made.set_params(random_state=0)
    run_checks(f"classifier {type(made).__name__}", _checks(made, thorough))


def _checks(classifier: LowShotClassifier, thorough: bool) -> Iterator[Check]:
    for signed in (False, True):
        given = problem(signed=signed)
        yield partial(_scores_fit, classifier, given)
        yield partial(_classes_are_told_apart, classifier, given)
        if not thorough:
            return
    for one in (problem(n_shots=1), problem(n_novel=1)):
        yield partial(_scores_fit, classifier, one)
    given = problem()
    yield partial(_parameters_are_stored, classifier)
    yield partial(_arguments_are_left_alone, classifier, given)
    yield partial(_seeds_decide, classifier, given)
    yield partial(_draws_are_independent, classifier, given)
    yield partial(_several_runs_equal_single_ones, classifier, given)
    yield partial(_queries_are_independent, classifier, given)
    yield partial(_novel_parameters_are_novel, classifier, given)
    yield partial(_probabilities_sum_to_one, classifier, given)
    yield partial(_episodes_have_scores, classifier, given)
    if any(entry.factory is type(classifier) for entry in CLASSIFIERS):
        yield partial(_files_give_back, classifier, given)


def _fitted(classifier: LowShotClassifier, given: Problem) -> LowShotClassifier:
    known = clone(classifier).fit_base(given.base_X, given.base_y)
    return known.fit_novel(given.shots_X, given.shots_y)


def _scores_fit(classifier: LowShotClassifier, given: Problem) -> str | None:
    fitted = _fitted(classifier, given)
    n_classes = len(np.unique(given.base_y)) + len(np.unique(given.shots_y))
    scores = fitted.scores(given.queries_X)
    if scores.shape != (len(given.queries_X), n_classes):
        return f"scores have the shape {scores.shape}, not {(len(given.queries_X), n_classes)}"
    if np.isnan(scores).any():
        shots = len(given.shots_y) // len(np.unique(given.shots_y))
        return f"scores are NaN with {shots} shots of {len(np.unique(given.shots_y))} novel classes"
    return None


def _classes_are_told_apart(classifier: LowShotClassifier, given: Problem) -> str | None:
    right = _fitted(classifier, given).predict(given.queries_X) == given.queries_y
    chance = 1 / len(np.unique(given.queries_y))
    if right.mean() < 2 * chance:
        return (
            f"of classes that are far apart {right.mean():.0%} of the queries are right (chance is {chance:.0%}): are "
            "the columns base classes first, and higher scores likelier?"
        )
    return None


def _parameters_are_stored(classifier: LowShotClassifier) -> str | None:
    params = classifier.get_params(deep=False)
    rebuilt = type(classifier)(**params).get_params(deep=False)
    wrong = [name for name, value in rebuilt.items() if value is not params[name]]
    return f"the constructor changes {', '.join(wrong)}: it must store parameters as they are given" if wrong else None


def _arguments_are_left_alone(classifier: LowShotClassifier, given: Problem) -> str | None:
    arrays = [given.base_X, given.base_y, given.shots_X, given.shots_y, given.queries_X]
    if untouched(arrays, lambda: _fitted(classifier, given).scores(given.queries_X)):
        return None
    return "fit_base, fit_novel or scores changes an array that it was given: copy it first"


def _seeds_decide(classifier: LowShotClassifier, given: Problem) -> str | None:
    first, second = (_fitted(classifier, given).scores(given.queries_X) for _ in range(2))
    if np.array_equal(first, second):
        return None
    return "two fits on the same data differ: draw from a generator that random_state seeds"


def _draws_are_independent(classifier: LowShotClassifier, given: Problem) -> str | None:
    other = problem(seed=1)
    known = clone(classifier).fit_base(given.base_X, given.base_y)
    alone = copy.copy(known).fit_novel(given.shots_X, given.shots_y).scores(given.queries_X)
    copy.copy(known).fit_novel(other.shots_X, other.shots_y)
    after = copy.copy(known).fit_novel(given.shots_X, given.shots_y).scores(given.queries_X)
    if np.array_equal(alone, after):
        return None
    return (
        "a draw of shots changes the answers to the next: _fit_novel changes, in place, what _fit_base learned; assign "
        "new arrays instead"
    )


def _several_runs_equal_single_ones(classifier: LowShotClassifier, given: Problem) -> str | None:
    other = problem(seed=1)
    known = clone(classifier).fit_base(given.base_X, given.base_y)
    shots = [(given.shots_X, given.shots_y), (other.shots_X, other.shots_y)]
    seed = int(known.get_params(deep=False).get("random_state") or 0)
    together = [run.scores(given.queries_X) for run in known.fit_novel_runs(shots, [seed, seed])]
    for scores, (X, y) in zip(together, shots):
        alone = copy.copy(known).fit_novel(X, y).scores(given.queries_X)
        if not _close(scores, alone):
            return "fit_novel_runs gives other scores than fit_novel: _fit_together must learn what _fit_novel learns"
    return None


def _queries_are_independent(classifier: LowShotClassifier, given: Problem) -> str | None:
    fitted = _fitted(classifier, given)
    together = fitted.scores(given.queries_X)
    alone = np.concatenate([fitted.scores(query[None]) for query in given.queries_X])
    if _close(together, alone):
        return None
    return "the scores of a query depend on the other queries: the benchmark asks in blocks, users one by one"


def _novel_parameters_are_novel(classifier: LowShotClassifier, given: Problem) -> str | None:
    for name in sorted(classifier.novel_parameters):
        for value in classifier.tuning_grid.get(name, ()):
            changed = clone(classifier).set_params(**{name: value})
            known = clone(classifier).fit_base(given.base_X, given.base_y)
            shared = known.with_novel_parameters(**{name: value}).fit_novel(given.shots_X, given.shots_y)
            if not _close(shared.scores(given.queries_X), _fitted(changed, given).scores(given.queries_X)):
                return f"novel_parameters names {name}, but fit_base reads it: tuning would give wrong results"
    return None


def _probabilities_sum_to_one(classifier: LowShotClassifier, given: Problem) -> str | None:
    found = _fitted(classifier, given).predict_proba(given.queries_X)
    wrong = not np.isfinite(found).all() or (found < 0).any() or np.abs(found.sum(axis=1) - 1).max() > _ROUNDING
    return "the rows of predict_proba do not sum to one" if wrong else None


def _episodes_have_scores(classifier: LowShotClassifier, given: Problem) -> str | None:
    known = clone(classifier).fit_base(given.base_X, given.base_y)
    rows = np.stack([np.flatnonzero(given.shots_y == label)[:2] for label in np.unique(given.shots_y)])
    shots = np.stack([given.shots_X[rows]] * 2)
    queries = np.stack([given.queries_X[:7]] * 2)
    scores = known.scores_of_episodes(shots, queries, [0, 0])
    if scores.shape != (2, 7, len(rows)) or np.isnan(scores).any():
        return f"scores of two episodes have the shape {scores.shape} or are NaN; expected {(2, 7, len(rows))}"
    return None if _close(scores[0], scores[1]) else "two equal episodes have different scores"


def _files_give_back(classifier: LowShotClassifier, given: Problem) -> str | None:
    fitted = _fitted(classifier, given)
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        path = Path(folder, "classifier.safetensors")
        save_classifier(fitted, path)
        again = load_classifier(path)
    if np.array_equal(again.scores(given.queries_X), fitted.scores(given.queries_X)):
        return None
    return "a saved and loaded classifier has other scores: keep all that was learned in attributes that end in _"


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    finite = np.isfinite(one)
    scale = float(np.abs(one[finite]).max(initial=1.0))
    return bool(np.allclose(one, other, rtol=_ROUNDING, atol=_ROUNDING * scale))
