"""The global random generators, the GPU's too, are as they were after anything that seeds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.classifiers import LowShotClassifier, MatchingNetwork, Prototypical
from lowshot.devices import seeded
from lowshot.hallucination import wrap_functions
from tests.devices.conftest import GPU
from tests.devices.problems import features
from tests.representation import tiny


def generate(folder: Path) -> None:
    def do_generate(X: np.ndarray, y: np.ndarray, generator: None, n: int) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate([X, X + torch.rand(()).item()]), np.concatenate([y, y])

    wrap_functions(lambda name: None, do_generate, "").generate(*features(2, 1), 2, 0)


def score(classifier: LowShotClassifier) -> None:
    X, y = features()
    classifier.fit_base(X, y).scores(X)


SEEDING: dict[str, Callable[[Path], object]] = {
    "training": lambda folder: tiny.train(folder, backbone="devices_tiny", backbone_options={}, epochs=1),
    "matching_network": lambda folder: score(MatchingNetwork(n_episodes=0, n_support=1)),
    "prototypical": lambda folder: score(Prototypical(n_episodes=0)),
    "functions": generate,
}


@pytest.mark.parametrize("name", SEEDING)
def test_the_state_of_the_generators_stays(gpu: GPU, tmp_path: Path, name: str) -> None:
    with gpu:
        torch.manual_seed(11)
        states = torch.get_rng_state(), torch.cuda.get_rng_state()
        SEEDING[name](tmp_path)
        after = torch.get_rng_state(), torch.cuda.get_rng_state()
    assert all(map(torch.equal, states, after))


def test_a_block_draws_what_its_seed_gives_on_the_gpu_too(gpu: GPU) -> None:
    with gpu:
        torch.manual_seed(11)
        expected = torch.get_rng_state(), torch.cuda.get_rng_state()
        torch.manual_seed(12)
        with seeded(11):
            found = torch.get_rng_state(), torch.cuda.get_rng_state()
    assert all(map(torch.equal, found, expected))


def test_a_gpu_that_nothing_has_used_yet_will_start_from_the_seed_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        with seeded(5):
            pass
    assert seeds == [11, 5, 11]
