from __future__ import annotations

import copy
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from lowshot.classifiers import matching_network
from lowshot.classifiers.matching_module import MatchingModule, sum_by_class
from lowshot.classifiers.matching_network import MatchingNetwork
from lowshot.classifiers.persistence import save_classifier
from lowshot.classifiers.prototypical import Prototypical
from lowshot.classifiers.training_episodes import EpisodeSampler
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import matching_network as reference

SMALL = {"n_episodes": 6, "n_shots": (1, 3), "n_support": 4}


def trained(p, **params):
    return MatchingNetwork(**(SMALL | params)).fit_base(*p.base).fit_novel(*p.novel)


@pytest.mark.parametrize("contextual", [True, False])
def test_scores_equal_those_of_the_reference(contextual):
    p = problem()
    classifier = trained(p, contextual=contextual)
    base_support, counts = classifier._base_support_
    shots = np.vstack([np.repeat(p.novel[0][p.novel[1] == c][None], 2, axis=0).reshape(4, -1) for c in (1, 3, 5)])
    support = np.vstack([base_support, shots])
    labels = np.repeat(np.arange(8), 4)
    expected = reference.scores(classifier._weights_, support, labels, p.queries[0], 8, 5, contextual)
    assert counts.tolist() == [4] * 5
    assert np.allclose(classifier.scores(p.queries[0]), expected, atol=1e-4)


def test_an_episode_is_scored_as_in_use():
    torch.manual_seed(0)
    network = MatchingModule(3, contextual=True, n_steps=2).eval()
    support, queries, counts = torch.randn(6, 3), torch.randn(2, 3), torch.tensor([1, 3, 2])
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    labels = np.repeat(np.arange(3), counts)
    expected = reference.scores(weights, support.numpy(), labels, queries.numpy(), 3, 2)
    with torch.no_grad():
        assert np.allclose(network(support, counts, queries), expected, atol=1e-5)


def test_shots_are_repeated_until_there_are_enough_and_base_classes_sampled():
    p = problem(n_shots=3)
    classifier = trained(p)
    assert classifier._counts_.tolist() == [4] * 5 + [6] * 3  # 3 shots are repeated ceil(4/3) = 2 times
    support = classifier._base_support_[0]
    for c in range(5):
        own = p.base[0][p.base[1] == 2 * c]
        drawn = support[4 * c : 4 * c + 4]
        assert len(np.unique(drawn, axis=0)) == 4
        assert all(np.isclose(own, row).all(axis=1).any() for row in drawn)


def test_a_base_class_with_too_few_examples_is_repeated_as_well():
    p = problem(per_base=3)
    assert trained(p, n_support=7)._counts_[:5].tolist() == [9] * 5


def test_a_class_with_next_to_no_attention_has_a_finite_score():
    logs = torch.tensor([[0.0, -500.0, -500.0, -1000.0]])
    summed = sum_by_class(logs, torch.tensor([1, 2, 1]))
    assert torch.allclose(summed, torch.tensor([[0.0, np.log(2) - 500, -1000]], dtype=torch.float32))


def test_the_plain_variant_does_not_depend_on_the_order_of_classes_and_shots():
    p = problem(n_shots=3)
    known = MatchingNetwork(**SMALL, contextual=False).fit_base(*p.base)
    order = np.random.default_rng(0).permutation(len(p.novel[1]))
    swapped = np.array([0, 5, 2, 1, 4, 3])[p.novel[1]]  # other labels: another order of the classes
    plain = copy.copy(known).fit_novel(*p.novel)
    moved = copy.copy(known).fit_novel(p.novel[0][order], swapped[order])
    assert np.allclose(plain.scores(p.queries[0])[:, [5, 6, 7]], moved.scores(p.queries[0])[:, [7, 5, 6]], atol=1e-5)


def test_the_context_of_other_classes_changes_an_embedding():
    p = problem()
    known = MatchingNetwork(**SMALL).fit_base(*p.base)
    one = copy.copy(known).fit_novel(*p.novel)
    shifted = copy.copy(known).fit_novel(p.novel[0] + 1, p.novel[1])
    assert not np.allclose(one._encoded_[:20], shifted._encoded_[:20])


def test_queries_in_batches_score_as_they_do_at_once(monkeypatch):
    p = problem()
    classifier = trained(p)
    at_once = classifier.scores(p.queries[0])
    monkeypatch.setattr(matching_network, "ATTENTION_CELLS", 3 * 32)
    assert np.allclose(classifier.scores(p.queries[0]), at_once, atol=1e-5)


@pytest.mark.parametrize("contextual", [True, False])
def test_training_lowers_the_loss_on_episodes(contextual):
    """Classes differ in two of eight dimensions, and the others have more noise."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 20)
    X = rng.normal(size=(12, 8))[y] * ([2] * 2 + [0.2] * 6) + 0.7 * rng.normal(size=(240, 8))

    def loss(n_episodes):
        classifier = MatchingNetwork(contextual=contextual, n_episodes=n_episodes, n_support=10).fit_base(X, y)
        return -classifier.scores(X)[np.arange(240), y].mean()

    assert loss(150) < loss(1) - 0.1


def test_bfloat16_comes_close_to_float32():
    p = problem()
    exact, rounded = (trained(p, precision=precision).scores(p.queries[0]) for precision in ("float32", "bfloat16"))
    # A processor without bfloat16 instructions computes in float32 rather than fail.
    assert np.array_equal(exact, rounded) != torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert np.allclose(exact, rounded, atol=0.2)


def weights(classifier):
    return np.concatenate([value.ravel() for value in classifier._weights_.values()])


@pytest.mark.parametrize("contextual", [True, False])
def test_episodes_side_by_side_are_scored_as_one_by_one(contextual):
    torch.manual_seed(0)
    network = MatchingModule(3, contextual, n_steps=2)
    support, queries, counts = torch.randn(4, 6, 3), torch.randn(4, 2, 3), torch.tensor([1, 3, 2])
    together = network(support, counts, queries)
    one_by_one = [network(s, counts, q) for s, q in zip(support, queries)]
    assert torch.allclose(together, torch.stack(one_by_one), atol=1e-6)


@pytest.mark.parametrize("per_base", [20, 4])  # of four examples a class cannot give three shots in every episode
@pytest.mark.parametrize("build", [MatchingNetwork, Prototypical])
def test_a_step_goes_down_the_mean_loss_of_its_episodes(build, per_base):
    X, y = problem(per_base=per_base).base
    if per_base == 4:
        X, y = np.delete(X, np.flatnonzero(y == 0)[:2], axis=0), np.delete(y, np.flatnonzero(y == 0)[:2])
    codes = y // 2
    common = {"n_shots": (1, 3), "lr": 0.2, "weight_decay": 0.0, "n_queries": 1}
    stepped = build(**common, n_episodes=4, episodes_per_step=4).fit_base(X, y)
    start = build(**common, n_episodes=0).fit_base(X, y)
    network = start._network()
    sampler = EpisodeSampler(codes, n_way=None, n_shots=(1, 3), n_queries=1, seed=0)
    losses = []
    for number in range(4):
        episode = sampler.draw(number, 0)
        support, queries = (torch.tensor(X[rows], dtype=torch.float32) for rows in (episode.support, episode.queries))
        scores = network(support, torch.tensor(episode.counts), queries)
        losses.append(torch.nn.functional.cross_entropy(scores, torch.tensor(episode.targets)))
    torch.stack(losses).mean().backward()
    for name, parameter in network.named_parameters():
        expected = start._weights_[name] - 0.2 * parameter.grad.numpy()
        assert np.allclose(stepped._weights_[name], expected, atol=1e-5), name


def test_a_last_step_of_fewer_episodes_ends_at_the_number_asked_for(monkeypatch):
    drawn = []
    draw = EpisodeSampler.draw
    monkeypatch.setattr(EpisodeSampler, "draw", lambda self, n, alike: drawn.append((n, alike)) or draw(self, n, alike))
    MatchingNetwork(**SMALL | {"n_episodes": 5}, episodes_per_step=2).fit_base(*problem().base)
    assert drawn == [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4)]


@pytest.mark.parametrize("episodes_per_step", [1, 2])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, monkeypatch, episodes_per_step):
    p = problem()
    uninterrupted = weights(trained(p, episodes_per_step=episodes_per_step))
    classifier = MatchingNetwork(
        **SMALL, episodes_per_step=episodes_per_step, checkpoint=tmp_path / "mn.tar", checkpoint_every=2
    )
    draw = EpisodeSampler.draw

    def draw_until(self, number, alike):
        if number == 5:
            raise KeyboardInterrupt
        return draw(self, number, alike)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeSampler, "draw", draw_until)
        with pytest.raises(KeyboardInterrupt):
            classifier.fit_base(*p.base)
    drawn = []
    monkeypatch.setattr(EpisodeSampler, "draw", lambda self, n, alike: drawn.append(n) or draw(self, n, alike))
    assert np.array_equal(weights(classifier.fit_base(*p.base)), uninterrupted)
    assert drawn == [4, 5]
    assert np.array_equal(weights(classifier.fit_base(*p.base)), uninterrupted)
    assert drawn == [4, 5]  # finished: nothing is trained again


KILLED = """
import numpy as np, sys
from lowshot.classifiers.matching_network import MatchingNetwork
X = np.random.default_rng(0).normal(size=(60, 6))
MatchingNetwork(n_episodes=10**6, checkpoint=sys.argv[1], checkpoint_every=1).fit_base(X, np.arange(60) % 6)
"""


def test_a_killed_training_leaves_a_checkpoint_that_can_be_read(tmp_path):
    file = tmp_path / "mn.tar"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(file)])
    try:
        deadline = time.time() + 60
        while not file.exists() and time.time() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert torch.load(file, weights_only=True)["done"] >= 1


@pytest.mark.parametrize("change", [{"lr": 0.2}, {"n_shots": (1, 2)}, {"random_state": 1}, {"query_steps": 3}])
def test_a_checkpoint_of_another_training_is_refused(tmp_path, change):
    p = problem()
    params = SMALL | {"checkpoint": tmp_path / "mn.tar"}
    MatchingNetwork(**params).fit_base(*p.base)
    with pytest.raises(InputError, match=r"mn\.tar belongs to a training with other"):
        MatchingNetwork(**(params | change)).fit_base(*p.base)


def test_a_truncated_checkpoint_is_named(tmp_path):
    p = problem()
    file = tmp_path / "mn.tar"
    MatchingNetwork(**SMALL, checkpoint=file).fit_base(*p.base)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match=r"mn\.tar"):
        MatchingNetwork(**SMALL, checkpoint=file).fit_base(*p.base)


def test_a_network_learned_on_some_base_classes_serves_others(tmp_path):
    p, other = problem(), problem(seed=1)
    file = tmp_path / "mn.safetensors"
    learned = MatchingNetwork(**SMALL).fit_base(*p.base)
    save_classifier(learned, file)
    taken = MatchingNetwork(**SMALL, pretrained=file).fit_base(*other.base)
    assert np.array_equal(weights(taken), weights(learned))
    again = MatchingNetwork(**SMALL, pretrained=file).fit_base(*p.base)
    assert np.array_equal(again.scores(p.queries[0]), learned.scores(p.queries[0]))


def test_a_pretrained_network_of_another_width_or_kind_is_refused(tmp_path):
    file = tmp_path / "mn.safetensors"
    save_classifier(MatchingNetwork(**SMALL).fit_base(*problem().base), file)
    for params, p in [({}, problem(dim=5)), ({"contextual": False}, problem())]:
        with pytest.raises(InputError, match="another width or with another network"):
            MatchingNetwork(**SMALL, pretrained=file, **params).fit_base(*p.base)


def test_base_classes_without_a_pair_of_examples_leave_it_untrained_and_say_so():
    X, y = problem().base
    with pytest.warns(UserWarning, match="has learned nothing"):
        classifier = MatchingNetwork(**SMALL).fit_base(X[y == 0], y[y == 0])
    plain = MatchingNetwork(**SMALL, contextual=False).fit(classifier._base_support_[0], np.zeros(4))
    assert np.allclose(classifier.fit_novel([[5.0] * 6], [1])._encoded_[:4], plain._encoded_)


@pytest.mark.parametrize("params", [{"precision": "fp8"}, {"n_shots": (3, 1)}, {"n_shots": (0, 1)}])
def test_wrong_parameters_are_named(params):
    with pytest.raises(InputError, match=next(iter(params))):
        MatchingNetwork(**params).fit_base(*problem().base)
