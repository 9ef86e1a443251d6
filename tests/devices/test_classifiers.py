"""Classifiers on a GPU: fitting, training on episodes, scores, and files that a machine without a GPU reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowshot.classifiers import (
    WDAEGNN,
    Cosine,
    Logistic,
    LowShotClassifier,
    MatchingNetwork,
    PrototypeMatching,
    Prototypical,
    PrototypicalHallucination,
    WeightGenerator,
    load_classifier,
    save_classifier,
)
from lowshot.classifiers.training_episodes import Episode, EpisodeSampler
from tests.devices.conftest import GPU
from tests.devices.problems import arrays, features

EPISODES = {"n_episodes": 2, "n_way": 3, "n_queries": 2, "decay_every": 1, "n_shots": (1, 2)}
MATCHING = {**EPISODES, "n_support": 2, "query_steps": 2}

CLASSIFIERS: dict[str, LowShotClassifier] = {
    # Batches of eight gather their shots from fifteen, batches of fifty weigh all of them.
    "logistic": Logistic(n_steps=3, batch_size=8, random_state=0),
    "logistic, few shots": Logistic(n_steps=3, batch_size=50, random_state=0),
    "logistic, float32": Logistic(n_steps=3, precision="float32", n_outputs=20, random_state=0),
    "logistic, shared gradients": Logistic(n_steps=5, batch_size=50, gradient_every=3, lr=0.01, random_state=0),
    "logistic, weighted classes": Logistic(n_steps=3, batch_size=8, class_weight={1: 3.0, 7: 2.0}, random_state=0),
    "logistic, weighted and shared": Logistic(
        n_steps=5, batch_size=20, gradient_every=3, lr=0.01, class_weight={1: 3.0, 7: 2.0}, random_state=0
    ),
    "logistic, long features": Logistic(n_steps=3, batch_size=8, rescale_above=1.0, random_state=0),
    "matching_network": MatchingNetwork(**MATCHING),
    "matching_network, plain": MatchingNetwork(contextual=False, episodes_per_step=2, **MATCHING),
    "matching_network, bfloat16": MatchingNetwork(precision="bfloat16", episodes_per_step=2, **MATCHING),
    "prototypical": Prototypical(**EPISODES),
    "prototypical, hidden layer": Prototypical(hidden=7, feature_transform="none", episodes_per_step=2, **EPISODES),
    "prototypical_hallucination": PrototypicalHallucination(n_augmented=3, hallucinator_hidden=8, **EPISODES),
    "prototype_matching": PrototypeMatching(n_augmented=3, hallucinator_hidden=8, query_steps=2, **EPISODES),
    "weight_generator": WeightGenerator(n_steps=0, n_stand_ins=1, **EPISODES),
    "wdae_gnn": WDAEGNN(n_steps=0, n_stand_ins=1, hidden=8, **EPISODES),
    "prototypical, bfloat16": Prototypical(precision="bfloat16", feature_transform="l2", **EPISODES),
}


def fitted(name: str) -> LowShotClassifier:
    base, novel = features(), features(n_classes=3, per_class=5, seed=1)
    classifier = CLASSIFIERS[name].__class__(**CLASSIFIERS[name].get_params())
    return classifier.fit_base(*base).fit_novel(novel[0], novel[1] + 6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_fit_ends_as_on_a_cpu(gpu: GPU, name: str) -> None:
    queries, _ = features(seed=2)
    with gpu:
        there = fitted(name)
        scores = there.scores(queries)
        shots = np.stack([queries[:6].reshape(3, 2, -1), queries[6:12].reshape(3, 2, -1)])
        tasks = there.scores_of_episodes(shots, queries[:8].reshape(2, 4, -1), [0, 1])
    gpu.check_work()
    here = fitted(name)
    for key, value in arrays(here).items():
        assert arrays(there)[key].dtype == value.dtype
        gpu.check_close(arrays(there)[key], value, bfloat16="bfloat16" in name)
    gpu.check_close(scores, here.scores(queries), bfloat16="bfloat16" in name)
    expected = here.scores_of_episodes(shots, queries[:8].reshape(2, 4, -1), [0, 1])
    gpu.check_close(tasks, expected, bfloat16="bfloat16" in name)


def test_scores_without_novel_classes_are_learned_on_the_gpu(gpu: GPU) -> None:
    X, y = features()
    with gpu:
        found = Logistic(n_steps=3, random_state=0).fit_base(X, y).scores(X)
    gpu.check_work()
    gpu.check_close(found, Logistic(n_steps=3, random_state=0).fit_base(X, y).scores(X))


def test_runs_are_fitted_together_on_the_gpu(gpu: GPU) -> None:
    runs = [features(n_classes=3, per_class=2, seed=seed) for seed in range(3)]
    runs = [(X, y + 6) for X, y in runs]

    def fit() -> Any:
        return Logistic(n_steps=3, random_state=0).fit_base(*features()).fit_novel_runs(runs, [0, 1, 2])

    with gpu:
        found = fit()
    gpu.check_work()
    for there, here in zip(found, fit(), strict=True):
        gpu.check_close(there.coef_, here.coef_)


@pytest.mark.parametrize("kind", [MatchingNetwork, Prototypical])
def test_a_training_that_was_cut_off_on_the_gpu_goes_on_there_and_on_a_cpu(
    gpu: GPU, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: Any
) -> None:
    X, y = features()
    settings = MATCHING if kind is MatchingNetwork else EPISODES
    expected = arrays(kind(**settings).fit_base(X, y)._weights_)
    draw = EpisodeSampler.draw

    def cut_off(sampler: EpisodeSampler, number: int, alike: int | None = None) -> Episode:
        if number == 1:
            raise KeyboardInterrupt
        return draw(sampler, number, alike)

    def train(folder: Path) -> Any:
        return arrays(kind(checkpoint=folder / "checkpoint", checkpoint_every=1, **settings).fit_base(X, y)._weights_)

    with gpu:
        monkeypatch.setattr(EpisodeSampler, "draw", cut_off)
        for name in ("gpu", "cpu"):
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path / name)
        monkeypatch.setattr(EpisodeSampler, "draw", lambda sampler, number, alike: draw(sampler, max(number, 1), alike))
        found = [train(tmp_path / "gpu")]
    found += [train(tmp_path / "cpu")]
    for name, value in expected.items():
        for weights in found:
            gpu.check_close(weights[name], value)


@pytest.mark.parametrize("name", ["logistic", "matching_network", "prototypical"])
def test_a_file_of_the_gpu_is_read_without_one(gpu: GPU, tmp_path: Path, name: str) -> None:
    queries, _ = features(seed=2)
    with gpu:
        there = fitted(name)
        scores = there.scores(queries)
        save_classifier(there, tmp_path / "classifier")
    gpu.check_close(load_classifier(tmp_path / "classifier").scores(queries), scores)


def test_a_network_learned_elsewhere_is_used_on_the_gpu(gpu: GPU, tmp_path: Path) -> None:
    X, y = features()
    here = fitted("matching_network")
    save_classifier(here, tmp_path / "classifier")
    with gpu:
        found = MatchingNetwork(pretrained=tmp_path / "classifier", **MATCHING).fit_base(X, y).scores(X)
    gpu.check_work()
    gpu.check_close(found, MatchingNetwork(pretrained=tmp_path / "classifier", **MATCHING).fit_base(X, y).scores(X))


def test_cosine_stays_on_the_cpu(gpu: GPU) -> None:
    (X, y), settings = features(), {"n_steps": 5, "fine_tune_steps": 3}
    novel = features(n_classes=3, per_class=5, seed=1)
    with gpu:
        found = Cosine(**settings).fit_base(X, y).fit_novel(novel[0], novel[1] + 6).scores(X)
    gpu.check_close(found, Cosine(**settings).fit_base(X, y).fit_novel(novel[0], novel[1] + 6).scores(X))
