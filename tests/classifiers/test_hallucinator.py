"""Claims of the classifiers that a hallucinator was trained with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowshot.classifiers.hallucinator import Hallucinator
from lowshot.classifiers.prototype_matching import PrototypeMatching
from lowshot.classifiers.prototypical import Prototypical
from lowshot.classifiers.prototypical_hallucination import PrototypicalHallucination
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import hallucinator as reference
from tests.reference import matching_network

SMALL = {"n_episodes": 4, "n_shots": (1, 3), "hallucinator_hidden": 9, "n_augmented": 5, "feature_transform": "l2"}
BOTH = pytest.mark.parametrize("build", [PrototypicalHallucination, PrototypeMatching])


def units_of(X, y):
    units = X / np.linalg.norm(X, axis=1, keepdims=True)
    return [units[y == c] for c in np.unique(y)]


def shaken(classifier, p):
    """The classifier after ``fit_base``, with random parameters, so that the hallucinator makes something else."""
    rng = np.random.default_rng(0)
    known = classifier.fit_base(*p.base)
    for name, value in known._weights_.items():
        if "noise" not in name and "centre" not in name:
            value += 0.2 * rng.normal(size=value.shape).astype(value.dtype)
    return known


@pytest.mark.parametrize("n_shots", [1, 3, 7])
def test_prototypes_are_means_of_real_and_generated_examples_in_the_learned_space(n_shots):
    p = problem(n_shots=n_shots)
    fitted = shaken(PrototypicalHallucination(**SMALL), p).fit_novel(*p.novel)
    w = fitted._weights_
    expected = [(reference.filled_up(own, 5, w) @ w["linear.weight"].T).mean(axis=0) for own in units_of(*p.novel)]
    np.testing.assert_allclose(fitted.prototypes_[5:], expected, atol=1e-4)


@pytest.mark.parametrize("contextual", [True, False])
def test_prototype_matching_is_a_matching_network_of_one_example_a_class(contextual):
    p = problem(n_shots=2)
    fitted = shaken(PrototypeMatching(**SMALL, contextual=contextual, scale=4.0), p).fit_novel(*p.novel)
    w = fitted._weights_
    base = [4 * own.mean(axis=0) for own in units_of(*p.base)]
    novel = [reference.filled_up(4 * own, 5, w).mean(axis=0) for own in units_of(*p.novel)]
    np.testing.assert_allclose(fitted.prototypes_, np.concatenate([base, novel]), atol=1e-4)
    matching = {name.removeprefix("matching."): value for name, value in w.items() if name.startswith("matching.")}
    queries = 4 * p.queries[0] / np.linalg.norm(p.queries[0], axis=1, keepdims=True)
    expected = matching_network.scores(matching, fitted.prototypes_, np.arange(8), queries, 8, 5, contextual)
    np.testing.assert_allclose(fitted.scores(p.queries[0]), expected, atol=1e-3)


def test_an_untrained_hallucinator_is_the_identity():
    torch.manual_seed(0)
    network = Hallucinator(4, 6, 5, 1.0)
    support = torch.randn(3, 4)
    everything, members = network.augment(support, torch.tensor([1, 2]))
    assert torch.equal(everything, support[[0, 1, 2, 0, 0, 0, 0, 1, 2, 1]])
    expected = torch.stack([support[0], (3 * support[1] + 2 * support[2]) / 5])
    assert torch.allclose(members @ everything, expected)


def test_without_generated_examples_it_is_a_prototypical_network():
    p = problem()
    ours = PrototypicalHallucination(n_augmented=0, n_episodes=5).fit_base(*p.base).fit_novel(*p.novel)
    plain = Prototypical(n_episodes=5).fit_base(*p.base).fit_novel(*p.novel)
    np.testing.assert_allclose(ours.scores(p.queries[0]), plain.scores(p.queries[0]), atol=1e-4)


@BOTH
def test_the_loss_of_queries_trains_the_hallucinator(build):
    p = problem()
    start, trained = (build(**SMALL | {"n_episodes": n, "lr": 0.1}).fit_base(*p.base)._weights_ for n in (0, 20))
    for layer in (0, 2, 4):
        name = f"hallucinator.layers.{layer}.weight"
        assert not np.array_equal(start[name], trained[name])
    assert np.array_equal(start["hallucinator.noise"], trained["hallucinator.noise"])


def test_training_adds_noise_anew_and_use_the_same_to_every_class():
    torch.manual_seed(0)
    network = Hallucinator(4, 6, 3, 1.0)
    torch.nn.init.normal_(network.layers[-1].weight)
    support, counts = torch.randn(1, 4).expand(2, 4), torch.tensor([1, 1])
    used = network.eval().augment(support, counts)[0]
    assert torch.equal(used[2:4], used[4:6])
    first, second = (network.train().augment(support, counts)[0] for _ in range(2))
    assert not torch.equal(first, second)


@BOTH
def test_training_lowers_the_loss_on_novel_classes(build):
    """Classes differ in three of twenty dimensions, and the others have more noise."""
    rng = np.random.default_rng(0)
    means = np.zeros((40, 20))
    means[:, :3] = 2 * rng.normal(size=(40, 3))
    noise = np.array([0.3] * 3 + [1.0] * 17)

    def draw(classes, n):
        labels = np.repeat(classes, n)
        return means[labels] + noise * rng.normal(size=(len(labels), 20)), labels

    base, shots, queries = draw(np.arange(25), 30), draw(np.arange(25, 40), 1), draw(np.arange(25, 40), 30)

    def accuracy(n_episodes):
        fitted = build(feature_transform="l2", n_shots=(1, 3), n_episodes=n_episodes, lr=0.02).fit_base(*base)
        return np.mean(fitted.fit_novel(*shots).scores(queries[0])[:, 25:].argmax(axis=1) + 25 == queries[1])

    assert accuracy(300) > accuracy(0) + 0.05


@BOTH
@pytest.mark.parametrize(("parameter", "value"), [("n_augmented", -1), ("hallucinator_hidden", 0), ("noise", -1.0)])
def test_a_parameter_out_of_range_is_named(build, parameter, value):
    with pytest.raises(InputError, match=f"^{parameter}="):
        build(**{parameter: value}).fit_base(*problem().base)
