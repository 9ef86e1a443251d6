from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from lowshot.benchmark.part_fingerprints import generator_fingerprint
from lowshot.errors import InputError
from lowshot.hallucination import AnalogyGenerator
from lowshot.hallucination.analogies import clusters, generator, mining
from lowshot.hallucination.analogies.classifier import fit_classifier
from tests.reference import generator as reference

QUICK: dict[str, Any] = {"n_clusters": 3, "n_steps": 3, "hidden": 8, "device": "cpu"}


def shared_changes(n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class centres (C, 8), and four changes (4, 8) of a centre that all classes share.

    No two differences of changes are parallel with unlike lengths: mining compares directions alone.
    """
    directions = 0.3 * np.random.default_rng(0).normal(size=(2, 8))
    centres = 1.5 + 0.4 * np.random.default_rng(seed).normal(size=(n_classes, 8))
    return centres, np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) @ directions


def test_a_transformation_shared_by_all_classes_is_recovered() -> None:
    centres, changes = shared_changes(150, seed=1)
    features = np.maximum(centres[:, None] + changes, 0).astype(np.float32)
    learner = AnalogyGenerator(n_clusters=4, n_steps=1500, hidden=64, lr=0.02, device="cpu")
    fitted = learner.fit(features.reshape(-1, 8), np.repeat(np.arange(150), 4))
    assert fitted.history_[-1]["mse"] < 0.05 * fitted.history_[0]["mse"]

    novel, _ = shared_changes(150, seed=2)
    before, after = np.array([(c, d) for c in range(4) for d in range(4) if c != d])[np.arange(150) % 12].T
    seeds, wanted = novel + changes[before], novel + changes[after]
    pairs = features[np.arange(150), before], features[np.arange(150), after]
    made = fitted._complete(np.concatenate([seeds, *pairs], axis=1).astype(np.float32))
    error = np.linalg.norm(made - wanted, axis=1).mean()
    assert error < 0.5 * np.linalg.norm(seeds - wanted, axis=1).mean()


def test_generated_features_complete_a_shot_with_two_centroids_of_one_class(
    base: tuple[np.ndarray, np.ndarray],
) -> None:
    features, labels = base
    fitted = AnalogyGenerator(**QUICK).fit(features, labels)
    shots = features[:2]
    made = fitted.generate(shots, np.array([0, 1]), 4)[0][2:]
    centroids, start = fitted.concatenated_centroids_, np.cumsum(fitted.counts_) - fitted.counts_
    possible = [
        fitted._complete(np.concatenate([shot, centroids[s + c], centroids[s + d]])[None])[0]
        for shot in shots
        for s, n in zip(start, fitted.counts_)
        for c in range(n)
        for d in range(n)
        if c != d
    ]
    for row in made:
        assert np.isclose(row, possible, rtol=1e-5, atol=1e-6).all(axis=1).any()


def test_chunks_change_nothing(base: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = AnalogyGenerator(**QUICK).fit(*base)
    one_chunk, _ = fitted.generate(base[0][:3], [0, 0, 1], 9)
    monkeypatch.setattr(generator, "CHUNK_ROWS", 4)
    np.testing.assert_allclose(fitted.generate(base[0][:3], [0, 0, 1], 9)[0], one_chunk, rtol=1e-5)


def test_state_has_the_shapes_of_the_original(base: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = AnalogyGenerator(**QUICK).fit(*base)
    shapes = {name: value.shape for name, value in fitted.weights_.items()}
    assert shapes == {
        "fc1.weight": (8, 15), "fc1.bias": (8,), "fc2.weight": (8, 8), "fc2.bias": (8,),
        "fc3.weight": (5, 8), "fc3.bias": (5,),
    }  # fmt: skip
    assert fitted.concatenated_centroids_.shape == (12, 5)
    assert fitted.counts_.tolist() == [3, 3, 3, 3]


def test_with_a_cache_clusters_analogies_and_classifier_are_computed_once(
    base: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = AnalogyGenerator(**QUICK).fit(*base)
    AnalogyGenerator(cache=tmp_path / "cache", **QUICK).fit(*base)
    for module, name in (
        (clusters, "_k_means_plus_plus"),
        (mining, "_best_partners"),
        (generator, "fit_classifier"),
    ):
        monkeypatch.setattr(module, name, None)
    cached = AnalogyGenerator(cache=tmp_path / "cache", **QUICK).fit(*base)
    plain.save(tmp_path / "plain")
    cached.save(tmp_path / "cached")
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "cached").read_bytes()


def test_the_rows_of_a_given_classifier_are_labels(base: tuple[np.ndarray, np.ndarray]) -> None:
    features, labels = base
    weight = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    fitted = AnalogyGenerator(**QUICK).fit(features, labels, weight)
    moved = AnalogyGenerator(**QUICK).fit(features, labels + 1, np.roll(weight, 1, axis=0))
    for one, other in zip(fitted.history_, moved.history_, strict=True):
        assert one == pytest.approx(other)
    with pytest.raises(InputError, match="rows for labels 0 to 5"):
        AnalogyGenerator(**QUICK).fit(features, labels, weight[:6])
    with pytest.raises(InputError, match="4 columns"):
        AnalogyGenerator(**QUICK).fit(features, labels, weight[:, :4])


def test_features_that_are_all_zero_are_refused(base: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="all base features are zero"):
        AnalogyGenerator(**QUICK).fit(0 * base[0], base[1])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_network_on_features_of_any_sign_ends_linearly_and_in_a_relu_else(
    base: tuple[np.ndarray, np.ndarray], signed_base: tuple[np.ndarray, np.ndarray], sign: int
) -> None:
    x = np.random.default_rng(0).normal(size=(9, 15)).astype(np.float32)
    for (features, labels), signed in ((base, sign < 0), (signed_base, True)):
        fitted = AnalogyGenerator(**QUICK).fit(sign * features, labels)
        assert fitted.signed_ is signed
        network = reference.Network(5, 8, signed=signed)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in fitted.weights_.items()})
        with torch.no_grad():
            wanted = network(*torch.from_numpy(x).split(5, dim=1)).numpy()
        np.testing.assert_allclose(fitted._complete(x), wanted, rtol=1e-4, atol=1e-6)
        assert (wanted < 0).any() == signed


def test_analogies_of_mirrored_features_are_learned_as_well(signed_base: tuple[np.ndarray, np.ndarray]) -> None:
    for sign in (1, -1):
        history = (
            AnalogyGenerator(n_clusters=4, n_steps=400, hidden=32, lr=0.02, device="cpu")
            .fit(sign * signed_base[0], signed_base[1])
            .history_
        )
        assert history[-1]["mse"] < 0.5 * history[0]["mse"]


@pytest.mark.parametrize(("name", "value"), [("lr", 0), ("lr", -0.1), ("lr", np.nan), ("mse_weight", -1.0)])
def test_settings_that_cannot_train_are_refused(base: tuple[np.ndarray, np.ndarray], name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name}=.* must be a finite number"):
        AnalogyGenerator(**QUICK, **{name: value}).fit(*base)


def test_classes_of_one_feature_each_have_no_analogies() -> None:
    with pytest.raises(InputError, match="no analogies"):
        AnalogyGenerator(**QUICK).fit(np.eye(4), np.arange(4))


def test_a_device_that_is_not_there_is_refused(base: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="device 'abacus'"):
        AnalogyGenerator(**{**QUICK, "device": "abacus"}).fit(*base)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_stand_in_classifier_knows_the_base_classes(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_classes), 130)
    features = (100 * (np.eye(6)[labels] + 0.1 * rng.normal(size=(len(labels), 6)))).astype(np.float32)
    weight = fit_classifier(features, labels)
    assert weight.shape == (n_classes, 6)
    assert weight.dtype == np.float32
    assert ((features @ weight.T).argmax(1) == labels).mean() > 0.98


def test_the_start_of_k_means_is_recorded_only_away_from_its_default(
    base: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """At its default neither files nor fingerprints state it, so that they stay as they were; else both do."""
    usual = AnalogyGenerator(**QUICK).fit(*base)
    other = AnalogyGenerator(**QUICK, kmeans_init="random_directions").fit(*base)
    assert not np.array_equal(usual.concatenated_centroids_, other.concatenated_centroids_)
    for fitted, stated in ((usual, False), (other, True)):
        fitted.save(tmp_path / "a.safetensors")
        assert (b"kmeans_init" in (tmp_path / "a.safetensors").read_bytes()) is stated
        assert ("kmeans_init" in generator_fingerprint(fitted)[1]) is stated
        assert AnalogyGenerator.load(tmp_path / "a.safetensors").kmeans_init == fitted.kmeans_init
    assert clone(usual).set_params(kmeans_init="random_directions").stated_params() == other.stated_params()
    with pytest.raises(InputError, match="init='random' is not one of its choices"):
        AnalogyGenerator(**QUICK, kmeans_init="random").fit(*base)
