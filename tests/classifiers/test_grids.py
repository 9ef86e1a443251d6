"""The declarations for tuning: parameters that share one fit of the base classes, and grids of values to try."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.persistence import save_classifier
from lowshot.errors import InputError
from lowshot.registry import CLASSIFIERS
from tests.classifiers import problems
from tests.classifiers.problems import problem

OWN = [name for name in CLASSIFIERS.names() if CLASSIFIERS.entry(name).source.startswith("lowshot.")]

#: A second value of every parameter that fit_base does not read.
OTHERS = {
    "solver": "lbfgs",
    "lr": 0.5,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "dampening": 0.0,
    "n_steps": 20,
    "batch_size": 17,
    "gradient_every": 2,
    "n_outputs": 12,
    "precision": "bfloat16",
    "alpha": 0.7,
    "calibration": 0.2,
    "sharpness": 3.0,
    "gamma": 3.0,
    "strength": 2.0,
    "density_weight": 0.7,
    "text_weight": 3.0,
    "predictive": True,
    "metric": "euclidean",
    "class_weight": {1: 5.0},
    "rescale_above": 1.0,
}
SHARED = [(name, parameter) for name in OWN for parameter in sorted(CLASSIFIERS.get(name).novel_parameters)]  # type: ignore[attr-defined]


def build(name: str) -> LowShotClassifier:
    """A classifier of few steps: these tests compare two fits, whatever they reach."""
    classifier = problems.build(name)
    return classifier.set_params(n_steps=10) if "n_steps" in classifier.get_params() else classifier


@pytest.mark.parametrize(("name", "parameter"), SHARED)
def test_a_shared_base_fit_gives_what_a_new_one_gives(name: str, parameter: str) -> None:
    p, other = problem(), {parameter: OTHERS[parameter]}
    shared = build(name).fit_base(*p.base).with_novel_parameters(**other).fit_novel(*p.novel)
    refitted = build(name).set_params(**other).fit_base(*p.base).fit_novel(*p.novel)
    assert np.array_equal(shared.scores(p.queries[0]), refitted.scores(p.queries[0]))


@pytest.mark.parametrize(("name", "parameter"), SHARED)
def test_a_shared_base_fit_is_left_as_it_was(name: str, parameter: str) -> None:
    p = problem()
    known = build(name).fit_base(*p.base)
    before = known.get_params()
    known.with_novel_parameters(**{parameter: OTHERS[parameter]}).fit_novel(*p.novel)
    assert known.get_params() == before
    expected = build(name).fit_base(*p.base).fit_novel(*p.novel).scores(p.queries[0])
    assert np.array_equal(known.fit_novel(*p.novel).scores(p.queries[0]), expected)


def test_a_parameter_that_the_base_fit_reads_needs_a_new_one() -> None:
    p = problem()
    with pytest.raises(InputError, match="fit_base reads 'shrinkage' and must run again"):
        build("gaussian").fit_base(*p.base).with_novel_parameters(shrinkage=0.5)


@pytest.mark.parametrize("name", OWN)
def test_every_point_of_the_declared_grid_can_be_fitted(name: str) -> None:
    p, grid = problem(), CLASSIFIERS.get(name).tuning_grid  # type: ignore[attr-defined]
    for values in product(*grid.values()):
        point = dict(zip(grid, values))
        assert not CLASSIFIERS.complaints(name, point)
        classifier = build(name).set_params(**point).fit_base(*p.base).fit_novel(*p.novel)
        assert np.isfinite(classifier.scores(p.queries[0])).all()


@pytest.mark.parametrize("name", OWN)
def test_a_declared_grid_is_small_and_leaves_trained_networks_alone(name: str) -> None:
    kind = CLASSIFIERS.get(name)
    grid = kind.tuning_grid  # type: ignore[attr-defined]
    assert int(np.prod([len(values) for values in grid.values()])) <= 9
    if isinstance(kind, type) and issubclass(kind, EpisodicClassifier):
        assert grid.keys() <= kind.inference_parameters
    else:
        assert grid


def test_inference_parameters_do_not_change_a_trained_network(tmp_path: Path) -> None:
    p, path = problem(dtype=np.float32), tmp_path / "trained.safetensors"
    save_classifier(build("matching_network").fit_base(*p.base), path)
    for value in (2, 7):
        used = build("matching_network").set_params(pretrained=path, n_support=value)
        trained = build("matching_network").set_params(n_support=value)
        scores = [c.fit_base(*p.base).fit_novel(*p.novel).scores(p.queries[0]) for c in (used, trained)]
        assert np.array_equal(*scores)
