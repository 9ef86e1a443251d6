from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowshot.data import Transforms
from lowshot.errors import InputError
from lowshot.features.engines import ENGINES, ExportError, InferenceEngine, choice
from lowshot.features.engines.choice import choose_engine, least_cosine
from tests.features.fakes import TinyBackbone

MANY = choice.LEAST_PIXELS


class Scripted(InferenceEngine):
    """Adds noise to the features of torch, and takes a given time."""

    precisions = ("32-true", "bf16-mixed")
    noise: dict[str, float] = {}
    fails = False
    calls = 0

    def __init__(self, backbone: Any, normalize: Any, precision: str, device: torch.device) -> None:
        self.precision = precision
        self.torch = ENGINES["torch"](backbone, normalize, "32-true", device)

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        type(self).calls += 1
        if self.fails:
            raise ExportError("it has a loop")
        with self.torch:
            features = self.torch(images)
        noise = np.random.default_rng(0).normal(size=features.shape) * self.noise.get(self.precision, 0.0)
        return (features + noise).astype(np.float32)


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOWSHOT_CACHE", str(tmp_path))
    monkeypatch.setattr(choice, "resolve_precision", lambda precision: "bf16-mixed")


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    """Seconds of each engine and precision, by which the clock is replaced."""
    seconds = {("torch", "32-true"): 4.0, ("torch", "bf16-mixed"): 2.0, ("quick", "32-true"): 1.0}
    seconds["quick", "bf16-mixed"] = 0.5
    quick = type("Quick", (Scripted,), {"name": "quick", "noise": {}})
    monkeypatch.setattr(choice, "ENGINES", {"torch": ENGINES["torch"], "quick": quick})

    def timed(engine: InferenceEngine, images: torch.Tensor, rounds: int) -> tuple[np.ndarray, float]:
        with engine:
            return engine(images), seconds[engine.name, engine.precision]

    monkeypatch.setattr(choice, "_timed", timed)
    return seconds


@pytest.fixture
def choose(backbone: TinyBackbone, transforms: Transforms) -> Any:
    images = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)

    def call(engine: str = "auto", precision: str = "auto", n_pixels: int = MANY) -> tuple[str, str]:
        chosen = choose_engine(
            backbone, transforms.normalize, images, (engine, precision), n_pixels, torch.device("cpu"), "net"
        )
        return chosen.name, chosen.precision

    return call


def test_auto_takes_the_fastest(choose: Any, speeds: dict) -> None:
    assert choose() == ("quick", "bf16-mixed")
    assert choose(precision="32-true") == ("quick", "32-true")
    assert choose(engine="torch") == ("torch", "bf16-mixed")
    speeds["quick", "32-true"] = 3.9
    assert choose(precision="32-true") == ("quick", "32-true"), "the choice is remembered"


def test_a_small_gain_does_not_count(choose: Any, speeds: dict) -> None:
    speeds["quick", "32-true"] = 3.9
    assert choose(precision="32-true") == ("torch", "32-true")


def test_for_a_few_images_nothing_is_compared(choose: Any, speeds: dict) -> None:
    assert choose(n_pixels=MANY - 1) == ("torch", "32-true")
    assert choice.ENGINES["quick"].calls == 0


def test_a_reduced_precision_must_agree_unless_it_is_asked_for(choose: Any, speeds: dict) -> None:
    choice.ENGINES["quick"].noise = {"bf16-mixed": 0.02}
    assert choose() == ("quick", "32-true")
    assert choose(precision="bf16-mixed") == ("quick", "bf16-mixed")
    choice.ENGINES["quick"].noise = {"32-true": 0.5, "bf16-mixed": 0.5}
    with pytest.raises(InputError, match="quick in 32-true gives other features than torch"):
        choose("quick", "32-true")


def test_a_network_that_cannot_be_exported_stays_with_torch(
    choose: Any, speeds: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    choice.ENGINES["quick"].fails = True
    assert choose() == ("torch", "bf16-mixed")
    assert "engine quick is left out: it has a loop" in capsys.readouterr().err
    with pytest.raises(ExportError):
        choose("quick", "32-true")


@pytest.mark.parametrize("damage", [b"", b"[1]", b'{"x": 1', b"\xff"])
def test_a_damaged_memory_is_written_anew(choose: Any, speeds: dict, tmp_path: Path, damage: bytes) -> None:
    choose()
    key = next(iter(json.loads((tmp_path / "engines.json").read_text())))
    (tmp_path / "engines.json").write_bytes(damage)
    assert choose() == ("quick", "bf16-mixed")
    assert json.loads((tmp_path / "engines.json").read_text()) == {key: ["quick", "bf16-mixed"]}


def test_the_least_cosine() -> None:
    a = np.array([[1.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    assert least_cosine(a, a) == pytest.approx(1)
    assert least_cosine(a, a[:, ::-1]) == pytest.approx(0)
    assert not least_cosine(a, np.full_like(a, np.nan)) >= 0.5
    assert not least_cosine(a, np.ones_like(a)) >= 0.5, "zeros are no features that agree"
