"""Claims of the classifiers whose novel weights a network makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowshot.classifiers.cosine import Cosine
from lowshot.classifiers.persistence import save_classifier
from lowshot.classifiers.training_episodes import EpisodeSampler
from lowshot.classifiers.wdae_gnn import WDAEGNN, WeightAutoencoder
from lowshot.classifiers.weight_generator import WeightGenerator
from lowshot.errors import InputError
from tests.classifiers.problems import problem
from tests.reference import generated_weights as reference

SMALL = {"n_episodes": 12, "n_steps": 30, "n_stand_ins": 2, "n_shots": (1, 3), "feature_transform": "l2"}
BOTH = pytest.mark.parametrize("build", [WeightGenerator, WDAEGNN])


def shots_of(X, y):
    units = X / np.linalg.norm(X, axis=1, keepdims=True)
    return [units[y == c] for c in np.unique(y)]


def shaken(classifier, p, seed=0):
    """The classifier after ``fit_base``, with random parameters in place of learned ones, so that all of them count."""
    rng = np.random.default_rng(seed)
    known = classifier.fit_base(*p.base)
    for value in known._weights_.values():
        value += 0.3 * rng.normal(size=value.shape).astype(value.dtype)
    return known


@pytest.mark.parametrize("n_shots", [1, 3])
def test_attention_over_base_weights_is_that_of_the_paper(n_shots):
    p = problem(n_shots=n_shots)
    fitted = shaken(WeightGenerator(**SMALL), p).fit_novel(*p.novel)
    expected = reference.attention(shots_of(*p.novel), fitted.coef_[:5], fitted._weights_)
    np.testing.assert_allclose(fitted.coef_[5:], expected, atol=1e-5)
    queries = p.queries[0] / np.linalg.norm(p.queries[0], axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.scores(p.queries[0]), fitted.scale_ * queries @ fitted.coef_.T, atol=1e-5)


@pytest.mark.parametrize(
    ("n_shots", "step", "expected"), [(1, None, 1.0), (4, None, 0.6), (4, 0.3, 0.3), (30, None, 0.2)]
)
@pytest.mark.parametrize("n_neighbours", [2, 50])
def test_denoised_weights_are_those_of_the_paper(n_shots, step, expected, n_neighbours):
    p = problem(n_shots=n_shots)
    fitted = shaken(WDAEGNN(**SMALL, hidden=7, n_neighbours=n_neighbours, step=step), p)
    base = fitted._base_coef_
    fitted.fit_novel(*p.novel)
    means = [reference.unit(own.mean(axis=0)) for own in shots_of(*p.novel)]
    first = np.concatenate([means, base])  # the network has novel classes first
    made = reference.denoised(first, fitted._weights_, n_neighbours, [expected] * len(first))
    np.testing.assert_allclose(fitted.coef_, np.concatenate([made[3:], made[:3]]), atol=1e-5)


def test_training_reconstructs_noisy_weights_of_length_one_with_the_neighbours_of_those_without_noise():
    p = problem(n_shots=1)
    fitted = shaken(WDAEGNN(**SMALL, hidden=7, n_neighbours=2), p)
    network = WeightAutoencoder(p.base[0].shape[1], 10.0, 7, n_neighbours=2, noise=2.0, dropout=0.0, step=None)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in fitted._weights_.items()})
    shots, base = (torch.tensor(a).float() for a in (np.concatenate(shots_of(*p.novel)), fitted._base_coef_))
    clean = torch.cat([shots, base])
    torch.manual_seed(0)
    made = torch.cat(network.train()(shots, torch.tensor([1, 1, 1]), base))
    torch.manual_seed(0)
    noisy = clean + 2.0 * clean.shape[1] ** -0.5 * torch.randn_like(clean)
    units = np.array([reference.unit(row) for row in noisy.numpy()])
    expected = reference.denoised(clean.numpy(), fitted._weights_, 2, [1.0] * len(clean), units)
    np.testing.assert_allclose(made.detach().numpy(), expected, atol=1e-5)


@BOTH
def test_half_of_the_classes_of_an_episode_stand_in_for_novel_ones_unless_a_number_is_given(build):
    p = problem()
    half, two, one = (build(**SMALL | {"n_stand_ins": n, "n_way": 4}).fit_base(*p.base)._weights_ for n in (None, 2, 1))
    assert all(np.array_equal(half[name], two[name]) for name in half)
    assert not all(np.array_equal(half[name], one[name]) for name in half)


@BOTH
def test_it_starts_near_cosine_with_imprinted_weights(build):
    p = problem()
    ours = build(**SMALL | {"n_episodes": 0}).fit_base(*p.base).fit_novel(*p.novel)
    plain = Cosine("l2", n_steps=30).fit_base(*p.base).fit_novel(*p.novel)
    assert (ours.coef_ * plain.coef_).sum(axis=1).min() > 0.95
    assert np.mean(ours.predict(p.queries[0]) == plain.predict(p.queries[0])) > 0.9


@BOTH
def test_a_step_goes_down_the_loss_of_stand_ins_and_base_classes_alike(build):
    """Against the loss written out for one episode, without noise and dropout."""
    p = problem()
    quiet = {"noise": 0.0, "dropout": 0.0} if build is WDAEGNN else {}
    params = SMALL | quiet | {"lr": 0.05, "momentum": 0.0, "weight_decay": 0.0, "n_queries": 3}
    stepped = build(**params | {"n_episodes": 1}).fit_base(*p.base)
    start = build(**params | {"n_episodes": 0}).fit_base(*p.base)
    network = start._network()
    codes = p.base[1] // 2
    episode = EpisodeSampler(codes, n_way=None, n_shots=(1, 3), n_queries=3, seed=0).draw(0)
    units = torch.tensor(p.base[0] / np.linalg.norm(p.base[0], axis=1, keepdims=True), dtype=torch.float32)
    counts = torch.tensor(episode.counts)
    classes = [int(codes[rows[0]]) for rows in np.split(episode.support, np.cumsum(episode.counts)[:-1])]
    base = torch.tensor(start._base_coef_, dtype=torch.float32)
    network.train()
    novel, rest = network(units[episode.support[: counts[:2].sum()]], counts[:2], base[classes[2:]])
    made = torch.cat([novel, rest])
    losses = {True: [], False: []}
    for row, target in zip(episode.queries, episode.targets):
        scores = network.scale * made @ units[row]
        losses[bool(target < 2)].append(scores.logsumexp(0) - scores[target])
    loss = (torch.stack(losses[True]).mean() + torch.stack(losses[False]).mean()) / 2
    if build is WDAEGNN:
        loss = loss + sum(((made[i] - base[c]) ** 2).sum() for i, c in enumerate(classes)) / len(classes)
    loss.backward()
    for name, parameter in network.named_parameters():
        expected = start._weights_[name] - 0.05 * parameter.grad.numpy()
        np.testing.assert_allclose(stepped._weights_[name], expected, atol=1e-5, err_msg=name)


@BOTH
def test_training_finds_more_novel_classes(build):
    """Classes differ in two of thirty dimensions; of one shot the others are noise, which base weights do not have."""
    rng = np.random.default_rng(0)
    means = np.zeros((60, 30))
    means[:, :4] = rng.normal(size=(60, 4)) * 2
    noise = np.array([0.3] * 4 + [1.0] * 26)

    def draw(classes, n):
        labels = np.repeat(classes, n)
        return means[labels] + noise * rng.normal(size=(len(labels), 30)), labels

    base, queries = draw(np.arange(40), 40), draw(np.arange(40, 60), 30)
    shots = [draw(np.arange(40, 60), 1) for _ in range(5)]

    def accuracy(n_episodes):
        params = {"feature_transform": "l2", "n_shots": (1, 3), "n_stand_ins": 10, "lr": 0.1}
        known = build(**params, n_episodes=n_episodes).fit_base(*base)
        hits = [known.fit_novel(*own).scores(queries[0])[:, 40:].argmax(axis=1) + 40 == queries[1] for own in shots]
        return np.mean(hits)

    assert accuracy(400) > accuracy(0) + 0.05


@BOTH
def test_a_network_that_some_base_classes_trained_serves_others(build, tmp_path):
    p, other = problem(), problem(seed=1, n_base=3)
    learned = build(**SMALL).fit_base(*p.base)
    save_classifier(learned, tmp_path / "c.safetensors")
    taken = build(**SMALL, pretrained=tmp_path / "c.safetensors").fit_base(*other.base).fit_novel(*other.novel)
    assert all(np.array_equal(learned._weights_[name], value) for name, value in taken._weights_.items())
    assert taken.scores(other.queries[0]).shape == (24, 6)


def test_noise_and_dropout_follow_the_episode_so_that_a_resumed_training_equals_an_uninterrupted_one(
    tmp_path, monkeypatch
):
    p = problem()
    uninterrupted = WDAEGNN(**SMALL).fit_base(*p.base)
    classifier = WDAEGNN(**SMALL, checkpoint=tmp_path / "t.ckpt", checkpoint_every=3)
    draw = EpisodeSampler.draw

    def draw_until(self, number, alike):
        if number == 7:
            raise KeyboardInterrupt
        return draw(self, number, alike)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeSampler, "draw", draw_until)
        with pytest.raises(KeyboardInterrupt):
            classifier.fit_base(*p.base)
    torch.manual_seed(99)
    resumed = classifier.fit_base(*p.base)
    for name, value in uninterrupted._weights_.items():
        assert np.array_equal(resumed._weights_[name], value)


def test_training_adds_noise_of_the_length_asked_for(monkeypatch):
    seen = []
    network = WeightAutoencoder(400, 10.0, 8, 5, 0.7, 0.0, None)
    monkeypatch.setattr(network, "reconstruct", lambda weights, *graph: seen.append(weights) or weights)
    shots, base = torch.eye(400)[:2], torch.eye(400)[2:10]
    network.train()(shots, torch.tensor([1, 1]), base)
    # Of a sum that is scaled to length one, the tangent of its angle is the length of the noise beside the weight.
    cosines = (seen[0] * torch.eye(400)[:10]).sum(dim=1) / seen[0].norm(dim=1)
    lengths = (1 / cosines.square() - 1).sqrt()
    assert lengths.mean().item() == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize(
    ("build", "parameter", "value"),
    [
        *((build, *wrong) for build in (WeightGenerator, WDAEGNN) for wrong in [("scale", 0.0), ("n_stand_ins", 0)]),
        *((WDAEGNN, *wrong) for wrong in [("hidden", 0), ("n_neighbours", 0), ("noise", -1.0), ("dropout", 1.0)]),
        (WDAEGNN, "step", 1.5),
        (WeightGenerator, "n_steps", -1),
    ],
)
def test_a_parameter_out_of_range_is_named(build, parameter, value):
    with pytest.raises(InputError, match=f"^{parameter}="):
        build(**{parameter: value}).fit_base(*problem().base)
