"""``train_analogy_generator``: the library's steps with the original's settings, classifier and cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowshot.compat import analogies, matching
from lowshot.compat.formats.checkpoint import write_checkpoint
from lowshot.compat.steps import steps
from lowshot.errors import InputError
from lowshot.hallucination.analogies.mining import Analogies
from lowshot.representation import build_backbone
from tests.compat.formats.old_files import save, state
from tests.compat.workspace import ANALOGIES, run


def test_a_generator_needs_no_network(folder: Path) -> None:
    """Without --networkfile a classifier is fitted, and kept with the rest for the next time."""
    assert run(*ANALOGIES, "--trainfile", "features/net/train.hdf5") == 0
    assert (folder / "generation/net/generator.tar").is_file()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "generation/net/cache").iterdir()}
    assert {path.name.split("-")[0] for path in kept} == {"classifier", "centroids", "analogies"}
    assert run(*ANALOGIES, "--trainfile", "features/net/train.hdf5", "--initlr", "1") == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "generation/net/cache").iterdir()} == kept


def test_the_defaults_that_have_no_flag_are_the_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOWSHOT_COMPAT_STEPS", raising=False)
    assert steps(analogies.N_STEPS) == 120_000
    assert steps(analogies.N_CLASSIFIER_STEPS) == 10_000
    assert steps(matching.N_EPISODES) == 60_000
    assert (analogies.N_CLUSTERS, analogies.N_ROUNDS) == (100, 20)
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "5")
    assert steps(120_000) == 5
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "many")
    with pytest.raises(InputError, match="LOWSHOT_COMPAT_STEPS is 'many'"):
        steps(120_000)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Record the arguments of each of the library's steps; none of them computes."""
    found: dict[str, Any] = {}

    def record(name: str, answer: Any) -> None:
        def step(*arguments: Any, **options: Any) -> Any:
            found[name] = arguments, options
            return answer

        monkeypatch.setattr(analogies, name, step)

    monkeypatch.delenv("LOWSHOT_COMPAT_STEPS", raising=False)
    centroids = analogies.Centroids(np.ones((12, 8), np.float32), np.full(6, 2))
    layers = {"fc1": (512, 24), "fc2": (512, 512), "fc3": (8, 512)}
    weights = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in layers.items()}
    weights |= {f"{name}.bias": np.zeros(shape[0], np.float32) for name, shape in layers.items()}
    record("base_classifier", (np.ones((12, 8), np.float32), np.arange(12, dtype=np.float32)))
    record("fit_centroids", centroids)
    record("mine_analogies", Analogies(np.array([[0, 1, 2, 3]]), np.ones(1, np.float32)))
    record("train_regressor", (weights, []))
    return found


def test_without_a_network_the_classifier_of_the_base_features_judges(folder: Path, asked: dict[str, Any]) -> None:
    """10 000 steps on the base features alone; a row of the classifier is a label, as in a network's; with its bias."""
    (folder / "generation/net").mkdir(parents=True)
    assert run(*ANALOGIES, "--numclasses", "12", "--trainfile", "features/net/train.hdf5") == 0
    (X, y, num_classes, n_steps, cache), _ = asked["base_classifier"]
    assert (len(X), sorted(set(y.tolist()))) == (6 * 20, [0, 1, 2, 3, 4, 5])
    assert (num_classes, n_steps, str(cache)) == (12, 10_000, "generation/net/cache")
    arguments, options = asked["train_regressor"]
    assert arguments[2].shape == (12, 8)
    assert options["classifier_bias"].tolist() == list(range(12))


def test_k_means_batches_and_precision_are_the_originals(folder: Path, asked: dict[str, Any]) -> None:
    assert run(*ANALOGIES, "--numclasses", "12", "--trainfile", "features/net/train.hdf5", "--initlr", "1") == 0
    (_, _, *sizes), options = asked["fit_centroids"]
    assert (sizes, options["init"]) == ([100, 20], "random_directions")
    settings = asked["train_regressor"][0][4]
    assert (settings.batches, settings.precision) == ("permutation", "highest")
    assert (settings.lr, settings.n_steps, settings.batch_size, settings.mse_weight) == (1, 120_000, 128, 10)
    assert (settings.momentum, settings.dampening, settings.weight_decay) == (0.9, 0.9, 1e-4)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("bias", [None, 3.0])
def test_a_network_brings_its_classifier_and_an_older_one_its_bias(
    folder: Path, asked: dict[str, Any], bias: float | None
) -> None:
    weights = state("ResNet10", 12)
    if bias is not None:
        weights["module.classifier.bias"] = torch.full((12,), bias)
    save(folder / "net.tar", {"epoch": 0, "state": weights})
    network = ["--numclasses", "12", "--networkfile", "net.tar"]
    assert run(*ANALOGIES, *network, "--trainfile", "wide/features/net/train.hdf5") == 0
    assert "base_classifier" not in asked
    arguments, options = asked["train_regressor"]
    assert np.array_equal(arguments[2], weights["module.classifier.weight"].numpy())
    given = options["classifier_bias"]
    assert given is None if bias is None else given.tolist() == [bias] * 12


def test_the_bias_changes_the_generator(folder: Path) -> None:
    """The classifier's scores have the bias, so that another bias trains another network."""
    found = []
    write_checkpoint(folder / "net.tar", build_backbone("resnet10", 12), 0)
    content = torch.load(folder / "net.tar", weights_only=True)
    for bias in (None, torch.linspace(-5, 5, 12)):
        if bias is not None:
            content["state"]["module.classifier.bias"] = bias
        torch.save(content, folder / "net.tar")
        arguments = [*ANALOGIES, "--numclasses", "12", "--networkfile", "net.tar"]
        assert run(*arguments, "--trainfile", "wide/features/net/train.hdf5") == 0
        found.append(torch.load("generation/net/generator.tar", weights_only=True)["model_state"]["fc3.weight"])
    assert not torch.equal(*found)


def test_features_that_no_relu_made_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import h5py

    with h5py.File("features/net/train.hdf5", "r+") as file:
        file["all_feats"][:] = -np.abs(file["all_feats"][:])
    assert run(*ANALOGIES, "--trainfile", "features/net/train.hdf5") == 2
    assert "has no positive feature of a base class" in " ".join(capsys.readouterr().err.split())
