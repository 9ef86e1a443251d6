"""The original's programs that compute on features, on a GPU. The others call the library's training and extraction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lowshot.compat import analogies, base_classifier, matching, support_set
from lowshot.compat.formats.generator import read_stored
from lowshot.compat.formats.matching_network import read_weights
from tests.compat import features
from tests.compat.workspace import ANALOGIES, LOW_SHOT, MATCHING, run
from tests.devices.conftest import GPU
from tests.devices.problems import arrays

MATCHING = [*MATCHING[: MATCHING.index("--modelfile")], "--modelfile"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Features, a split and experiments, as the working directory."""
    monkeypatch.chdir(features.make(tmp_path))
    monkeypatch.setenv("LOWSHOT_COMPAT_STEPS", "2")
    monkeypatch.setattr(support_set, "N_SUPPORT", 2)
    monkeypatch.setattr(matching, "N_SHOTS", (1, 2))
    monkeypatch.setattr(analogies, "N_CLUSTERS", 3)
    monkeypatch.setattr(base_classifier, "BATCH_SIZE", 10)
    return tmp_path


def results(folder: Path) -> list[float]:
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())["accs"]


def test_low_shot(gpu: GPU, folder: Path) -> None:
    with gpu:
        assert run(*LOW_SHOT, "--outdir", "gpu") == 0
    gpu.check_work()
    assert run(*LOW_SHOT, "--outdir", "cpu") == 0
    np.testing.assert_allclose(results(folder / "gpu"), results(folder / "cpu"), atol=0.05)


def test_matching_network(gpu: GPU, folder: Path) -> None:
    with gpu:
        states = torch.get_rng_state(), torch.cuda.get_rng_state()
        assert run(*MATCHING, "gpu.tar", "--test", "0") == 0
        assert all(map(torch.equal, states, (torch.get_rng_state(), torch.cuda.get_rng_state())))
        assert run(*MATCHING, "gpu.tar", "--test", "1", "--outdir", "gpu") == 0
    gpu.check_work()
    assert run(*MATCHING, "cpu.tar", "--test", "0") == 0
    there, here = (arrays(dict(read_weights(folder / f"{device}.tar").state)) for device in ("gpu", "cpu"))
    for name, value in here.items():
        gpu.check_close(there[name], value)
    assert run(*MATCHING, "gpu.tar", "--test", "1", "--outdir", "cpu") == 0
    np.testing.assert_allclose(results(folder / "gpu"), results(folder / "cpu"), atol=0.05)


def test_train_analogy_generator(gpu: GPU, folder: Path) -> None:
    flags = [*ANALOGIES, "--numclasses", "12", "--trainfile", "features/net/train.hdf5", "--outdir"]
    with gpu:
        assert run(*flags, "gpu") == 0
    gpu.check_work(float64=True)
    assert run(*flags, "cpu") == 0
    (there,), (here,) = (list((folder / device).rglob("generator.tar")) for device in ("gpu", "cpu"))
    for name, value in read_stored(here).weights.items():
        gpu.check_close(read_stored(there).weights[name], value)
